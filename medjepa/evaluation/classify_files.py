"""The files of a study of classifiers: what each one said of the test part; complete or not there.

OUT/parts/NAME/part.json   settings and scores of one classifier: what says that it is done
OUT/parts/NAME/model.pt    its weights (adapters merged), for their owner
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np

from medjepa.data.files import PRIVATE_FILE_MODE, write_atomic
from medjepa.errors import DataError
from medjepa.evaluation.classify_results import Part

PARTS, PART, MODEL = "parts", "part.json", "model.pt"


def part_name(method: str, fraction: float, draw: int) -> str:
    """The folder of one classifier below `parts`: 10-pretrained-0."""
    return f"{100 * fraction:g}-{method}-{draw}"


def save_part(folder: Path, part: Part, settings: Mapping[str, object]) -> None:
    """Write what one classifier said, when all of it is there."""
    plain = {**asdict(part), "scores": part.scores.tolist()}
    text = json.dumps({"settings": dict(settings), "part": plain}, indent=1, default=str)
    # Scores of single patients: for their owner alone.
    write_atomic(folder / PART, (text + "\n").encode(), mode=PRIVATE_FILE_MODE)


def load_part(folder: Path, settings: Mapping[str, object]) -> Part | None:
    """Read what a classifier said; None if it has not got so far.

    Raises:
        DataError: it was trained under other settings, which are named, or cannot be read.
    """
    path = folder / PART
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        given, plain = content["settings"], content["part"]
        part = Part(**{**plain, "scores": np.asarray(plain["scores"], np.float64)})
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: cannot be read ({error}); remove the folder {folder} and run again"
        ) from error
    asked = json.loads(json.dumps(dict(settings), default=str))
    differing = sorted(k for k in {*given, *asked} if given.get(k) != asked.get(k))
    if differing:
        named = "; ".join(f"{k} was {given.get(k)}, now {asked.get(k)}" for k in differing[:4])
        raise DataError(
            f"{folder}: was made with other settings ({named}); give another out=, or remove it"
        )
    return part
