"""From what classifiers said of the test part to rows, differences, verdicts, and labels' worth.

Draws are other patients to learn from and another start of training: a source of chance of its own.
Their mean is the value, their standard deviation stands beside it as the spread over draws, and the
interval, over test patients, does not hold it.

Legend: N test images, C classes, F shares, R resamples.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medjepa.evaluation.bootstrap import Estimate, estimate
from medjepa.evaluation.classify_curve import Equivalence, equivalence
from medjepa.evaluation.classify_results import (
    FROZEN,
    MAJORITY,
    METRICS,
    PRETRAINED,
    SCRATCH,
    TITLES,
    Difference,
    Part,
    Row,
)
from medjepa.evaluation.metrics import Floats, metric
from medjepa.evaluation.resamples import Resamples
from medjepa.evaluation.results import Verdict
from medjepa.evaluation.task import Task
from medjepa.evaluation.verdict import (
    HEADLINES,
    MIN_CLASS_PATIENTS,
    MIN_PATIENTS,
    interval,
    judge,
    share,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """A row with what is behind it: metric -> (R,) the mean over draws on every resample."""

    row: Row
    samples: dict[str, Floats]


def measure_rows(parts: Sequence[Part], task: Task, resamples: Resamples) -> list[Measured]:
    """One row for each method and share, in table order, the majority's last at each share."""
    found = []
    labels = task.target[task.test]
    for fraction in sorted({part.fraction for part in parts}, reverse=True):
        for method in TITLES:
            own = [p for p in parts if (p.method, p.fraction) == (method, fraction)]
            if method == MAJORITY:
                own = [_majority(fraction, task)]
            if not own:
                continue
            values = {
                name: tuple(float(metric(name, labels, part.scores)[0]) for part in own)
                for name in METRICS
            }
            samples = {
                name: np.mean(
                    [resamples.parts[0].samples(name, labels, part.scores) for part in own], axis=0
                )
                for name in METRICS
            }
            row = Row(
                method=method,
                title=TITLES[method],
                fraction=fraction,
                num_draws=len(own),
                num_labels=tuple(part.num_labels for part in own),
                num_patients=tuple(part.num_patients for part in own),
                num_validation=tuple(part.num_validation for part in own),
                num_parameters=own[0].num_parameters,
                num_steps=tuple(part.num_steps for part in own),
                best_step=tuple(part.best_step for part in own),
                seconds=tuple(part.seconds for part in own),
                scores={
                    name: estimate(float(np.mean(values[name])), samples[name]) for name in METRICS
                },
                per_draw=values,
                spread={
                    name: float(np.std(values[name], ddof=1)) if len(own) > 1 else None
                    for name in METRICS
                },
            )
            found.append(Measured(row=row, samples=samples))
    return found


def _majority(fraction: float, task: Task) -> Part:
    """The most frequent class of the training part, whatever the image."""
    scores = np.zeros((len(task.test), len(task.class_names)))
    scores[:, np.bincount(task.target[task.train]).argmax()] = 1
    return Part(
        method=MAJORITY, fraction=fraction, draw=0, num_labels=0, num_patients=0, num_validation=0,
        num_parameters=0, num_steps=0, best_step=0, seconds=0.0, scores=scores,
    )  # fmt: skip


def compare_rows(measured: Sequence[Measured]) -> list[Difference]:
    """Pre-trained minus each other row of the same share, on the same resamples."""
    ours = {one.row.fraction: one for one in measured if one.row.method == PRETRAINED}
    found = []
    for other in measured:
        mine = ours.get(other.row.fraction)
        if mine is None or other is mine:
            continue
        for name in METRICS:
            first, second = mine.row.per_draw[name], other.row.per_draw[name]
            found.append(
                Difference(
                    against=other.row.method,
                    fraction=other.row.fraction,
                    metric=name,
                    difference=estimate(
                        mine.row.scores[name].value - other.row.scores[name].value,
                        mine.samples[name] - other.samples[name],
                    ),
                    per_draw=tuple(a - b for a, b in zip(first, second, strict=True))
                    if len(first) == len(second)
                    else (),
                )
            )
    return found


