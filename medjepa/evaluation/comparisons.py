"""Is the pre-trained encoder better than each baseline? Paired tests, corrected for their number.

Beside the bootstrap that decides the verdict stands DeLong's variance, which shares none of its
code: where the two disagree, neither is to be believed. Seeds of pre-training are another source of
chance than the draw of test patients, and are shown apart from it.

Legend: S seeds, K splits.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from medjepa.evaluation.bootstrap import Estimate
from medjepa.evaluation.context import Context
from medjepa.evaluation.delong import (
    Components,
    area_estimate,
    components,
    difference_estimate,
    holm,
    joined,
    two_sided,
)
from medjepa.evaluation.metrics import Floats
from medjepa.evaluation.protocol import Measured
from medjepa.evaluation.resamples import Resamples
from medjepa.evaluation.results import PRETRAINED
from medjepa.evaluation.sections import Cell, Section
from medjepa.evaluation.task import Task
from medjepa.evaluation.verdict import MIN_CLASS_PATIENTS, MIN_PATIENTS, share

SMALL = 0.05
"""A test set that finds no smaller difference than this is called small."""


def comparison_sections(context: Context) -> list[Section]:
    """Tables of paired tests and, of several seeds, of where the chance lies."""
    ours = context.row(PRETRAINED)
    others = [row for row in context.measured if row is not ours]
    found = _Differences.of(ours, others, context.tasks, context.resamples)
    sections = [_tests(context, found, others)]
    if len(ours.auc) > 1:
        sections.append(_seeds(ours, others, found, context.resamples))
    return sections


@dataclass(frozen=True)
class _Differences:
    """DeLong's estimates: the pre-trained encoder's area, each other's, and its lead on each."""

    own: Estimate
    areas: tuple[Estimate, ...]
    each: tuple[Estimate, ...]

    @classmethod
    def of(
        cls, ours: Measured, others: Sequence[Measured], tasks: Sequence[Task], drawn: Resamples
    ) -> "_Differences":
        first, weights = _areas(ours, tasks, drawn)
        each, areas = [], []
        for row in others:
            second, second_weights = _areas(row, tasks, drawn)
            areas.append(_area(second, second_weights, float(row.auc.mean())))
            value = float((ours.auc - row.auc).mean())
            if first is None or second is None:
                each.append(Estimate(value=value, low=None, high=None, standard_error=None))
                continue
            variance = joined([first, second]).variance(np.append(weights, -second_weights))
            each.append(difference_estimate(value, variance))
        own = _area(first, weights, float(ours.auc.mean()))
        return cls(own, tuple(areas), tuple(each))


def _area(found: Components | None, weights: Floats, value: float) -> Estimate:
    if found is None:
        return Estimate(value=value, low=None, high=None, standard_error=None)
    return area_estimate(value, found.variance(weights))


def _areas(
    row: Measured, tasks: Sequence[Task], drawn: Resamples
) -> tuple[Components | None, Floats]:
    """Areas of every class, seed and split, and their weights in the table's number.

    None where some class of a test part makes no area, which the table's number lacks too.
    """
    positive, scores, patients, weights = [], [], [], []
    num_splits = sum(len(np.unique(task.target[task.test])) > 1 for task in tasks)
    for seed_scores in row.scores:
        for task, given, part in zip(tasks, seed_scores, drawn.parts, strict=True):
            labels = task.target[task.test]
            columns = [1] if given.shape[1] == 2 else list(range(given.shape[1]))
            # As `macro_auc`: the mean over the classes that occur.
            columns = [c for c in columns if 0 < np.count_nonzero(labels == c) < len(labels)]
            for column in columns:
                positive.append(labels == column)
                scores.append(given[:, column])
                patients.append(part.patient)
                weights.append(1 / (len(columns) * len(row.scores) * num_splits))
    if not positive:
        return None, np.zeros(0)
    num_patients = drawn.parts[0].num_patients
    found = components(positive, scores, patients, num_patients=num_patients)
    return found, np.asarray(weights)


