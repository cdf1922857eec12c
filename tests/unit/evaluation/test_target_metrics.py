"""Metrics of other targets equal scikit-learn, scipy or a slow second implementation."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import (
    average_precision_score,
    cohen_kappa_score,
    r2_score,
    roc_auc_score,
)
from sklearn.metrics import (
    mean_absolute_error as sklearn_error,
)

from medjepa.evaluation import target_metrics as ours
from medjepa.evaluation.metrics import binary_auc

TOLERANCE = 1e-9


def slow_concordance(time, event, risk):
    wins = pairs = 0.0
    for i in range(len(time)):
        for j in range(len(time)):
            first = time[i] < time[j] or (time[i] == time[j] and not event[j])
            if i != j and event[i] and first:
                pairs += 1
                wins += 1.0 if risk[i] > risk[j] else 0.5 if risk[i] == risk[j] else 0.0
    return wins / pairs


def slow_kappa(levels, predicted, num_levels):
    table = np.zeros((num_levels, num_levels))
    for one, other in zip(levels, predicted, strict=True):
        table[one, other] += 1
    chance = np.outer(table.sum(1), table.sum(0)) / table.sum()
    far = np.array([[(i - j) ** 2 for j in range(num_levels)] for i in range(num_levels)])
    return 1 - (far * table).sum() / (far * chance).sum()


@pytest.fixture(params=[0, 1, 2])
def drawn(request):
    """Values, coarse predictions with ties, and counts of a resample."""
    rng = np.random.default_rng(request.param)
    values = rng.integers(0, 6, size=50).astype(float) + rng.normal(size=50).round(1)
    predicted = np.round(values + rng.normal(size=50) * 2, 0)
    return rng, values, predicted, rng.multinomial(50, np.full(50, 1 / 50), size=4).astype(float)


def expanded(counts):
    return np.repeat(np.arange(len(counts)), counts.astype(int))


def check(function, reference, counts):
    """Whole set and every resample, the resample as if its images stood in it several times."""
    everything = np.arange(counts.shape[1])
    assert function(None)[0] == pytest.approx(reference(everything), abs=TOLERANCE)
    for value, row in zip(function(counts), counts, strict=True):
        assert value == pytest.approx(reference(expanded(row)), abs=TOLERANCE)


def test_labels(drawn):
    rng, _, scores, counts = drawn
    positive = rng.random(50) < 0.3
    check(
        lambda w: ours.average_precision(positive, scores, w),
        lambda rows: average_precision_score(positive[rows], scores[rows]),
        counts,
    )
    check(
        lambda w: binary_auc(positive, scores, np.ones((1, 50)) if w is None else w),
        lambda rows: roc_auc_score(positive[rows], scores[rows]),
        counts,
    )


def test_levels(drawn):
    rng, _, _, counts = drawn
    levels, predicted = rng.integers(0, 4, size=(2, 50))
    check(
        lambda w: ours.quadratic_kappa(levels, predicted, 5, w),
        lambda rows: cohen_kappa_score(levels[rows], predicted[rows], weights="quadratic"),
        counts,
    )
    assert ours.quadratic_kappa(levels, predicted, 4)[0] == pytest.approx(
        slow_kappa(levels, predicted, 4), abs=TOLERANCE
    )


def test_numbers(drawn):
    _, values, predicted, counts = drawn
    for function, reference in (
        (ours.r_squared, r2_score),
        (ours.mean_absolute_error, sklearn_error),
        (ours.spearman, lambda a, b: spearmanr(a, b).statistic),
    ):
        check(
            lambda w, f=function: f(values, predicted, w),
            lambda rows, r=reference: r(values[rows], predicted[rows]),
            counts,
        )


def test_times(drawn):
    rng, _, risk, counts = drawn
    time, event = rng.integers(1, 9, size=50).astype(float), rng.random(50) < 0.6
    check(
        lambda w: ours.concordance(time, event, risk, w),
        lambda rows: slow_concordance(time[rows], event[rows], risk[rows]),
        counts,
    )
    assert ours.concordance(time, event, -(time + 0.5 * ~event))[0] == 1


def test_what_does_not_exist_is_no_number():
    nothing = np.zeros(4)
    assert np.isnan(ours.average_precision(nothing > 0, np.arange(4.0))[0])
    assert np.isnan(ours.r_squared(nothing, np.arange(4.0))[0])
    assert np.isnan(ours.spearman(np.arange(4.0), nothing)[0])
    assert np.isnan(ours.concordance(np.arange(4.0), nothing > 0, nothing)[0])
    assert np.isnan(ours.quadratic_kappa(np.zeros(4, np.int64), np.zeros(4, np.int64), 3)[0])
