"""Parts of a training set that patients do not cross, and draws of few labels from it."""

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from medjepa.evaluation.metrics import Integers

Fold = tuple[Integers, Integers]
"""Indices to fit on, and indices to validate on."""

ONE_PART_FROM = 200
"""From this many images on, one held-out fifth is enough; below, every fifth takes its turn."""


def group_index(num: int, groups: Sequence[Hashable] | None) -> Integers:
    """Number the groups from 0; without groups every image is its own; (N,)."""
    if groups is None:
        return np.arange(num)
    names = np.asarray([str(group) for group in groups])
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def strata(target: Integers, group: Integers) -> Integers:
    """The class each group counts for, (G,): its rarest, so that rare classes are spread evenly."""
    frequency = np.bincount(target)
    order = np.argsort(-frequency[target], kind="stable")
    stratum = np.zeros(group.max() + 1, np.int64)
    stratum[group[order]] = target[order]  # the last assignment, of the rarest class, stays
    return stratum


def validation_folds(
    target: Integers, groups: Sequence[Hashable] | None, *, num_parts: int = 5, seed: int = 0
) -> list[Fold]:
    """Split a training set by patients, classes balanced, to choose a setting on.

    Args:
        target: (N,) class indices.
        groups: (N,) patients; None takes every image as its own.
        num_parts: into how many parts the patients of each class are dealt.
        seed: of the deal.

    Returns:
        One fold (a fifth held out) from `ONE_PART_FROM` images on; else one fold for each part; an
        empty list where some class has a single patient, which cannot be on both sides.
    """
    group = group_index(len(target), groups)
    stratum = strata(target, group)
    pairs = np.unique(np.stack([target, group]), axis=1)
    smallest = int(np.unique(pairs[0], return_counts=True)[1].min())
    if smallest < 2:
        return []
    num_parts = min(num_parts, len(stratum))
    part = grouped_parts(target, groups, num_parts=num_parts, seed=seed)
    folds = []
    for held_out in range(1 if len(target) >= ONE_PART_FROM else num_parts):
        fit, validate = np.flatnonzero(part != held_out), np.flatnonzero(part == held_out)
        if len(np.unique(target[fit])) < len(np.unique(target)):
            continue
        folds.append((fit, validate))
    return folds


def grouped_parts(
    target: Integers, groups: Sequence[Hashable] | None, *, num_parts: int = 5, seed: int = 0
) -> Integers:
    """Deal whole groups into parts, those of each class evenly; the part of each image, (N,).

    Args:
        target: (N,) class indices.
        groups: (N,) patients; None takes every image as its own.
        num_parts: how many parts.
        seed: of the deal.
    """
    group = group_index(len(target), groups)
    stratum = strata(target, group)
    return _deal(stratum, num_parts, np.random.default_rng(seed))[group]


def draw_split(
    target: Integers,
    groups: Sequence[Hashable] | None,
    test_fraction: float,
    *,
    rng: np.random.Generator,
) -> Fold:
    """Draw a share of the patients of each class for the test, each patient equally likely.

    Unlike a split that evens out images, this one reaches every patient when it is repeated. A
    class has at least one patient on each side; the only patient of a class is learnt from.

    Args:
        target: (N,) class indices.
        groups: (N,) patients; None takes every image as its own.
        test_fraction: share of the patients of each class, in (0, 1).
        rng: of the draw.
    """
    group = group_index(len(target), groups)
    stratum = strata(target, group)
    tested: list[NDArray[np.int64]] = []
    for label in np.unique(stratum):
        members = rng.permutation(np.flatnonzero(stratum == label))
        num = min(max(1, round(test_fraction * len(members))), len(members) - 1)
        tested.append(members[:num])
    is_test = np.isin(group, np.concatenate(tested))
    return np.flatnonzero(~is_test), np.flatnonzero(is_test)


def draw_labels(
    target: Integers,
    groups: Sequence[Hashable] | None,
    fraction: float,
    *,
    rng: np.random.Generator,
) -> Integers:
    """Choose the images of a share of the patients of each class, at least one patient a class.

    With equally seeded `rng` smaller shares are subsets of larger ones, so that a curve over shares
    shows more labels and not other patients.

    Args:
        target: (N,) class indices.
        groups: (N,) patients; None takes every image as its own.
        fraction: share of the patients of each class, in (0, 1].
        rng: orders the patients.
    """
    group = group_index(len(target), groups)
    stratum = strata(target, group)
    place = rng.permutation(len(stratum))
    chosen: list[NDArray[np.int64]] = []
    for label in np.unique(target):
        members = np.flatnonzero(stratum == label)
        if not len(members):  # all its patients count for rarer classes
            members = np.unique(group[target == label])
        members = members[np.argsort(place[members])]
        chosen.append(members[: max(1, round(fraction * len(members)))])
    taken = np.isin(group, np.concatenate(chosen))
    return np.flatnonzero(taken)


def _deal(stratum: Integers, num_parts: int, rng: np.random.Generator) -> Integers:
    """Deal the groups of each class like cards, going on where the last class ended; (G,)."""
    place = rng.permutation(len(stratum))
    order = np.lexsort((place, stratum))
    part = np.empty(len(stratum), np.int64)
    part[order] = np.arange(len(stratum)) % num_parts
    return part
