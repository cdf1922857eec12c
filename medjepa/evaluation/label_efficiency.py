"""How good each kind of features is when only a few patients are labelled."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from medjepa.evaluation.folds import draw_labels
from medjepa.evaluation.metrics import METRICS, Floats, Integers, metric
from medjepa.evaluation.probes import LogisticProbe
from medjepa.evaluation.protocol import Features, Task, score_test_images, split_folds
from medjepa.evaluation.results import LabelPoint

COARSE_GRID = tuple(10.0**power for power in range(-6, 6))
"""Whole decades of C: the curve has dozens of fits for each one of the table."""

FRACTIONS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0)


def label_efficiency(
    methods: Sequence[Features],
    task: Task,
    *,
    fractions: Sequence[float] = FRACTIONS,
    num_draws: int = 5,
    seed: int = 0,
    balanced: bool = False,
    with_all: Mapping[str, Sequence[Floats]] | None = None,
    advance: Callable[[int], object] | None = None,
) -> tuple[LabelPoint, ...]:
    """Linear probe on growing shares of the labelled patients, several draws each.

    Within a draw the smaller shares are parts of the larger ones, and every method sees the same
    draws. C is chosen inside the drawn patients, among whole decades. All patients are one draw.

    Args:
        methods: kinds of features.
        task: labels and split; draws come from its training images.
        fractions: shares of the patients of each class, at least one patient a class.
        num_draws: repetitions.
        seed: of the draws.
        balanced: each class counts alike in the linear probe.
        with_all: method -> for each of its arrays the scores (num_test, C) that the table's probe,
            which learnt from all labels, gave; what is not there is fitted again.
        advance: called with 1 after each fit.
    """
    values: dict[tuple[str, float], list[tuple[int, dict[str, float]]]] = {
        (method.key, fraction): [] for method in methods for fraction in fractions
    }
    for fraction in fractions:
        # With all labels it is the table's number: taken from there, or found the same way.
        grid = None if fraction == 1 else COARSE_GRID
        for draw in range(num_draws if fraction < 1 else 1):
            chosen = draw_labels(
                task.target[task.train],
                task.train_groups,
                fraction,
                rng=np.random.default_rng((seed, draw)),
            )
            for method in methods:
                known = (with_all or {}).get(method.key) if fraction == 1 else None
                scores = (
                    _fit_and_score(method, task, chosen, grid, balanced=balanced)
                    if known is None
                    else _mean_metrics(known, task)
                )
                values[method.key, fraction].append((len(chosen), scores))
                if advance is not None:
                    advance(1)
    return tuple(
        LabelPoint(
            method=key,
            fraction=fraction,
            num_labeled=tuple(num for num, _ in draws),
            auc=tuple(scores["auc"] for _, scores in draws),
            balanced_accuracy=tuple(scores["balanced_accuracy"] for _, scores in draws),
            accuracy=tuple(scores["accuracy"] for _, scores in draws),
        )
        for (key, fraction), draws in values.items()
    )


def _fit_and_score(
    method: Features,
    task: Task,
    chosen: Integers,
    grid: Sequence[float] | None,
    *,
    balanced: bool,
) -> dict[str, float]:
    """Every metric on the test images after learning from `chosen` (into the training images)."""
    rows, folds = task.train[chosen], split_folds(task, chosen)
    found = []
    for array in method.arrays:
        probe = LogisticProbe(c_grid=grid, balanced=balanced)
        probe.fit(array[rows], task.target[rows], folds=folds)
        found.append(score_test_images(probe, array, task))
    return _mean_metrics(found, task)


def _mean_metrics(scores: Sequence[Floats], task: Task) -> dict[str, float]:
    labels = task.target[task.test]
    found = [[float(metric(name, labels, one)[0]) for name in METRICS] for one in scores]
    return dict(zip(METRICS, np.mean(found, axis=0).tolist(), strict=True))
