"""What frozen features predict of a target's test images, and how good that is.

Legend: N images, K findings or columns, L levels, R resamples.
"""

from collections.abc import Callable

import numpy as np

from medjepa.evaluation.cox import CoxProbe
from medjepa.evaluation.folds import validation_folds
from medjepa.evaluation.label_efficiency import COARSE_GRID
from medjepa.evaluation.metrics import Floats, Integers, binary_auc
from medjepa.evaluation.probes import LogisticProbe
from medjepa.evaluation.protocol import widen
from medjepa.evaluation.ridge import RidgeProbe
from medjepa.evaluation.target import Kind, Target
from medjepa.evaluation.target_metrics import (
    average_precision,
    concordance,
    mean_absolute_error,
    quadratic_kappa,
    r_squared,
    spearman,
)
from medjepa.evaluation.task import Task

METRICS: dict[Kind, tuple[str, ...]] = {
    "multilabel": ("macro AUC", "macro average precision"),
    "ordinal": ("quadratic kappa", "AUC of each level and above"),
    "regression": ("R2", "mean absolute error", "Spearman correlation"),
    "survival": ("concordance",),
}
"""The first one decides the verdict."""

MODELS: dict[Kind, str] = {
    "multilabel": "a logistic regression for each finding, C among 12 decades",
    "ordinal": "logistic regression over the levels, C among 45 values",
    "regression": "ridge regression, its penalty among 45 values",
    "survival": "Cox regression with an L2 penalty among 10 decades",
}


def predict(array: Floats, task: Task, target: Target) -> Floats:
    """Learn from the training images, predict the test images.

    Settings are chosen on training patients that a fit has not seen.

    Returns:
        (num_test, K) probabilities of findings, (num_test, L) of levels, or (num_test, 1) a value
        or a log hazard.
    """
    groups = task.train_groups
    x, y = array[task.train], target.values[task.train]
    if target.kind == "multilabel":
        columns = [_finding(array, task, target.values[:, k]) for k in range(len(target.names))]
        return np.stack(columns, axis=1)
    strata = target.strata[task.train]
    folds = validation_folds(strata, groups)
    if target.kind == "ordinal":
        probe = LogisticProbe().fit(x, strata, groups, folds=folds)
        scores = probe.predict_proba(array[task.test])
        return widen(scores, probe.classes_, len(target.names))
    if target.kind == "regression":
        return RidgeProbe().fit(x, y[:, 0], folds=folds).predict(array[task.test])[:, None]
    cox = CoxProbe().fit(x, y[:, 0], y[:, 1] == 1, folds=folds)
    return cox.predict(array[task.test])[:, None]


def predict_constant(task: Task, target: Target) -> Floats:
    """The same for every test image: how frequent each is in training, the mean, no risk."""
    y, num = target.values[task.train], len(task.test)
    if target.kind == "multilabel":
        there = np.maximum(1, (~np.isnan(y)).sum(0))
        return np.tile(np.nansum(y, axis=0) / there, (num, 1))
    if target.kind == "ordinal":
        counts = np.bincount(target.strata[task.train], minlength=len(target.names))
        return np.tile(counts / len(y), (num, 1))
    return np.full((num, 1), y[:, 0].mean() if target.kind == "regression" else 0.0)


def _finding(array: Floats, task: Task, values: Floats) -> Floats:
    """Probability of one finding, learnt from the images that say whether it is there."""
    known = ~np.isnan(values[task.train])
    rows = task.train[known]
    y = values[rows].astype(np.int64)
    if len(np.unique(y)) < 2:
        return np.full(len(task.test), y.mean() if len(y) else 0.0)
    groups = None if task.groups is None else tuple(task.groups[i] for i in rows)
    folds = validation_folds(y, groups)
    probe = LogisticProbe(c_grid=COARSE_GRID).fit(array[rows], y, groups, folds=folds)
    return probe.predict_proba(array[task.test])[:, 1]


def usable(values: Floats) -> bool:
    """Whether a finding is both there and not there among some test images; values (N,)."""
    return bool((values == 1).any() and (values == 0).any())


def metric_functions(
    target: Target, test: Integers, chosen: Integers
) -> dict[str, Callable[[Floats, Floats], Floats]]:
    """Metric -> function of predictions and weights (R, num_test), giving (R,).

    Args:
        target: the values.
        test: the test images.
        chosen: findings that a macro average is over, or levels above the lowest.
    """
    values = target.values[test]
    one, parts = values[:, 0], [int(k) for k in chosen]
    if target.kind == "multilabel":
        return {
            "macro AUC": lambda given, weights: _mean(
                [finding_auc(values[:, k], given[:, k], weights) for k in parts]
            ),
            "macro average precision": lambda given, weights: _mean(
                [finding_precision(values[:, k], given[:, k], weights) for k in parts]
            ),
        }
    if target.kind == "ordinal":
        levels, num = one.astype(np.int64), len(target.names)
        return {
            "quadratic kappa": lambda given, weights: quadratic_kappa(
                levels, given.argmax(1).astype(np.int64), num, weights
            ),
            "AUC of each level and above": lambda given, weights: _mean(
                [level_auc(levels, given, k, weights) for k in parts]
            ),
        }
    if target.kind == "regression":
        return {
            "R2": lambda given, weights: r_squared(one, given[:, 0], weights),
            "mean absolute error": lambda given, weights: mean_absolute_error(
                one, given[:, 0], weights
            ),
            "Spearman correlation": lambda given, weights: spearman(one, given[:, 0], weights),
        }
    event = values[:, 1] == 1
    return {"concordance": lambda given, weights: concordance(one, event, given[:, 0], weights)}


def finding_auc(values: Floats, scores: Floats, weights: Floats) -> Floats:
    """AUC of one finding among the images (N,) that say whether it is there; (R,)."""
    known = ~np.isnan(values)
    return binary_auc(values[known] == 1, scores[known], weights[:, known])


def finding_precision(values: Floats, scores: Floats, weights: Floats) -> Floats:
    """Average precision of one finding, likewise."""
    known = ~np.isnan(values)
    return average_precision(values[known] == 1, scores[known], weights[:, known])


def level_auc(levels: Integers, chances: Floats, level: int, weights: Floats) -> Floats:
    """AUC of telling `level` and above from below; chances (N, L)."""
    # Sums of equal chances may differ in their last digit, which would break ties.
    above = chances[:, level:].sum(1).round(12)
    return binary_auc(levels >= level, above, weights)


def _mean(parts: list[Floats]) -> Floats:
    return np.asarray(np.mean(parts, axis=0)) if parts else np.full(1, np.nan)
