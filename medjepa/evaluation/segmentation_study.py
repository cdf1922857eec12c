"""From scores of cases to a table: means over patients, intervals, paired differences.

A patient counts once: the mean of its cases. Several folds are pooled, each patient tested once.
The intervals hold the chance of drawing these patients; seeds are another source of chance, and
their spread stands beside the intervals, not in them.

Legend: P patients, R resamples, S seeds, T structures and, last, their mean (the foreground),
M metrics.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy import stats

from medjepa.errors import DataError
from medjepa.evaluation.bootstrap import Estimate, PatientBootstrap, estimate
from medjepa.evaluation.dice import Structure, masks, overlap
from medjepa.evaluation.segmentation_results import (
    FOREGROUND,
    METRICS,
    PRETRAINED,
    TITLES,
    CaseScore,
    Part,
    SegmentationComparison,
    SegmentationRow,
    StructureResult,
    StructureScore,
)
from medjepa.evaluation.surface import surface_distances
from medjepa.evaluation.trained import row_fields

QUARTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
_ENOUGH_RESAMPLES = 0.9
"""A structure may be absent from all patients of a resample; in one of ten at most."""

Floats = NDArray[np.float64]


def score_case(
    truth: NDArray[np.uint8],
    prediction: NDArray[np.uint8],
    structures: Sequence[Structure],
    spacing: Sequence[float],
    *,
    case: int,
    patient: int,
) -> CaseScore:
    """Compare one prediction with its truth, structure by structure.

    Args:
        truth: label map (*spatial), or regions (R, *spatial).
        prediction: likewise.
        structures: what is scored.
        spacing: step of each axis in mm.
        case: its number.
        patient: number of its patient.
    """
    scores = []
    axes = len(spacing)
    pairs = zip(
        structures, masks(truth, structures, axes), masks(prediction, structures, axes), strict=True
    )
    for structure, there, found in pairs:
        shared, apart = overlap(there, found), surface_distances(there, found, spacing)
        scores.append(
            StructureScore(
                structure=structure.name,
                dice=shared.dice,
                iou=shared.iou,
                hd95=apart.hd95,
                mean_distance=apart.mean,
                num_truth=shared.num_truth,
                num_predicted=shared.num_predicted,
            )
        )
    return CaseScore(case=case, patient=patient, structures=tuple(scores))


@dataclass(frozen=True, kw_only=True)
class Study:
    """Parts of one table in the form that statistics need.

    Attributes:
        names: of the structures, without the foreground.
        patients: their numbers, ascending.
        bootstrap: the resamples that every row and every difference share.
        parts: (method, share of labels) -> seed -> its parts, one for each fold.
    """

    names: tuple[str, ...]
    patients: tuple[int, ...]
    bootstrap: PatientBootstrap
    parts: dict[tuple[str, float], dict[int, list[Part]]]

    def values(self, method: str, fraction: float) -> Float[np.ndarray, "S P T M"]:
        """Every number of a row, for each seed and patient; NaN where it is not defined."""
        place = {patient: index for index, patient in enumerate(self.patients)}
        seeds = self.parts[method, fraction]
        result = np.full(
            (len(seeds), len(self.patients), len(self.names) + 1, len(METRICS)), np.nan
        )
        for row, own in zip(result, seeds.values(), strict=True):
            cases: dict[int, list[Floats]] = {}
            for part in own:
                for case in part.cases:
                    cases.setdefault(place[case.patient], []).append(_numbers(case))
            for patient, numbers in cases.items():
                row[patient] = _mean(np.stack(numbers), axis=0)
        return result


def gather(parts: Sequence[Part], *, num_resamples: int = 1000, seed: int = 0) -> Study:
    """Pool folds and line the patients of all methods up.

    Args:
        parts: of all methods, shares, folds and seeds.
        num_resamples: of the bootstrap over patients.
        seed: of the resamples.

    Raises:
        DataError: a patient was tested in two folds, or two rows have not the same patients.
    """
    grouped: dict[tuple[str, float], dict[int, list[Part]]] = {}
    for part in parts:
        seeds = grouped.setdefault((part.method, part.fraction), {})
        seeds.setdefault(part.seed, []).append(part)
    tested: dict[frozenset[int], str] = {}
    for (method, fraction), seeds in grouped.items():
        for number, own in seeds.items():
            tested.setdefault(_patients(own), f"{method}, {fraction:.0%} of the labels, {number}")
    if len(tested) > 1:
        first, second = list(tested.values())[:2]
        raise DataError(
            f"not every network was tested on the same patients ({first} and {second} differ): "
            "they cannot stand in one table"
        )
    patients = tuple(sorted(next(iter(tested)))) if tested else ()
    if not patients:
        raise DataError("nothing was tested: there is no patient to report on")
    names = tuple(score.structure for score in parts[0].cases[0].structures)
    bootstrap = PatientBootstrap.draw(
        np.zeros(len(patients), np.int64), None, num_resamples=num_resamples, seed=seed
    )
    return Study(names=names, patients=patients, bootstrap=bootstrap, parts=grouped)


def rows(study: Study) -> tuple[SegmentationRow, ...]:
    """The table: the largest share of labels first, methods in the order of `TITLES`."""
    order = {method: place for place, method in enumerate(TITLES)}
    keys = sorted(study.parts, key=lambda key: (-key[1], order.get(key[0], len(order)), key[0]))
    return tuple(_row(study, method, fraction) for method, fraction in keys)


def compare(study: Study) -> tuple[SegmentationComparison, ...]:
    """Pre-trained minus every other method at the same share, for each structure and metric."""
    found = []
    for method, fraction in study.parts:
        if method == PRETRAINED or (PRETRAINED, fraction) not in study.parts:
            continue
        ours, theirs = study.values(PRETRAINED, fraction), study.values(method, fraction)
        # With unequal numbers of seeds the means are compared, and seeds pair up as far as they go.
        pairs = min(len(ours), len(theirs))
        single = ours[:pairs] - theirs[:pairs]
        averaged = _mean(ours, axis=0) - _mean(theirs, axis=0)
        for t, structure in enumerate((*study.names, FOREGROUND)):
            for m, metric in enumerate(METRICS):
                found.append(
                    SegmentationComparison(
                        against=method,
                        fraction=fraction,
                        structure=structure,
                        metric=metric,
                        num_patients=int(np.isfinite(averaged[:, t, m]).sum()),
                        difference=mean_over_patients(study, averaged[:, t, m]),
                        per_seed=tuple(mean_over_patients(study, one[:, t, m]) for one in single),
                    )
                )
    return tuple(found)


def mean_over_patients(study: Study, values: Float[np.ndarray, " num_patients"]) -> Estimate:
    """Mean of the patients in whom a number is defined, with its interval over patients.

    The percentiles are those of the expanded percentile interval, since the plain one of a mean is
    too narrow by the square root of n / (n - 1) and by what a t distribution is wider than a normal
    one: with 20 patients by a tenth.
    Source: Hesterberg, "What teachers should know about the bootstrap", Am. Stat. 69 (2015).
    """
    defined = np.isfinite(values)
    num = int(defined.sum())
    if not num:
        return estimate(float("nan"), np.zeros(0))
    weights = study.bootstrap.counts * defined
    total = weights.sum(1)
    kept = total > 0
    samples = (weights @ np.where(defined, values, 0.0))[kept] / total[kept]
    if kept.mean() < _ENOUGH_RESAMPLES or num < 2:
        return estimate(float(values[defined].mean()), samples[:0])
    tail = float(stats.norm.cdf(-math.sqrt(num / (num - 1)) * stats.t.ppf(0.975, num - 1)))
    return estimate(float(values[defined].mean()), samples, confidence=1 - 2 * tail)


def _row(study: Study, method: str, fraction: float) -> SegmentationRow:
    seeds = study.parts[method, fraction]
    parts = [part for own in seeds.values() for part in own]
    values = study.values(method, fraction)
    averaged = _mean(values, axis=0)
    results = [
        _structure(study, parts, averaged[:, t], name)
        for t, name in enumerate((*study.names, FOREGROUND))
    ]
    dice = METRICS.index("dice")
    return SegmentationRow(
        **row_fields(method, fraction, TITLES.get(method, method), seeds),
        foreground=results[-1],
        structures=tuple(results[:-1]),
        per_seed=tuple(mean_over_patients(study, one[:, -1, dice]) for one in values),
        patients=tuple(averaged[:, -1, dice].tolist()),
    )


def _structure(
    study: Study, parts: Sequence[Part], values: Float[np.ndarray, "P M"], name: str
) -> StructureResult:
    scores = [s for p in parts for c in p.cases for s in c.structures if s.structure == name]
    there = np.asarray([score.num_truth > 0 for score in scores], bool)
    found = np.asarray([score.num_predicted > 0 for score in scores], bool)
    quartiles = {}
    for metric, column in zip(METRICS, values.T, strict=True):
        defined = column[np.isfinite(column)]
        quartiles[metric] = tuple(np.quantile(defined, QUARTILES).tolist()) if len(defined) else ()
    return StructureResult(
        structure=name,
        num_patients=int(np.isfinite(values[:, 0]).sum()),
        num_empty=int((~there & ~found).sum()),
        num_missed=int((there & ~found).sum()),
        num_invented=int((~there & found).sum()),
        scores={
            metric: mean_over_patients(study, column)
            for metric, column in zip(METRICS, values.T, strict=True)
        },
        quartiles=quartiles,
    )


def _numbers(case: CaseScore) -> Floats:
    """(T, M) of one case, the mean of its defined structures last."""
    table = np.asarray([[getattr(s, metric) for metric in METRICS] for s in case.structures])
    return np.concatenate([table, _mean(table, axis=0)[None]])


def _mean(values: NDArray[np.float64], *, axis: int) -> Floats:
    """Mean of what is defined; NaN where nothing is."""
    defined = np.isfinite(values)
    count = defined.sum(axis)
    total = np.where(defined, values, 0.0).sum(axis)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def _patients(parts: Sequence[Part]) -> frozenset[int]:
    """Who was tested by one method with one seed; nobody twice."""
    seen: dict[int, str] = {}
    for part in parts:
        for patient in {case.patient for case in part.cases}:
            if patient in seen:
                raise DataError(
                    f"patient {patient} was tested in the folds {seen[patient]} and {part.fold}: "
                    "each patient is tested once"
                )
            seen[patient] = part.fold
    return frozenset(seen)
