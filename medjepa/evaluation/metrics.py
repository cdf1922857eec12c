"""Metrics that take patient weights, so that a thousand bootstrap resamples are one call.

Legend: N images, C classes, R resamples.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

METRICS = ("auc", "balanced_accuracy", "accuracy")
"""Measured everywhere; the first decides the verdict, the last is kept out of tables: it says
little where classes are rare."""


def macro_auc(labels: Integers, scores: Floats, weights: Floats | None = None) -> Floats:
    """One-vs-rest area under the ROC curve, averaged over the classes that occur in `labels`.

    Ties count half, as in the Mann-Whitney statistic, so equal scores give exactly 0.5.

    Args:
        labels: (N,) class indices.
        scores: (N, C), higher means more likely; with two classes only the second column counts.
        weights: (R, N) how often each image stands in each resample; None is one resample with all.

    Returns:
        (R,) areas; NaN where a class that occurs in `labels` has no weight in the resample.
    """
    weights = np.ones((1, len(labels))) if weights is None else weights
    num_classes = scores.shape[1]
    # With two classes both areas are equal, and 1 - p can round to other ties than p.
    columns = [1] if num_classes == 2 else list(range(num_classes))
    areas = [
        binary_auc(labels == column, scores[:, column], weights)
        for column in columns
        if 0 < np.count_nonzero(labels == column) < len(labels)
    ]
    if not areas:
        return np.full(len(weights), np.nan)
    return np.asarray(np.mean(areas, axis=0))


def binary_auc(positive: NDArray[np.bool_], scores: Floats, weights: Floats) -> Floats:
    """Probability that a positive scores above a negative, by sorting and cumulative sums.

    Args:
        positive: (N,).
        scores: (N,).
        weights: (R, N).

    Returns:
        (R,) areas; NaN where a resample has no positive or no negative.
    """
    order = np.argsort(scores, kind="stable")
    ordered_scores, ordered_weights = scores[order], weights[:, order]
    negative_weights = np.where(positive[order], 0.0, ordered_weights)
    # below[:, i] is the weight of the negatives that stand before place i.
    below = np.zeros((len(weights), len(scores) + 1))
    np.cumsum(negative_weights, axis=1, out=below[:, 1:])
    places = np.flatnonzero(positive[order])
    first = np.searchsorted(ordered_scores, ordered_scores[places], side="left")
    after = np.searchsorted(ordered_scores, ordered_scores[places], side="right")
    positive_weights = ordered_weights[:, places]
    wins = (positive_weights * (below[:, first] + below[:, after])).sum(1) / 2
    pairs = positive_weights.sum(1) * below[:, -1]
    area = np.divide(wins, pairs, out=np.full(len(weights), np.nan), where=pairs > 0)
    return np.asarray(area)


def balanced_accuracy(labels: Integers, scores: Floats, weights: Floats | None = None) -> Floats:
    """Recall averaged over the classes that occur in `labels`; the prediction is the highest score.

    Args:
        labels: (N,) class indices.
        scores: (N, C); the first of equally high scores wins.
        weights: (R, N) as in `macro_auc`.

    Returns:
        (R,) averages; NaN where a class that occurs in `labels` has no weight in the resample.
    """
    weights = np.ones((1, len(labels))) if weights is None else weights
    correct = scores.argmax(1) == labels
    members = np.equal(labels[:, None], np.unique(labels)[None])
    total = weights @ members.astype(np.float64)
    hits = weights @ (members & correct[:, None]).astype(np.float64)
    recall = np.divide(hits, total, out=np.full(total.shape, np.nan), where=total > 0)
    return np.asarray(recall.mean(1))


def accuracy(labels: Integers, scores: Floats, weights: Floats | None = None) -> Floats:
    """Share of right predictions; arguments and result as in `balanced_accuracy`."""
    weights = np.ones((1, len(labels))) if weights is None else weights
    correct = (scores.argmax(1) == labels).astype(np.float64)
    total = weights.sum(1)
    hits = weights @ correct
    return np.asarray(np.divide(hits, total, out=np.full(len(total), np.nan), where=total > 0))


def metric(name: str, labels: Integers, scores: Floats, weights: Floats | None = None) -> Floats:
    """Evaluate the metric called `name` (one of `METRICS`); (R,)."""
    functions = {
        "auc": macro_auc,
        "balanced_accuracy": balanced_accuracy,
        "accuracy": accuracy,
    }
    return functions[name](labels, scores, weights)
