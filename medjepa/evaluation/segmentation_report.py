"""From the parts of a study to its report, and the cases that a reader is shown."""

import platform
from collections.abc import Mapping, Sequence

import numpy as np
import scipy
import torch

from medjepa import __version__
from medjepa.evaluation.dice import Structure
from medjepa.evaluation.results import Check
from medjepa.evaluation.segmentation_results import CaseScore, Part, SegmentationReport
from medjepa.evaluation.segmentation_study import compare, gather, rows
from medjepa.evaluation.segmentation_verdict import decide
from medjepa.evaluation.verdict import MIN_PATIENTS

RANKS = ("worst", "median", "best")


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
        distance_unit: mm, or voxels where a spacing is unknown.
        run: command and settings, for the record.
    """
    study = gather(parts, num_resamples=num_resamples, seed=seed)
    table, differences = rows(study), compare(study)
    num_patients = len(study.patients)
    first, *others = (
        decide(table, differences, fraction, num_patients=num_patients)
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
        warnings=(*warnings, *_warnings(num_patients, parts)),
        num_resamples=num_resamples,
        seed=seed,
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


def _warnings(num_patients: int, parts: Sequence[Part]) -> list[str]:
    found = []
    if num_patients < MIN_PATIENTS:
        found.append(
            f"Only {num_patients} patients were tested: with fewer than {MIN_PATIENTS} the "
            "intervals are too narrow, and nothing is decided."
        )
    if len({part.seed for part in parts}) == 1:
        found.append(
            "One seed: how much another start of training would change is not known; "
            "seeds=[0,1,2] tells."
        )
    return found


def chosen_cases(report: SegmentationReport) -> list[tuple[str, CaseScore, Part]]:
    """Worst, median and best case of the table's first row, by mean Dice, of its first seed."""
    first = report.rows[0]
    found = [
        (_dice(case), part, case)
        for part in report.parts
        if (part.method, part.fraction, part.seed) == (first.method, first.fraction, first.seeds[0])
        for case in part.cases
    ]
    ordered = sorted(
        (one for one in found if one[0] == one[0]), key=lambda one: (one[0], one[2].case)
    )
    if not ordered:
        return []
    places = dict.fromkeys((0, len(ordered) // 2, len(ordered) - 1))
    return [
        (rank, ordered[place][2], ordered[place][1])
        for rank, place in zip(RANKS, places, strict=False)
    ]


def _dice(case: CaseScore) -> float:
    values = [score.dice for score in case.structures if score.dice == score.dice]
    return sum(values) / len(values) if values else float("nan")
