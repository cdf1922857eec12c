"""The layout of the Medical Segmentation Decathlon: dataset.json lists volumes and label maps."""

import json
from typing import Any

from medjepa.data.catalog.entry import Entry
from medjepa.data.catalog.folder import Folder
from medjepa.data.catalog.items import Item, Reading
from medjepa.data.table_text import read_text
from medjepa.errors import InputError

LIST = "dataset.json"


def decathlon_items(entry: Entry, folder: Folder, root: str, reading: Reading) -> None:
    """Fill a reading with the volumes of dataset.json: training ones with labels, then the test.

    Raises:
        InputError: dataset.json is damaged, or is no list of a decathlon task.
    """
    path = folder.path / root / LIST
    try:
        content = json.loads(read_text(str(path))[0])
        pairs = [(_plain(e["image"]), _plain(e["label"])) for e in content["training"]]
        test = [_plain(e) for e in content.get("test", [])]
        written = {str(k): str(v) for k, v in content["labels"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(path, f"is no list of a decathlon task: {error}", format="JSON") from error
    expected = dict(enumerate(entry.classes.values()))
    if set(written) != {str(number) for number in expected}:
        reading.strange.append(
            f"{LIST}: labels {sorted(written)}, published are 0 to {len(expected) - 1}"
        )
    for number, meaning in expected.items():
        name = written.get(str(number), meaning)
        if name.lower() != meaning.lower():
            reading.notes.append(f"{LIST} calls label {number} {name!r}, published is {meaning!r}")
    files = set(folder.below(root))
    for image, label in pairs:
        gone = [name for name in (image, label) if name not in files]
        reading.missing += [f"{name} (named in {LIST})" for name in gone]
        if image in files:
            masks = (root + label,) if label in files else ()
            reading.items.append(Item(path=root + image, split="train", masks=masks))
    for image in test:
        if image in files:
            reading.items.append(Item(path=root + image, split="test"))
        else:
            reading.missing.append(f"{image} (named in {LIST})")


def _plain(path: Any) -> str:  # noqa: ANN401 - whatever the JSON holds
    if not isinstance(path, str):
        raise TypeError(f"{path!r} is no path")
    return path.removeprefix("./")
