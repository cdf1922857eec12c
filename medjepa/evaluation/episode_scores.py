"""What episodes are worth: areas, balanced accuracies, and what each test image adds to the areas.

Legend: E episodes, N test images, C classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medjepa.errors import DataError
from medjepa.evaluation.metrics import Floats, Integers

_DIGITS = 1e12
"""Chances are compared to 12 digits: rounding errors break no tie."""

_PLACE_BITS = 23
"""Of a 64-bit integer, beside the 40 bits of 12 digits and the sign."""


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


def together(batches: Sequence[Scored]) -> Scored:
    """Episodes of several batches, or of several seeds, as one batch."""
    return Scored(
        auc=np.concatenate([one.auc for one in batches]),
        balanced_accuracy=np.concatenate([one.balanced_accuracy for one in batches]),
        above=tuple(
            np.sum(parts, axis=0) for parts in zip(*(b.above for b in batches), strict=True)
        ),
        below=tuple(
            np.sum(parts, axis=0) for parts in zip(*(b.below for b in batches), strict=True)
        ),
    )


def measured_classes(labels: Integers, num_classes: int) -> list[int]:
    """Classes whose area makes the macro AUC; of two classes the second, as everywhere."""
    columns = [1] if num_classes == 2 else list(range(num_classes))
    return [c for c in columns if 0 < np.count_nonzero(labels == c) < len(labels)]


def score(labels: Integers, given: Floats) -> Scored:
    """Measure log-scores (E, C, N) against the test labels (N,).

    Raises:
        DataError: more test images than can be counted.
    """
    if len(labels) >= 1 << _PLACE_BITS:
        raise DataError(
            f"few_shot: {len(labels):,} test images; fewer than {1 << _PLACE_BITS:,} are taken"
        )
    highest = given.max(1)
    powers = np.exp(given - highest[:, None])
    total = powers.sum(1)
    above, below, areas = [], [], []
    for column in measured_classes(labels, given.shape[1]):
        area, placements = _placements(labels == column, powers[:, column] / total)
        areas.append(area)
        above.append(placements[labels == column])
        below.append(placements[labels != column])
    recalls = [_recall(given, highest, int(label), labels == label) for label in np.unique(labels)]
    return Scored(
        auc=np.asarray(np.mean(areas, axis=0)),
        balanced_accuracy=np.asarray(np.mean(recalls, axis=0)),
        above=tuple(above),
        below=tuple(below),
    )


def _placements(positive: NDArray[np.bool_], chances: Floats) -> tuple[Floats, Floats]:
    """Areas (E,), and summed over the episodes each image's share of the other kind; (N,).

    Chances and the places of their images are sorted as one integer, which is many times faster
    than ranks. Equal chances count half.
    """
    num, num_positive = len(positive), int(np.count_nonzero(positive))
    num_negative = num - num_positive
    packed = np.rint(chances * _DIGITS).astype(np.int64) << _PLACE_BITS
    packed |= np.arange(num)
    packed.sort(axis=1)
    place = packed & ((1 << _PLACE_BITS) - 1)
    packed >>= _PLACE_BITS
    own = positive[place]
    after = np.cumsum(own, axis=1, dtype=np.int32)  # positives up to here
    before = after - own
    number = np.arange(num, dtype=np.int32)
    # All of a run of equal chances stand behind what was before its first and after its last.
    differs = packed[:, 1:] != packed[:, :-1]
    if not differs.all():
        edge = np.ones((len(packed), 1), np.bool_)
        first, last = np.hstack([edge, differs]), np.hstack([differs, edge])
        before = np.maximum.accumulate(np.where(first, before, 0), axis=1)
        after = _backwards(np.where(last, after, num_positive))
        begin = np.maximum.accumulate(np.where(first, number, 0), axis=1)
        end = _backwards(np.where(last, number + 1, num))
    else:
        begin, end = number, number + 1
    # Twice the number of positives below, of negatives below; halves are of ties.
    positives = before + after
    negatives = (begin + end) - positives
    areas = np.where(own, negatives, 0).sum(1, dtype=np.int64) / (2 * num_positive * num_negative)
    share = np.where(own, negatives, 2 * num_positive - positives).astype(np.float64)
    summed = np.bincount(place.ravel(), share.ravel(), num)
    return areas, summed / np.where(positive, 2 * num_negative, 2 * num_positive)


def _backwards(counts: NDArray[np.int32]) -> NDArray[np.int32]:
    """The least count from here on; (E, N)."""
    return np.asarray(np.minimum.accumulate(counts[:, ::-1], axis=1)[:, ::-1])


def _recall(given: Floats, highest: Floats, label: int, members: NDArray[np.bool_]) -> Floats:
    """Share of a class's images whose highest score, of equal ones the first, is its own; (E,)."""
    best = highest[:, members]
    right = given[:, label, members] >= best
    for before in range(label):
        right &= given[:, before, members] < best
    return np.asarray(right.mean(1))
