"""Splits by patient: no group in two parts, classes shared out evenly, the same for one seed."""

from collections.abc import Sequence

import numpy as np

from medjepa.errors import DataError

_NUM_NAMED = 5


def grouped_stratified_split(
    labels: Sequence[object],
    groups: Sequence[str] | None,
    fractions: Sequence[float],
    seed: int,
) -> list[np.ndarray]:
    """Share n images out into parts of about `fractions`, whole groups at a time.

    Without groups each image counts as its own; what a group is called does not matter. Each class
    is in the first part (training) whatever the rest, and no part stays empty while there are
    groups enough.

    Returns:
        One ascending index array per fraction; together they are 0..n-1.

    Raises:
        DataError: fractions that are not positive or sum to more than 1, or no images.
    """
    shares = np.asarray(fractions, dtype=np.float64)
    if len(labels) == 0:
        raise DataError("there is nothing to split: no labelled images")
    if (shares <= 0).any() or abs(shares.sum() - 1) > 1e-6:
        raise DataError(f"split fractions must be positive and sum to 1, got {list(fractions)}")
    if groups is not None and len(groups) != len(labels):
        raise DataError(f"{len(labels)} labels but {len(groups)} groups")
    names = [str(i) for i in range(len(labels))] if groups is None else list(groups)
    # By first appearance: a store's groups have names drawn at random, which must change nothing.
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    group_of = np.asarray([numbers[name] for name in names])
    _, class_of = np.unique(np.asarray([str(v) for v in labels]), return_inverse=True)
    counts = np.zeros((group_of.max() + 1, class_of.max() + 1))
    np.add.at(counts, (group_of, class_of), 1)
    part_of_group = _assign(counts, shares, np.random.default_rng(seed))
    _give_training_every_class(part_of_group, counts)
    parts = part_of_group[group_of]
    return [np.flatnonzero(parts == part) for part in range(len(shares))]


def check_no_group_crosses(groups: Sequence[str], split: Sequence[str]) -> None:
    """Refuse a split that puts one group into two parts.

    Raises:
        DataError: names how many do, the first few, and the remedy.
    """
    parts: dict[str, set[str]] = {}
    for group, part in zip(groups, split, strict=True):
        parts.setdefault(group, set()).add(part)
    crossing = {g: sorted(p) for g, p in parts.items() if len(p) > 1}
    if crossing:
        named = "; ".join(
            f"{group} in {' and '.join(crossing[group])}" for group in sorted(crossing)[:_NUM_NAMED]
        )
        raise DataError(
            f"{len(crossing)} of {len(parts)} groups (patients) are in more than one part of the "
            f"split, so the test would be on known patients: {named}"
            f"{', ...' if len(crossing) > _NUM_NAMED else ''}. "
            "Correct the table; or, to evaluate, split=auto splits by group instead; to pre-train, "
            "data.use_all=true learns from every part, and evaluate says what it has seen."
        )


def _assign(counts: np.ndarray, shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Greedy: the largest groups first, each to the part that it brings nearest to its target."""
    num_groups, num_parts = len(counts), len(shares)
    totals = counts.sum(axis=0)
    target = shares[:, None] * totals
    filled = np.zeros_like(target)
    shuffled = rng.permutation(num_groups)
    order = shuffled[np.argsort(-counts[shuffled].sum(axis=1), kind="stable")]
    part_of_group = np.zeros(num_groups, dtype=np.int64)
    for position, group in enumerate(order):
        here = counts[group]
        # Change of the squared miss, each class by its size, each part by its share.
        miss = ((2 * (filled - target) + here) * here / totals).sum(axis=1) / shares
        empty = filled.sum(axis=1) == 0
        if empty.any() and num_groups - position <= empty.sum():
            miss[~empty] = np.inf
        part = int(np.argmin(miss))
        part_of_group[group] = part
        filled[part] += here
    assert num_parts == len(filled)
    return part_of_group


def _give_training_every_class(part_of_group: np.ndarray, counts: np.ndarray) -> None:
    """Move the smallest group that has it into the first part, for each class missing there."""
    for number in range(counts.shape[1]):
        if not counts[part_of_group == 0, number].any():
            holders = np.flatnonzero(counts[:, number])
            smallest = holders[np.argmin(counts[holders].sum(axis=1))]
            part_of_group[smallest] = 0
