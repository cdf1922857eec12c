"""From found boxes to a table: average precision with intervals over patients, and a verdict.

The intervals hold the chance of drawing these patients; seeds are another source of chance, whose
numbers stand beside them.

Legend: R resamples, K classes, S seeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medjepa.errors import DataError
from medjepa.evaluation.bootstrap import Estimate, PatientBootstrap, estimate
from medjepa.evaluation.detection_metrics import ImageBoxes, average_precision, froc, match
from medjepa.evaluation.detection_results import (
    AP_50,
    MEAN_AP,
    PRETRAINED,
    SCRATCH,
    TITLES,
    CaseBoxes,
    ClassResult,
    DetectionComparison,
    DetectionPart,
    DetectionRow,
)
from medjepa.evaluation.gain import HEADLINES, fraction_name, judge
from medjepa.evaluation.metrics import Floats
from medjepa.evaluation.results import Verdict
from medjepa.evaluation.trained import row_fields
from medjepa.evaluation.verdict import interval, share

WORTHWHILE = 0.01
"""The smallest gain in mAP that we call help, and the largest that we call none."""
_ENOUGH_RESAMPLES = 0.9


@dataclass(frozen=True, kw_only=True)
class _Numbers:
    """One network's numbers; the first row is of all images, the others of the resamples.

    `precision` (1 + R, K, 2) holds mAP@[.5:.95] and mAP@.5 of each class, `sensitivity`
    (1 + R, rates).
    """

    precision: Floats
    sensitivity: Floats

    @property
    def mean(self) -> Floats:
        """(1 + R, 2) over the classes that a resample holds."""
        defined = np.isfinite(self.precision)
        total = np.where(defined, self.precision, 0.0).sum(1)
        count = defined.sum(1)
        return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def tabulate(
    parts: Sequence[DetectionPart],
    class_names: Sequence[str],
    *,
    num_resamples: int,
    seed: int,
) -> tuple[tuple[DetectionRow, ...], tuple[DetectionComparison, ...]]:
    """Rows and paired differences, all on the same resamples of the patients.

    Args:
        parts: what each network found.
        class_names: of the objects.
        num_resamples: of the bootstrap over patients.
        seed: of the resamples.

    Raises:
        DataError: two rows have not the same images.
    """
    grouped: dict[tuple[str, float], dict[int, list[DetectionPart]]] = {}
    for part in parts:
        seeds = grouped.setdefault((part.method, part.fraction), {})
        seeds.setdefault(part.seed, []).append(part)
    first = _cases(next(iter(next(iter(grouped.values())).values())))
    patients = [case.patient for case in first]
    bootstrap = PatientBootstrap.draw(
        np.zeros(len(first), np.int64), patients, num_resamples=num_resamples, seed=seed
    )
    counts = bootstrap.counts[:, bootstrap.patient].astype(np.int64)
    counts = np.concatenate([np.ones((1, len(first)), np.int64), counts])
    numbers: dict[tuple[str, float], list[_Numbers]] = {}
    for key, own in grouped.items():
        numbers[key] = []
        for pieces in own.values():
            cases = _cases(pieces)
            if [case.case for case in cases] != [case.case for case in first]:
                raise DataError("two networks of the study were tested on other images")
            numbers[key].append(_numbers(cases, len(class_names), counts))
    order = list(TITLES)
    keys = sorted(grouped, key=lambda key: (-key[1], order.index(key[0])))
    rows = tuple(_row(key, grouped[key], numbers[key], class_names, first) for key in keys)
    comparisons = []
    for method, fraction in keys:
        ours = numbers.get((PRETRAINED, fraction))
        if method == PRETRAINED or ours is None:
            continue
        theirs = numbers[method, fraction]
        for place, metric in enumerate((MEAN_AP, AP_50)):
            pairs = [
                a.mean[:, place] - b.mean[:, place] for a, b in zip(ours, theirs, strict=False)
            ]
            comparisons.append(
                DetectionComparison(
                    against=method,
                    fraction=fraction,
                    metric=metric,
                    difference=_estimate(np.mean(pairs, axis=0)),
                    per_seed=tuple(_estimate(pair) for pair in pairs),
                )
            )
    return rows, tuple(comparisons)


def decide(
    rows: Sequence[DetectionRow],
    comparisons: Sequence[DetectionComparison],
    fraction: float,
    *,
    num_patients: int,
    patients_known: bool,
) -> Verdict:
    """Whether pre-training helped mAP@[.5:.95], by the rule of `gain`."""
    who = f"{num_patients:,} " + ("patients" if patients_known else "images, patients unknown")
    labels = fraction_name(fraction)
    at = {row.method: row for row in rows if row.fraction == fraction}
    gains = {c.against: c for c in comparisons if (c.fraction, c.metric) == (fraction, MEAN_AP)}
    cannot = HEADLINES["cannot tell"]
    if PRETRAINED not in at or SCRATCH not in gains:
        return Verdict(
            outcome="cannot tell",
            headline=cannot,
            sentence=f"{cannot}: with {labels}, not both networks were run, on {who}.",
            baseline="",
            detectable=None,
        )
    gain, seeds = gains[SCRATCH].difference, gains[SCRATCH].per_seed
    outcome, because = judge(
        gain,
        list(zip(at[PRETRAINED].seeds, seeds, strict=False)),
        worthwhile=WORTHWHILE,
        num_patients=num_patients,
    )
    headline = HEADLINES[outcome]
    ours, scratch = at[PRETRAINED].scores[MEAN_AP], at[SCRATCH].scores[MEAN_AP]
    return Verdict(
        outcome=outcome,
        headline=headline,
        sentence=(
            f"{headline}: with {labels} mAP@[.5:.95] {share(ours.value)} {interval(ours)} against "
            f"{share(scratch.value)} {interval(scratch)} from scratch, difference "
            f"{share(gain.value, sign=True)} {interval(gain, sign=True)}, on {who} "
            f"({len(seeds)} seed{'s' if len(seeds) > 1 else ''}); {because}."
        ),
        baseline="",
        detectable=gain.detectable,
    )


def _numbers(cases: Sequence[CaseBoxes], num_classes: int, counts: np.ndarray) -> _Numbers:
    images = [image_boxes(case) for case in cases]
    matched = [match(images, label) for label in range(num_classes)]
    precision = np.full((len(counts), num_classes, 2), np.nan)
    for label, own in enumerate(matched):
        levels = average_precision(own, counts)
        precision[:, label, 0], precision[:, label, 1] = levels.mean(1), levels[:, 0]
    return _Numbers(precision=precision, sensitivity=froc(matched, counts))


def image_boxes(case: CaseBoxes) -> ImageBoxes:
    """A case as the metrics take it."""
    return ImageBoxes(
        truth=np.asarray(case.truth, np.float64).reshape(-1, 4),
        truth_labels=np.asarray(case.truth_labels, np.int64),
        found=np.asarray(case.found, np.float64).reshape(-1, 4),
        found_labels=np.asarray(case.found_labels, np.int64),
        scores=np.asarray(case.scores, np.float64),
    )


def _row(
    key: tuple[str, float],
    seeds: dict[int, list[DetectionPart]],
    numbers: Sequence[_Numbers],
    class_names: Sequence[str],
    cases: Sequence[CaseBoxes],
) -> DetectionRow:
    mean = np.mean([one.mean for one in numbers], axis=0)
    precision = np.mean([one.precision for one in numbers], axis=0)
    sensitivity = np.mean([one.sensitivity for one in numbers], axis=0)
    return DetectionRow(
        **row_fields(*key, TITLES[key[0]], seeds),
        scores={MEAN_AP: _estimate(mean[:, 0]), AP_50: _estimate(mean[:, 1])},
        classes=tuple(
            ClassResult(
                name=name,
                num_truth=sum(case.truth_labels.count(label) for case in cases),
                scores={
                    MEAN_AP: _estimate(precision[:, label, 0]),
                    AP_50: _estimate(precision[:, label, 1]),
                },
            )
            for label, name in enumerate(class_names)
        ),
        sensitivities=tuple(_estimate(column) for column in sensitivity.T),
        per_seed=tuple(_estimate(one.mean[:, 0]) for one in numbers),
    )


def _estimate(values: Floats) -> Estimate:
    """The first is of all images, the others of resamples; some may hold no true box."""
    samples = values[1:][np.isfinite(values[1:])]
    if len(samples) < _ENOUGH_RESAMPLES * (len(values) - 1):
        samples = samples[:0]
    return estimate(float(values[0]), samples)


def _cases(parts: Sequence[DetectionPart]) -> list[CaseBoxes]:
    """The images of all folds, by number."""
    return sorted((case for part in parts for case in part.cases), key=lambda case: case.case)
