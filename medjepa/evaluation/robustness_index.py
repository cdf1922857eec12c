"""Does the embedding put images of one class together, or images of one site?

The robustness index of de Jong et al. (2025, arXiv 2501.18055): among the k nearest neighbours of
every image, those of the same class from another site, as a share of those and of the ones of
another class from the same site. 1: the class decides who is near; 0: the site does. Neighbours of
the same patient are left out, as he is at one site and has one disease.

Legend: N images, M neighbours, D features, R resamples.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medjepa.evaluation.bootstrap import Estimate, PatientBootstrap, normal_estimate
from medjepa.evaluation.folds import group_index
from medjepa.evaluation.metrics import Floats, Integers
from medjepa.evaluation.probes import unit_rows
from medjepa.evaluation.verdict import MIN_PATIENTS

NUM_NEIGHBOURS = 20
MOST_IMAGES = 4000
MOST_RESAMPLES = 200
"""A standard error from 200 resamples is known to 5 %; each goes through all neighbours."""

_LISTED, _MOST_LISTED = 5, 300
"""So many times the neighbours are listed, of whom a resample leaves out a third or more."""


@dataclass(frozen=True)
class _Near:
    """Each image's nearest images of other patients, and which of them count.

    Attributes:
        image: (N, M) nearest first.
        is_other: (N, M) of another patient.
        wanted: (N, M) of the same class from another site.
        unwanted: (N, M) of another class from the same site.
        k: how many are neighbours.
    """

    image: Integers
    is_other: NDArray[np.bool_]
    wanted: NDArray[np.bool_]
    unwanted: NDArray[np.bool_]
    k: int

    def index(self, weights: Floats) -> float:
        """The index where image n stands `weights[n]` times, as itself and as a neighbour."""
        listed = np.minimum((weights[self.image] * self.is_other).cumsum(1), self.k)
        taken = np.diff(listed, axis=1, prepend=0)
        good = weights @ (taken * self.wanted).sum(1)
        total = good + weights @ (taken * self.unwanted).sum(1)
        return float(good / total) if total else float("nan")


def robustness_index(
    x: Floats,
    target: Integers,
    sites: Integers,
    groups: Sequence[str] | None,
    *,
    k: int = NUM_NEIGHBOURS,
    num_resamples: int = MOST_RESAMPLES,
    seed: int = 0,
) -> tuple[Estimate, float]:
    """The index with its interval over patients, and what neighbours drawn at random would give.

    A patient who is drawn twice or not at all is so for others' neighbourhoods too: resampling
    whose neighbours are counted and not who they may be gives intervals that hold the truth in 68
    to 78 % of studies. The interval is the value and 1.96 deviations; none for fewer than
    `MIN_PATIENTS` patients, or where all neighbours are of one kind.

    Args:
        x: (N, D) features, compared by their cosine.
        target: (N,) classes.
        sites: (N,) sites; -1 (unknown) is left out.
        groups: (N,) patients; None takes every image as its own.
        k: neighbours.
        num_resamples: of the patients, at most `MOST_RESAMPLES`.
        seed: of the resamples, and of the images that are taken if there are more than
            `MOST_IMAGES`.
    """
    rows = np.flatnonzero(sites >= 0)
    if len(rows) > MOST_IMAGES:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_IMAGES, replace=False))
    names = None if groups is None else [groups[i] for i in rows.tolist()]
    group = group_index(len(rows), names)
    near, by_chance = _look(unit_rows(x[rows]), target[rows], sites[rows], group, k)
    value = near.index(np.ones(len(rows)))
    part = PatientBootstrap.draw(
        np.zeros(len(rows), np.int64),
        names,
        num_resamples=min(num_resamples, MOST_RESAMPLES),
        seed=seed,
    )
    if part.num_patients < MIN_PATIENTS or not 0 < value < 1:
        return Estimate(value=value, low=None, high=None, standard_error=None), by_chance
    drawn = [near.index(row[part.patient].astype(np.float64)) for row in part.counts]
    found = normal_estimate(value, np.array(drawn))
    if found.low is None or found.high is None:
        return found, by_chance
    return replace(found, low=max(found.low, 0.0), high=min(found.high, 1.0)), by_chance


def _look(
    unit: Floats, own_class: Integers, own_site: Integers, group: Integers, k: int
) -> tuple[_Near, float]:
    """Neighbours of each image, and the index of neighbours drawn at random."""
    num, anyone = len(unit), np.zeros(2)
    deep = min(_LISTED * max(k, int(np.bincount(group).max())), max(_MOST_LISTED, k), num - 1)
    parts = []
    for start in range(0, num, 1024):
        here = slice(start, start + 1024)
        similarity = unit[here] @ unit.T
        similarity[group[here, None] == group[None]] = -np.inf
        same_class = own_class[here, None] == own_class[None]
        same_site = own_site[here, None] == own_site[None]
        kinds = (same_class & ~same_site, ~same_class & same_site)
        nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :deep]
        there = np.isfinite(np.take_along_axis(similarity, nearest, axis=1))
        parts.append((nearest, there, *(np.take_along_axis(one, nearest, 1) for one in kinds)))
        anyone += [(one & np.isfinite(similarity)).sum() for one in kinds]
    image, is_other, wanted, unwanted = (np.concatenate(one) for one in zip(*parts, strict=True))
    by_chance = float(anyone[0] / anyone.sum()) if anyone.sum() else float("nan")
    return _Near(image, is_other, wanted, unwanted, k), by_chance
