"""The files of a study: what each network scored, and what it drew; complete or not there.

OUT/parts/NAME/scores.json   settings and every number of one network
OUT/parts/NAME/planes.npz    planes through every case that it was tested on: pictures of patients
"""

import hashlib
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from medjepa.data.files import PRIVATE_FILE_MODE, write_atomic
from medjepa.errors import DataError
from medjepa.evaluation.results import plain_json
from medjepa.evaluation.segmentation_planes import Plane
from medjepa.evaluation.segmentation_results import CaseScore, Part, StructureScore

PARTS, SCORES, PLANES = "parts", "scores.json", "planes.npz"


def part_name(method: str, fraction: float, fold: str, seed: int) -> str:
    """The folder of one network below `parts`: 3-100-pretrained-0.

    A fold's name may be anything that a table holds; what no folder may be called becomes a hash.
    """
    plain = fold if fold.replace("_", "").isalnum() and len(fold) <= 32 else _short_hash(fold)
    return f"{plain}-{100 * fraction:g}-{method}-{seed}"


def settings_hash(settings: Mapping[str, object]) -> str:
    """Twelve digits that two equal sets of settings share."""
    text = json.dumps(settings, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def save_part(
    folder: Path,
    part: Part,
    planes: Mapping[int, Sequence[Plane]],
    settings: Mapping[str, object],
) -> None:
    """Write what one network did; the scores last, since they say that it is done.

    Args:
        folder: of the part.
        part: its numbers.
        planes: of each case.
        settings: what the numbers depend on; the next run compares them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {}
    for case, cuts in planes.items():
        for number, plane in enumerate(cuts):
            name = f"{case}.{number}"
            arrays[f"{name}.image"] = plane.image
            arrays[f"{name}.truth"] = plane.truth
            arrays[f"{name}.prediction"] = plane.prediction
            arrays[f"{name}.where"] = np.asarray([plane.axis, plane.place])
            arrays[f"{name}.spacing"] = np.asarray(plane.spacing)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_atomic(folder / PLANES, buffer.getvalue(), mode=PRIVATE_FILE_MODE)
    content = plain_json({"settings": dict(settings), "part": asdict(part)})
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False, default=str)
    write_atomic(folder / SCORES, (text + "\n").encode())


def load_part(folder: Path, settings: Mapping[str, object]) -> Part | None:
    """Read what a network scored; None if it has not got so far.

    Raises:
        DataError: it was trained under other settings; they are named.
    """
    path = folder / SCORES
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        given, plain = content["settings"], content["part"]
        cases = tuple(_case(case) for case in plain.pop("cases"))
        part = Part(**plain, cases=cases)
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


def load_planes(folder: Path, case: int) -> tuple[Plane, ...]:
    """Read the planes of one case; empty if there are none."""
    path = folder / PLANES
    if not path.is_file():
        return ()
    planes: list[Plane] = []
    with np.load(path, allow_pickle=False) as arrays:
        while f"{case}.{len(planes)}.image" in arrays:
            name = f"{case}.{len(planes)}"
            axis, place = (int(n) for n in arrays[f"{name}.where"])
            down, right = (float(n) for n in arrays[f"{name}.spacing"])
            planes.append(
                Plane(
                    axis=axis,
                    place=place,
                    image=arrays[f"{name}.image"],
                    truth=arrays[f"{name}.truth"],
                    prediction=arrays[f"{name}.prediction"],
                    spacing=(down, right),
                )
            )
    return tuple(planes)


def _case(plain: Mapping[str, Any]) -> CaseScore:
    structures = []
    for score in plain["structures"]:
        # JSON has no NaN: what is not defined was written as null.
        given: dict[str, Any] = {
            f.name: math.nan if score[f.name] is None else score[f.name]
            for f in fields(StructureScore)
        }
        structures.append(StructureScore(**given))
    return CaseScore(case=plain["case"], patient=plain["patient"], structures=tuple(structures))


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
