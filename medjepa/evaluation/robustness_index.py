"""Does the embedding put images of one class together, or images of one site?

The robustness index of de Jong et al. (2025, arXiv 2501.18055): among the k nearest neighbours of
every image, those of the same class from another site, as a share of those and of the ones of
another class from the same site. 1: the class decides who is near; 0: the site does. Neighbours of
the same patient are left out, as he is at one site and has one disease.

Legend: N images, D features, R resamples.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np

from medjepa.evaluation.bootstrap import Estimate, PatientBootstrap
from medjepa.evaluation.folds import group_index
from medjepa.evaluation.metrics import Floats, Integers
from medjepa.evaluation.probes import unit_rows
from medjepa.evaluation.weighing import bootstrapped

NUM_NEIGHBOURS = 20
MOST_IMAGES = 4000


def robustness_index(
    x: Floats,
    target: Integers,
    sites: Integers,
    groups: Sequence[str] | None,
    *,
    k: int = NUM_NEIGHBOURS,
    num_resamples: int = 1000,
    seed: int = 0,
) -> tuple[Estimate, float]:
    """The index with its interval over patients, and what neighbours drawn at random would give.

    Args:
        x: (N, D) features, compared by their cosine.
        target: (N,) classes.
        sites: (N,) sites; -1 (unknown) is left out.
        groups: (N,) patients; None takes every image as its own.
        k: neighbours.
        num_resamples: of the patients.
        seed: of the resamples, and of the images that are taken if there are more than
            `MOST_IMAGES`.
    """
    rows = np.flatnonzero(sites >= 0)
    if len(rows) > MOST_IMAGES:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_IMAGES, replace=False))
    names = None if groups is None else [groups[i] for i in rows.tolist()]
    group = group_index(len(rows), names)
    own_class, own_site = target[rows], sites[rows]
    unit = unit_rows(x[rows])
    near = np.zeros((len(rows), 2))
    anyone = np.zeros((len(rows), 2))
    for start in range(0, len(rows), 1024):
        here = slice(start, start + 1024)
        similarity = unit[here] @ unit.T
        similarity[group[here, None] == group[None]] = -np.inf
        same_class = own_class[here, None] == own_class[None]
        same_site = own_site[here, None] == own_site[None]
        wanted, unwanted = same_class & ~same_site, ~same_class & same_site
        take = min(k, len(rows) - 1)
        nearest = np.argpartition(-similarity, take - 1, axis=1)[:, :take]
        there = np.take_along_axis(np.isfinite(similarity), nearest, axis=1)
        for place, kind in enumerate((wanted, unwanted)):
            near[here, place] = (np.take_along_axis(kind, nearest, axis=1) & there).sum(1)
            anyone[here, place] = (kind & np.isfinite(similarity)).sum(1)
    part = PatientBootstrap.draw(
        np.zeros(len(rows), np.int64), names, num_resamples=num_resamples, seed=seed
    )
    total = anyone.sum()
    by_chance = float(anyone[:, 0].sum() / total) if total else float("nan")
    return bootstrapped(part, partial(_ratio, near)), by_chance


def _ratio(near: Floats, weights: Floats) -> Floats:
    counts = weights @ near
    total = counts.sum(1)
    return np.asarray(
        np.divide(counts[:, 0], total, out=np.full(len(total), np.nan), where=total > 0)
    )
