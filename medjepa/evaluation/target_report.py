"""Findings, grades, numbers and survival told from frozen features, beside the same baselines.

As for classes: one split by patient, every method on the same resamples of test patients, paired
differences, and a verdict by the rule of `verdict`, here about the target's first metric.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from medjepa.evaluation.assess import package_versions
from medjepa.evaluation.bootstrap import Estimate, PatientBootstrap, estimate
from medjepa.evaluation.metrics import Floats, Integers
from medjepa.evaluation.protocol import Features
from medjepa.evaluation.results import MAJORITY, PRETRAINED, TITLES, Check, LossCurve, Report
from medjepa.evaluation.target import Target
from medjepa.evaluation.target_fits import METRICS, metric_functions, predict, predict_constant
from medjepa.evaluation.target_sections import (
    chosen_parts,
    part_section,
    target_section,
    target_verdict,
    target_warnings,
)
from medjepa.evaluation.task import Task

SOME = 0.95
"""Share of resamples that must have a metric for it to have an interval."""


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """One method's predictions of the test images and what they are worth.

    Attributes:
        key: of the method.
        given: for each seed (num_test, K).
        values: metric -> (S,).
        samples: metric -> (S, R).
    """

    key: str
    given: tuple[Floats, ...]
    values: dict[str, Floats]
    samples: dict[str, Floats]

    def estimate(self, name: str) -> Estimate:
        """The mean over seeds."""
        return some_estimate(float(self.values[name].mean()), self.samples[name].mean(0))

    def minus(self, other: "Predicted", name: str) -> Estimate:
        """Paired difference: same patients, same resamples, seed by seed."""
        value = float((self.values[name] - other.values[name]).mean())
        return some_estimate(value, (self.samples[name] - other.samples[name]).mean(0))


def assess_target(
    methods: Sequence[Features],
    task: Task,
    target: Target,
    *,
    checks: Sequence[Check] = (),
    split: str = "",
    num_unlabelled: int = 0,
    notes: Sequence[str] = (),
    num_resamples: int = 1000,
    seed: int = 0,
    synthetic: bool = False,
    loss_curves: Sequence[LossCurve] = (),
    run: dict[str, str] | None = None,
    progress: Callable[[str], object] = lambda _: None,
) -> Report:
    """Predict a target from every method's features and say whether pre-training helped.

    Args:
        methods: the pre-trained encoder, the untrained one, the plain baselines; in table order.
        task: groups and split; its classes are what the split evens out.
        target: (N, K) values.
        checks: what was looked for before.
        split: how the split was made, for the reader.
        num_unlabelled: images left out because they have no value.
        notes: what the reader should know about the data.
        num_resamples: of the bootstrap over test patients.
        seed: of the resamples.
        synthetic: whether the images are generated.
        loss_curves: of pre-training, for the figure.
        run: facts about the run.
        progress: called with a word on what begins.

    Raises:
        DataError: nothing can be measured, for the reason that it names.
    """
    parts, rare = chosen_parts(target, task)
    progress(f"predict {target.label}")
    nothing = np.zeros(len(task.test), np.int64)  # one class: every resample is complete
    drawn = PatientBootstrap.draw(nothing, task.test_groups, num_resamples=num_resamples, seed=seed)
    given = [
        (one.key, tuple(predict(array, task, target) for array in one.of(task))) for one in methods
    ]
    given.append((MAJORITY, (predict_constant(task, target),)))
    progress("resample patients")
    rows = [_measure(key, predictions, task, target, parts, drawn) for key, predictions in given]
    progress("tables")
    ours = next(row for row in rows if row.key == PRETRAINED)
    seeds = next(one for one in methods if one.key == PRETRAINED).seeds
    primary = METRICS[target.kind][0]
    differences = {row.key: ours.minus(row, primary) for row in rows if row is not ours}
    estimates = {
        row.key: {name: row.estimate(name) for name in METRICS[target.kind]} for row in rows
    }
    sections = [target_section(target, task, estimates, differences, parts, drawn)]
    if len(target.names) > 1 and target.kind in ("multilabel", "ordinal"):
        samples = {row.key: row.given for row in rows}
        sections.append(part_section(target, task, samples, rare, drawn, some_estimate))
    num_patients = None if task.test_groups is None else len(set(task.test_groups))
    return Report(
        verdict=target_verdict(
            target, estimates, differences, num_test=len(task.test), num_patients=num_patients,
            seeds=seeds, parts=parts,
        ),
        label=f"{target.label} ({target.kind})",
        class_names=(),
        num_train=len(task.train),
        num_test=len(task.test),
        train_counts=_counts(target, task.train),
        test_counts=_counts(target, task.test),
        num_train_patients=None if task.train_groups is None else len(set(task.train_groups)),
        num_test_patients=num_patients,
        num_unlabelled=num_unlabelled,
        split=split,
        seeds=seeds,
        methods=(),
        comparisons=(),
        label_efficiency=(),
        embedding_map=None,
        checks=tuple(checks),
        warnings=(*notes, *target_warnings(target, task, rare)),
        num_resamples=len(drawn.counts),
        num_redrawn=0,
        seed=seed,
        synthetic=synthetic,
        loss_curves=tuple(loss_curves),
        sections=tuple(sections),
        run=dict(run or {}),
        versions=package_versions(),
    )  # fmt: skip


def some_estimate(value: float, samples: Floats) -> Estimate:
    """Interval over the resamples that have the metric; none where too many have not."""
    there = np.isfinite(samples)
    if there.mean() < SOME:
        return Estimate(value=value, low=None, high=None, standard_error=None)
    return estimate(value, samples[there])


def _measure(
    key: str,
    given: tuple[Floats, ...],
    task: Task,
    target: Target,
    parts: Integers,
    drawn: PatientBootstrap,
) -> Predicted:
    functions = metric_functions(target, task.test, parts)
    assert key in TITLES
    once = np.ones((1, len(task.test)))
    weights = drawn.counts[:, drawn.patient].astype(np.float64)
    return Predicted(
        key=key,
        given=given,
        values={
            name: np.array([one(scores, once)[0] for scores in given])
            for name, one in functions.items()
        },
        samples={
            name: np.stack([one(scores, weights) for scores in given])
            for name, one in functions.items()
        },
    )


def _counts(target: Target, rows: Integers) -> dict[str, int]:
    values = target.values[rows]
    if target.kind == "multilabel":
        return {name: int((values[:, k] == 1).sum()) for k, name in enumerate(target.names)}
    if target.kind == "ordinal":
        return {name: int((values[:, 0] == k).sum()) for k, name in enumerate(target.names)}
    if target.kind == "survival":
        return {"events": int(values[:, 1].sum()), "censored": int((values[:, 1] == 0).sum())}
    return {}
