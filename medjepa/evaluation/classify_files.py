"""The files of a study of classifiers: what each one said of the test part; complete or not there.

OUT/parts/NAME/part.json   settings and scores of one classifier: what says that it is done
OUT/parts/NAME/model.pt    its weights (adapters merged), for their owner
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from medjepa.data.files import PRIVATE_FILE_MODE
from medjepa.evaluation.classify_results import Part
from medjepa.evaluation.part_files import load_found, save_found

PART, MODEL = "part.json", "model.pt"


def part_name(method: str, fraction: float, draw: int) -> str:
    """The folder of one classifier below `parts`: 10-pretrained-0."""
    return f"{100 * fraction:g}-{method}-{draw}"


def save_part(folder: Path, part: Part, settings: Mapping[str, object]) -> None:
    """Write what one classifier said, when all of it is there."""
    plain = {**asdict(part), "scores": part.scores.tolist()}
    # Scores of single patients: for their owner alone.
    save_found(folder / PART, plain, settings, mode=PRIVATE_FILE_MODE)


def load_part(folder: Path, settings: Mapping[str, object]) -> Part | None:
    """Read what a classifier said; None if it has not got so far.

    Raises:
        DataError: it was trained under other settings, which are named, or cannot be read.
    """

    def build(plain: dict[str, Any]) -> Part:
        return Part(**{**plain, "scores": np.asarray(plain["scores"], np.float64)})

    return load_found(folder / PART, settings, build)
