"""From the parts of a study to its report, and the cases that a reader is shown."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy
import torch

from medjepa import __version__
from medjepa.evaluation.dice import Structure
from medjepa.evaluation.part_files import PARTS
from medjepa.evaluation.results import Check
from medjepa.evaluation.segmentation_files import load_planes, part_name
from medjepa.evaluation.segmentation_planes import Plane
from medjepa.evaluation.segmentation_results import (
    CaseScore,
    Part,
    SegmentationReport,
    SegmentationRow,
)
from medjepa.evaluation.segmentation_study import compare, gather, rows
from medjepa.evaluation.segmentation_verdict import decide
from medjepa.evaluation.verdict import MIN_PATIENTS

RANKS = ("worst", "median", "best")


@dataclass(frozen=True, kw_only=True)
class ShownCase:
    """A case that the page has a picture of.

    Attributes:
        rank: which one it is: worst, median or best.
        case: its scores.
        planes: through it.
    """

    rank: str
    case: CaseScore
    planes: tuple[Plane, ...]


def build_report(
    parts: Sequence[Part],
    structures: Sequence[Structure],
    *,
    split: str,
    budget: str,
    checks: Sequence[Check] = (),
    warnings: Sequence[str] = (),
    num_resamples: int = 1000,
    seed: int = 0,
    patients_known: bool = True,
    distance_unit: str = "mm",
    run: Mapping[str, str] | None = None,
) -> SegmentationReport:
    """Put every number of a study together.

    Args:
        parts: what each network scored.
        structures: what was scored, in the order of the cases' scores.
        split: how patients were shared out, in words.
        budget: of every network's training, in words.
        checks: what was looked for before.
        warnings: what a reader should know.
        num_resamples: of the bootstrap over patients.
        seed: of the resamples.
        patients_known: whether patients are, or each case counts as its own.
        distance_unit: mm, or voxels where a spacing is unknown.
        run: command and settings, for the record.
    """
    study = gather(parts, num_resamples=num_resamples, seed=seed)
    table, differences = rows(study), compare(study)
    num_patients = len(study.patients)
    first, *others = (
        decide(
            table,
            differences,
            fraction,
            num_patients=num_patients,
            patients_known=patients_known,
        )
        for fraction in sorted({row.fraction for row in table}, reverse=True)
    )
    return SegmentationReport(
        verdict=first,
        further=tuple(others),
        structures=study.names,
        values=tuple(structure.values for structure in structures),
        num_patients=num_patients,
        num_cases=len({case.case for part in parts for case in part.cases}),
        folds=tuple(dict.fromkeys(part.fold for part in parts)),
        split=split,
        budget=budget,
        rows=table,
        comparisons=differences,
        parts=tuple(parts),
        checks=tuple(checks),
        warnings=(*warnings, *_warnings(num_patients, parts, table)),
        num_resamples=num_resamples,
        seed=seed,
        patients_known=patients_known,
        distance_unit=distance_unit,
        run=dict(run or {}),
        versions={
            "medjepa": __version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "Python": platform.python_version(),
        },
    )


def _warnings(
    num_patients: int, parts: Sequence[Part], table: Sequence[SegmentationRow]
) -> list[str]:
    found = []
    if num_patients < MIN_PATIENTS:
        found.append(
            f"Fewer than {MIN_PATIENTS} patients were tested ({num_patients}): the intervals are "
            "too narrow, and nothing is decided."
        )
    if len({part.seed for part in parts}) == 1:
        found.append(
            "One seed: how much another start of training would change is not known, and is not "
            "in the intervals; seeds=[0,1,2] tells."
        )
    for row in table:
        num_cases = sum(
            len(p.cases) for p in parts if (p.method, p.fraction) == (row.method, row.fraction)
        )
        missed = [s.structure for s in row.structures if s.num_missed > num_cases / 2]
        if missed:
            found.append(
                f"“{row.title}” with {100 * row.fraction:g} % of the labels finds nothing of "
                f"{', '.join(missed)} in most cases: its training was too short to compare it."
            )
    return found


def shown_cases(report: SegmentationReport, out: Path) -> list[ShownCase]:
    """Worst, median and best case of the table's first row, by mean Dice, of its first seed.

    Args:
        report: of the study.
        out: its folder, which holds the planes.
    """
    first = report.rows[0]
    found = [
        (dice, part, case)
        for part in report.parts
        if (part.method, part.fraction, part.seed) == (first.method, first.fraction, first.seeds[0])
        for case in part.cases
        if (dice := _dice(case)) == dice
    ]
    found.sort(key=lambda one: (one[0], one[2].case))
    places = dict.fromkeys((0, len(found) // 2, len(found) - 1)) if found else {}
    shown = []
    for rank, place in zip(RANKS, places, strict=False):
        _, part, case = found[place]
        name = part_name(part.method, part.fraction, part.fold, part.seed)
        planes = load_planes(out / PARTS / name, case.case)
        shown.append(ShownCase(rank=rank, case=case, planes=planes))
    return shown


def _dice(case: CaseScore) -> float:
    values = [score.dice for score in case.structures if score.dice == score.dice]
    return sum(values) / len(values) if values else float("nan")
