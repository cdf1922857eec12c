"""The files of a detection study: what each network found; complete or not there.

OUT/parts/NAME/boxes.json   settings, and every found and true box of one network
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from medjepa.data.files import write_atomic
from medjepa.errors import DataError
from medjepa.evaluation.detection_results import CaseBoxes, DetectionPart
from medjepa.evaluation.results import plain_json

FOUND = "boxes.json"


def save_boxes(folder: Path, part: DetectionPart, settings: Mapping[str, object]) -> None:
    """Write what one network found, when all of it is there: this file says that it is done.

    Args:
        folder: of the part.
        part: what it found.
        settings: what it depends on; the next run compares them.
    """
    content = plain_json({"settings": dict(settings), "part": asdict(part)})
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, default=str)
    write_atomic(folder / FOUND, (text + "\n").encode())


def load_boxes(folder: Path, settings: Mapping[str, object]) -> DetectionPart | None:
    """Read what a network found; None if it has not got so far.

    Raises:
        DataError: it was trained under other settings, which are named, or is damaged.
    """
    path = folder / FOUND
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        given, plain = content["settings"], content["part"]
        cases = tuple(_case(case) for case in plain.pop("cases"))
        part = DetectionPart(**plain, cases=cases)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
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
