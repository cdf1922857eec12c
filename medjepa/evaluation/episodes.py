"""Few-shot learning by the thousand: draw labelled images of each class, classify the test images.

SimpleShot (Wang et al. 2019): features are centred by the mean of all training images, which takes
no label, and scaled to unit length. Three classifiers learn from the same draws: the nearest class
mean, softmax regression, and cosine neighbours. All episodes of a batch are one array.

Legend: E episodes, C classes, K shots (images a class), S = C * K support images, N test images,
D features.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from medjepa.evaluation.folds import group_index
from medjepa.evaluation.metrics import Floats, Integers
from medjepa.evaluation.probes import unit_rows

CLASSIFIERS = ("nearest class mean", "logistic regression", "neighbours")
TEMPERATURE = 0.07
MOST_NEIGHBOURS = 20
STRENGTH = 10.0
"""C of the regression, fixed: a few images leave none to choose it on."""

_TOLERANCE = 1e-3
_MOST_STEPS = 400


def draw_episodes(
    target: Integers,
    groups: Sequence[str] | None,
    num_shots: int,
    num_episodes: int,
    rng: np.random.Generator,
) -> Integers | None:
    """Choose K patients of each class and an image of each; (E, C, K), None if a class has fewer.

    Args:
        target: (N,) class indices of the training images, no gaps.
        groups: (N,) patients; None takes every image as its own.
        num_shots: K.
        num_episodes: E.
        rng: of the draws.
    """
    patient = group_index(len(target), groups)
    chosen = []
    for label in range(int(target.max()) + 1):
        images = np.flatnonzero(target == label)
        images = images[np.argsort(patient[images], kind="stable")]
        _, first, count = np.unique(patient[images], return_index=True, return_counts=True)
        if len(first) < num_shots:
            return None
        order = rng.random((num_episodes, len(first))).argsort(1)[:, :num_shots]
        within = (rng.random(order.shape) * count[order]).astype(np.int64)
        chosen.append(images[first[order] + within])
    return np.stack(chosen, axis=1).astype(np.int64)


def simple_shot(x: Floats, train: Integers) -> Floats:
    """Centre (N, D) by the training images' mean, scale rows to unit length."""
    return unit_rows(x - x[train].mean(0))


def classify(name: str, support: Floats, test: Floats) -> Floats:
    """Log-scores (E, N, C), up to a constant for each image, of the classifier called `name`.

    Args:
        name: one of `CLASSIFIERS`.
        support: (E, C, K, D) as `simple_shot` makes them.
        test: (N, D) likewise.
    """
    num_episodes, num_classes, num_shots, width = support.shape
    if name == "nearest class mean":
        means = support.mean(2)
        return np.asarray(2 * test @ means.transpose(0, 2, 1) - (means**2).sum(-1)[:, None])
    flat = support.reshape(num_episodes, -1, width)
    wanted = np.repeat(np.eye(num_classes), num_shots, axis=0)
    if name == "logistic regression":
        weights = flat.transpose(0, 2, 1) @ fit_softmax(flat, wanted)
        return np.asarray(test @ weights)
    similarity = test @ flat.transpose(0, 2, 1)
    if flat.shape[1] > MOST_NEIGHBOURS:
        last = np.partition(similarity, -MOST_NEIGHBOURS, axis=-1)[..., -MOST_NEIGHBOURS, None]
        similarity = np.where(similarity >= last, similarity, -np.inf)
    highest = similarity.max(-1, keepdims=True)
    votes = np.exp((similarity - highest) / TEMPERATURE) @ wanted
    return np.asarray(np.log(np.maximum(votes, 1e-300)))


def fit_softmax(support: Floats, wanted: Floats, strength: float = STRENGTH) -> Floats:
    """Dual weights (E, S, C) of softmax regression without intercept, many fits at once.

    Minimises strength * (summed log-loss) + |w|^2 / 2 by Nesterov's method in the space that the
    support images span: the gradient there needs their inner products alone.

    Args:
        support: (E, S, D).
        wanted: (S, C) of zeros and ones.
        strength: C of scikit-learn.
    """
    products = support @ support.transpose(0, 2, 1)
    # No eigenvalue exceeds the largest sum of a row; the curvature of softmax is at most 1/2.
    steepest = 1 + strength / 2 * np.abs(products).sum(-1).max(-1)[:, None, None]
    momentum = (np.sqrt(steepest) - 1) / (np.sqrt(steepest) + 1)
    weights = np.zeros((*support.shape[:2], wanted.shape[1]))
    ahead = weights
    for _ in range(_MOST_STEPS):
        slope = ahead + strength * (_softmax(products @ ahead) - wanted)
        following = ahead - slope / steepest
        ahead = following + momentum * (following - weights)
        weights = following
        if np.abs(slope).max() < _TOLERANCE * strength:
            break
    return weights


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What a batch of episodes is worth.

    Attributes:
        auc: (E,) macro one-vs-rest.
        balanced_accuracy: (E,).
        above: for each class with an area, summed over the episodes: of each positive the share of
            negatives below it.
        below: likewise of each negative the share of positives above it.
    """

    auc: Floats
    balanced_accuracy: Floats
    above: tuple[Floats, ...]
    below: tuple[Floats, ...]


def measured_classes(labels: Integers, num_classes: int) -> list[int]:
    """Classes whose area makes the macro AUC; of two classes the second, as everywhere."""
    columns = [1] if num_classes == 2 else list(range(num_classes))
    return [c for c in columns if 0 < np.count_nonzero(labels == c) < len(labels)]


def score(labels: Integers, given: Floats) -> Scored:
    """Measure log-scores (E, N, C) against the test labels (N,)."""
    chances = _softmax(given).round(12)
    above, below, areas = [], [], []
    for column in measured_classes(labels, given.shape[2]):
        positive = labels == column
        ranks = rankdata(chances[:, :, column], axis=1)
        own = ranks[:, positive] - rankdata(chances[:, positive, column], axis=1)
        other = ranks[:, ~positive] - rankdata(chances[:, ~positive, column], axis=1)
        num_own, num_other = own.shape[1], other.shape[1]
        areas.append(own.mean(1) / num_other)
        above.append(own.sum(0) / num_other)
        below.append((1 - other / num_own).sum(0))
    hit = given.argmax(2) == labels
    recalls = [hit[:, labels == label].mean(1) for label in np.unique(labels)]
    return Scored(
        auc=np.asarray(np.mean(areas, axis=0)),
        balanced_accuracy=np.asarray(np.mean(recalls, axis=0)),
        above=tuple(above),
        below=tuple(below),
    )


def _softmax(logits: NDArray[np.float64]) -> Floats:
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True))
