"""What the numbers of label maps mean: the dataset.json of the Decathlon, or of nnU-Net."""

import json
from pathlib import Path

from medjepa.data.table_text import read_text
from medjepa.errors import InputError

LIST = "dataset.json"


def names_beside(label: Path) -> dict[int, str]:
    """Names by value of the dataset.json in the folder of a label map, or above it; {} without.

    Regions (lists of labels, as nnU-Net has them) are left out: they are asked for by name.

    Raises:
        InputError: the file is damaged.
    """
    for folder in (label.parent, label.parent.parent):
        path = folder / LIST
        if path.is_file():
            return _names(path)
    return {}


def _names(path: Path) -> dict[int, str]:
    try:
        written = json.loads(read_text(str(path))[0])["labels"]
        pairs = list(written.items())
        # The Decathlon writes {"1": "liver"}, nnU-Net {"liver": 1}.
        if all(str(key).isdigit() for key, _ in pairs):
            return {int(key): str(name) for key, name in pairs}
        return {int(value): str(name) for name, value in pairs if not isinstance(value, list)}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(str(path), f"its labels cannot be read: {error}", format="JSON") from error