def too_small(task: Task) -> str:
    """Why the test part can decide nothing, as half a sentence; "" if it can."""
    groups = task.test_groups or tuple(str(i) for i in task.test)
    unit = "images" if task.groups is None else "patients"
    if (num := len(set(groups))) < MIN_PATIENTS:
        return f"{num} test {unit} are too few (a bootstrap needs {MIN_PATIENTS} or more)"
    for number, name in enumerate(task.class_names):
        held = {groups[i] for i, label in enumerate(task.target[task.test]) if label == number}
        if len(held) < MIN_CLASS_PATIENTS:
            return f"class {name!r} has only {len(held)} test {unit}"
    return ""


def decide_all(
    measured: Sequence[Measured], differences: Sequence[Difference], small: str
) -> list[Verdict]:
    """Whether pre-training helped, at each share of the labels, the largest first."""
    rows = {(one.row.method, one.row.fraction): one.row for one in measured}
    gains = {d.fraction: d for d in differences if d.metric == "auc" and d.against == SCRATCH}
    return [
        _decide(rows[PRETRAINED, fraction], rows[SCRATCH, fraction], gain, rows, small)
        for fraction, gain in sorted(gains.items(), reverse=True)
    ]


def _decide(
    ours: Row, scratch: Row, gain: Difference, rows: dict[tuple[str, float], Row], small: str
) -> Verdict:
    difference = gain.difference
    outcome, because, detectable = judge(difference, small)
    if outcome == "helped" and (doubt := _disagreement(gain)):
        outcome, because = "cannot tell", f"the interval lies above zero, but {doubt}"
    headline = HEADLINES[outcome]
    draws = f"{ours.num_draws} draws" if ours.num_draws > 1 else "one draw: another may differ"
    sentence = (
        f"{headline}: with {100 * ours.fraction:g} % of the labels AUC "
        f"{_written(ours.scores['auc'])} fine-tuned against {_written(scratch.scores['auc'])} from "
        f"scratch, difference {_written(difference, sign=True)} ({draws}); {because}."
    )
    frozen = rows.get((FROZEN, ours.fraction))
    baseline = (
        f"The frozen encoder with logistic regression reaches {_written(frozen.scores['auc'])}."
        if frozen
        else ""
    )
    return Verdict(
        outcome=outcome,
        headline=headline,
        sentence=sentence,
        baseline=baseline,
        detectable=detectable,
    )


def _disagreement(gain: Difference) -> str:
    """Why draws forbid a verdict, as half a sentence; "" if they agree."""
    agree = all(one > 0 for one in gain.per_draw)
    return "" if agree else "not every draw of labels points that way"


def _written(one: Estimate, *, sign: bool = False) -> str:
    return f"{share(one.value, sign=sign)} {interval(one, sign=sign)}"


def equivalences(
    measured: Sequence[Measured], differences: Sequence[Difference], small: str
) -> list[Equivalence]:
    """As good as scratch with N times the labels, at each share, the largest first."""
    scratch = sorted(
        (one for one in measured if one.row.method == SCRATCH), key=lambda one: one.row.fraction
    )
    if not scratch:
        return []
    num_labels = [float(np.mean(one.row.num_labels)) for one in scratch]
    curve = np.array([one.row.scores["auc"].value for one in scratch])
    resampled = np.stack([one.samples["auc"] for one in scratch], axis=1)
    gains = {d.fraction: d for d in differences if d.metric == "auc" and d.against == SCRATCH}
    return [
        equivalence(
            one.row.fraction,
            num_labels,
            float(np.mean(one.row.num_labels)),
            (curve, resampled),
            (one.row.scores["auc"].value, one.samples["auc"]),
            gains[one.row.fraction].difference,
            too_small=small or _disagreement(gains[one.row.fraction]),
        )
        for one in measured
        if one.row.method == PRETRAINED and one.row.fraction in gains
    ]
