"""Metrics of targets other than classes, with patient weights as in `metrics`.

A weight of 2 is the same as the image standing twice in the test set. Each gives (R,) values, NaN
where a resample has none.

Legend: N images, R resamples, L levels.
"""

import numpy as np
from numpy.typing import NDArray

from medjepa.evaluation.metrics import Floats, Integers


def average_precision(
    positive: NDArray[np.bool_], scores: Floats, weights: Floats | None = None
) -> Floats:
    """Precision averaged over the positives, each at its own score; equal scores count together.

    Args:
        positive: (N,).
        scores: (N,), higher means more likely.
        weights: (R, N); None is one resample with all.
    """
    weights = _whole(weights, len(scores))
    order = np.argsort(-scores, kind="stable")
    ordered, is_positive = scores[order], positive[order]
    given = weights[:, order]
    hits = np.cumsum(given * is_positive, axis=1)
    taken = np.cumsum(given, axis=1)
    last = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)  # of equal scores
    hits, taken = hits[:, last], taken[:, last]
    precision = np.divide(hits, taken, out=np.zeros_like(hits), where=taken > 0)
    gained = np.diff(hits, axis=1, prepend=0.0)
    total = hits[:, -1]
    found = (precision * gained).sum(1)
    return np.asarray(np.divide(found, total, out=np.full(len(total), np.nan), where=total > 0))


def quadratic_kappa(
    levels: Integers, predicted: Integers, num_levels: int, weights: Floats | None = None
) -> Floats:
    """Cohen's kappa, disagreements weighted by the square of their distance (Cohen 1968).

    Args:
        levels: (N,) from 0 to L - 1.
        predicted: (N,) likewise.
        num_levels: L.
        weights: (R, N); None is one resample with all.
    """
    weights = _whole(weights, len(levels))
    apart = (levels - predicted).astype(np.float64) ** 2
    seen = weights @ apart
    place = np.arange(num_levels, dtype=np.float64)
    distance = (place[:, None] - place[None]) ** 2
    own = weights @ np.eye(num_levels)[levels]
    guessed = weights @ np.eye(num_levels)[predicted]
    expected = np.einsum("rl,lm,rm->r", own, distance, guessed)
    total = weights.sum(1)
    ratio = np.divide(seen * total, expected, out=np.full(len(total), np.nan), where=expected > 0)
    return np.asarray(1 - ratio)


def r_squared(values: Floats, predicted: Floats, weights: Floats | None = None) -> Floats:
    """Share of the variance of the test values (N,) that is explained; below 0 is worse than it."""
    weights = _whole(weights, len(values))
    total = weights.sum(1)
    mean = weights @ values / total
    left = weights @ (values - predicted) ** 2
    spread = (weights * (values[None] - mean[:, None]) ** 2).sum(1)
    ratio = np.divide(left, spread, out=np.full(len(total), np.nan), where=spread > 0)
    return np.asarray(1 - ratio)


def mean_absolute_error(values: Floats, predicted: Floats, weights: Floats | None = None) -> Floats:
    """In the units of the values (N,)."""
    weights = _whole(weights, len(values))
    return np.asarray(weights @ np.abs(values - predicted) / weights.sum(1))


def spearman(values: Floats, predicted: Floats, weights: Floats | None = None) -> Floats:
    """Correlation of the ranks of (N,) values, equal ones at their mean; NaN for a constant."""
    weights = _whole(weights, len(values))
    first, second = _ranks(values, weights), _ranks(predicted, weights)
    total = weights.sum(1, keepdims=True)
    first -= (weights * first).sum(1, keepdims=True) / total
    second -= (weights * second).sum(1, keepdims=True) / total
    together = (weights * first * second).sum(1)
    scale = np.sqrt((weights * first**2).sum(1) * (weights * second**2).sum(1))
    return np.asarray(
        np.divide(together, scale, out=np.full(len(together), np.nan), where=scale > 1e-9)
    )


def concordance(
    time: Floats, event: NDArray[np.bool_], risk: Floats, weights: Floats | None = None
) -> Floats:
    """Share of comparable pairs in which the higher risk had the earlier event (Harrell 1982).

    A pair is comparable where the earlier time is an event; a censored patient outlives an event at
    the same time. Equal risks count half.

    Args:
        time: (N,) until the event or the end of follow-up.
        event: (N,) whether it happened.
        risk: (N,), higher means earlier.
        weights: (R, N); None is one resample with all.
    """
    weights = _whole(weights, len(time))
    wins, pairs = np.zeros(len(weights)), np.zeros(len(weights))
    for place in np.flatnonzero(event):  # a table of all pairs does not fit for many images
        later = (time > time[place]) | ((time == time[place]) & ~event)
        if not later.any():
            continue
        better = np.where(risk[later] < risk[place], 1.0, 0.5 * (risk[later] == risk[place]))
        others = weights[:, later]
        pairs += weights[:, place] * others.sum(1)
        wins += weights[:, place] * (others @ better)
    return np.asarray(np.divide(wins, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0))


def _whole(weights: Floats | None, num: int) -> Floats:
    return np.ones((1, num)) if weights is None else weights


def _ranks(values: Floats, weights: Floats) -> Floats:
    """Mean rank of each value among all copies, from half; (R, N)."""
    _, group = np.unique(values, return_inverse=True)
    each = np.zeros((len(weights), int(group.max()) + 1))
    for place, number in enumerate(group):
        each[:, number] += weights[:, place]
    before = np.cumsum(each, axis=1) - each
    return np.asarray((before + each / 2)[:, group])
