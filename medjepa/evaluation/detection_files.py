"""The files of a detection study: what each network found; complete or not there.

OUT/parts/NAME/boxes.json   settings, and every found and true box of one network
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from medjepa.evaluation.detection_results import CaseBoxes, DetectionPart
from medjepa.evaluation.part_files import load_found, save_found

FOUND = "boxes.json"


def save_boxes(folder: Path, part: DetectionPart, settings: Mapping[str, object]) -> None:
    """Write what one network found, when all of it is there."""
    save_found(folder / FOUND, asdict(part), settings)


def load_boxes(folder: Path, settings: Mapping[str, object]) -> DetectionPart | None:
    """Read what a network found; None if it has not got so far.

    Raises:
        DataError: it was trained under other settings, which are named, or is damaged.
    """

    def build(plain: dict[str, Any]) -> DetectionPart:
        return DetectionPart(**{**plain, "cases": tuple(_case(case) for case in plain["cases"])})

    return load_found(folder / FOUND, settings, build)


def _case(plain: Mapping[str, Any]) -> CaseBoxes:
    def boxes(rows: Sequence[Sequence[float]]) -> tuple[tuple[float, ...], ...]:
        return tuple(tuple(float(n) for n in row) for row in rows)

    return CaseBoxes(
        case=int(plain["case"]),
        patient=int(plain["patient"]),
        truth=boxes(plain["truth"]),
        truth_labels=tuple(plain["truth_labels"]),
        found=boxes(plain["found"]),
        found_labels=tuple(plain["found_labels"]),
        scores=tuple(plain["scores"]),
    )
