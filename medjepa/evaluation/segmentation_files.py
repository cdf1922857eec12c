"""The files of a study: what each network scored, and what it drew; complete or not there.

OUT/parts/NAME/scores.json      settings and every number of one network
OUT/parts/NAME/planes/CASE.npz  planes through a case that it was tested on: pictures of a patient
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

from medjepa.data.files import PRIVATE_FILE_MODE, make_private_folder, write_atomic
from medjepa.evaluation.part_files import load_found, save_found
from medjepa.evaluation.segmentation_planes import Plane
from medjepa.evaluation.segmentation_results import CaseScore, Part, StructureScore

SCORES, PLANES = "scores.json", "planes"


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


def save_planes(folder: Path, case: int, planes: Sequence[Plane]) -> None:
    """Write the planes of one case, for their owner alone: they are pictures of a patient."""
    make_private_folder(folder / PLANES)
    arrays: dict[str, Any] = {}
    for number, plane in enumerate(planes):
        arrays[f"{number}.image"] = plane.image
        arrays[f"{number}.truth"] = plane.truth
        arrays[f"{number}.prediction"] = plane.prediction
        arrays[f"{number}.where"] = np.asarray([plane.axis, plane.place])
        arrays[f"{number}.spacing"] = np.asarray(plane.spacing)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_atomic(folder / PLANES / f"{case}.npz", buffer.getvalue(), mode=PRIVATE_FILE_MODE)


def save_part(folder: Path, part: Part, settings: Mapping[str, object]) -> None:
    """Write what one network scored, when all of it is there."""
    save_found(folder / SCORES, asdict(part), settings)


def load_part(folder: Path, settings: Mapping[str, object]) -> Part | None:
    """Read what a network scored; None if it has not got so far.

    Raises:
        DataError: it was trained under other settings, which are named, or is damaged.
    """

    def build(plain: dict[str, Any]) -> Part:
        return Part(**{**plain, "cases": tuple(_case(case) for case in plain["cases"])})

    return load_found(folder / SCORES, settings, build)


def load_planes(folder: Path, case: int) -> tuple[Plane, ...]:
    """Read the planes of one case; empty if there are none."""
    path = folder / PLANES / f"{case}.npz"
    if not path.is_file():
        return ()
    planes: list[Plane] = []
    with np.load(path, allow_pickle=False) as arrays:
        while f"{len(planes)}.image" in arrays:
            number = len(planes)
            axis, place = (int(n) for n in arrays[f"{number}.where"])
            down, right = (float(n) for n in arrays[f"{number}.spacing"])
            planes.append(
                Plane(
                    axis=axis,
                    place=place,
                    image=arrays[f"{number}.image"],
                    truth=arrays[f"{number}.truth"],
                    prediction=arrays[f"{number}.prediction"],
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