def _tests(context: Context, found: _Differences, others: Sequence[Measured]) -> Section:
    by_patient = _several_images(context.resamples)
    too_few = _too_few(context.tasks, context.resamples)
    p_values = [None if too_few else two_sided(one) for one in found.each]
    corrected = holm(p_values)
    ours = context.row(PRETRAINED)
    rows: list[tuple[Cell, ...]] = [
        (ours.result.title, found.own, None, None, None, None, "", None)
    ]
    bootstrap = {one.against: one.difference for one in context.comparisons}
    for row, area, difference, p, p_holm in zip(
        others, found.areas, found.each, p_values, corrected, strict=True
    ):
        rows.append(
            (
                row.result.title, area, bootstrap[row.result.key],
                difference, p, p_holm, _reading(difference, p_holm, too_few),
                None if too_few else difference.detectable,
            )
        )  # fmt: skip
    name = "clustered DeLong" if by_patient else "DeLong"
    unit = "patients" if context.groups is not None else "images"
    drawn = context.resamples
    note = (
        f"Linear probe, macro AUC, n = {len(drawn.tested):,} test images of "
        f"{drawn.parts[0].num_patients:,} {unit}. Bootstrap: percentiles over {unit}, "
        f"{drawn.num:,} resamples. {_estimator(by_patient, context)} 95 % intervals. "
        "Difference: pre-trained minus this row, paired. p: two-sided, from DeLong's variance; "
        f"Holm: corrected for {sum(p is not None for p in p_values)} comparisons, below .05 is "
        "called better or worse. Seen in 80 %: the true difference found in 4 of 5 such studies "
        "(two-sided 5 %, one comparison). The page's first sentence answers one question, "
        "pre-trained or untrained, by its bootstrap interval: it is not corrected for the other "
        "rows, and may say more than its row does here."
    )
    small = [one.detectable for one in found.each if one.detectable is not None]
    if too_few:
        note += f" No test is made: {too_few}."
    elif small and max(small) > SMALL:
        note += (
            f" This test set is small: the minimal detectable difference reaches "
            f"{share(max(small))}."
        )
    return Section(
        key="comparisons",
        title="Is it better? Paired tests",
        note=note,
        columns=(
            "features", f"AUC, {name}", "difference, bootstrap",
            f"difference, {name}", "p", "p, Holm", "pre-trained is", "seen in 80 %",
        ),
        rows=tuple(rows),
        signed=("difference, bootstrap", f"difference, {name}"),
    )  # fmt: skip


def _estimator(by_patient: bool, context: Context) -> str:
    if by_patient:
        return "Clustered DeLong: Obuchowski 1997, images of a patient are not independent."
    known = "one image a patient" if context.groups is not None else "patients unknown"
    return f"DeLong: DeLong 1988, {known}."


def _several_images(drawn: Resamples) -> bool:
    """Whether some patient stands behind several test images."""
    return len(drawn.tested) > drawn.parts[0].num_patients or len(drawn.parts) > 1


def _too_few(tasks: Sequence[Task], drawn: Resamples) -> str:
    """Why normal theory cannot be trusted, as half a sentence; the verdict's own limits."""
    if drawn.parts[0].num_patients < MIN_PATIENTS:
        return f"fewer than {MIN_PATIENTS} test patients"
    fewest = min(
        len(np.unique(part.patient[task.target[task.test] == label]))
        for task, part in zip(tasks, drawn.parts, strict=True)
        for label in np.unique(task.target[task.test])
    )
    if fewest < MIN_CLASS_PATIENTS:
        return f"a class has fewer than {MIN_CLASS_PATIENTS} test patients"
    return ""


def _reading(difference: Estimate, p: float | None, too_few: str) -> str:
    if too_few or p is None:
        return "cannot tell"
    if p >= 0.05:
        return "cannot tell"
    return "better" if difference.value > 0 else "worse"


def _seeds(
    ours: Measured, others: Sequence[Measured], found: _Differences, drawn: Resamples
) -> Section:
    """How much of the uncertainty is the draw of test patients, how much the seed."""
    num = len(ours.auc)
    rows: list[tuple[Cell, ...]] = []
    for row, difference in zip(others, found.each, strict=True):
        spread = float((ours.auc - row.auc).std(ddof=1))
        error = difference.standard_error
        both = both_sources(difference.value, error, spread, num)
        share_of_seeds = None
        if error is not None and both.standard_error:
            share_of_seeds = spread**2 / num / both.standard_error**2
        rows.append((row.result.title, num, difference.value, error, spread, share_of_seeds, both))
    return Section(
        key="seeds",
        title="Two sources of chance: patients and seeds",
        note=(
            f"Difference in AUC: pre-trained minus this row, mean over {num} seeds of "
            f"pre-training, n = {len(drawn.tested):,} test images. Patients: standard "
            "error of that mean by DeLong's variance, seeds held fixed. Seeds: standard "
            "deviation between seeds on the same test patients. Their share: of the "
            "variance of the mean. With both: 95 % interval by Student's t with "
            "Satterthwaite's degrees of freedom, for other "
            f"patients and other seeds; {num} seeds say little of how seeds vary."
        ),
        columns=(
            "features", "seeds", "difference", "error from patients", "deviation between seeds",
            "share of seeds", "difference, with both",
        ),
        rows=tuple(rows),
        signed=("difference", "difference, with both"),
    )  # fmt: skip


def both_sources(value: float, error: float | None, spread: float, num_seeds: int) -> Estimate:
    """A mean over seeds with an interval for other patients and other seeds.

    Args:
        value: the mean.
        error: standard error from the test patients; None where there is none.
        spread: standard deviation between seeds.
        num_seeds: at least 2.
    """
    if error is None:
        return Estimate(value=value, low=None, high=None, standard_error=None)
    from_seeds = spread**2 / num_seeds
    variance = error**2 + from_seeds
    if variance == 0:
        return Estimate(value=value, low=value, high=value, standard_error=0.0)
    freedom = np.inf if from_seeds == 0 else (num_seeds - 1) * (variance / from_seeds) ** 2
    reach = float(student.ppf(0.975, freedom) * np.sqrt(variance))
    return Estimate(
        value=value, low=value - reach, high=value + reach, standard_error=float(variance**0.5)
    )
