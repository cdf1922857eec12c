"""Sets of classes that hold the right one as often as promised: split conformal prediction.

Scores of held-out images that nothing was fitted on set a threshold; the sets of new images then
hold the right class with a chance of at least 1 - alpha, whatever the model (Vovk et al. 2005; Lei
et al. 2018). What is needed is that held-out and new images are exchangeable. Images of one patient
are not, patients may be: so the threshold is taken from one image of each held-out patient, drawn
at random, and the promise is for one such image of a new patient (Dunn et al. 2023,
arXiv 1809.07441). Patients of another hospital are not exchangeable, and nothing is promised there.

Two scores: LAC, one minus the chance of the class (Sadinle et al. 2019): smallest sets on average;
APS, the summed chance of all likelier classes and a random share of its own (Romano et al. 2020,
arXiv 2006.02544): difficult images get larger sets.

Legend: N images, C classes.
"""

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from medjepa.evaluation.folds import group_index
from medjepa.evaluation.metrics import Floats, Integers

LAC, APS = "LAC", "APS"


def conformity(chances: Floats, kind: str, rng: np.random.Generator) -> Floats:
    """How badly each class fits each image, (N, C): small for what is likely.

    Args:
        chances: (N, C), rows sum to one.
        kind: `LAC` or `APS`.
        rng: of the random share of APS, one for each image; without it sets would be too large.
    """
    if kind == LAC:
        return np.asarray(1 - chances)
    assert kind == APS
    order = np.argsort(-chances, axis=1, kind="stable")
    sorted_chances = np.take_along_axis(chances, order, axis=1)
    above = sorted_chances.cumsum(1) - sorted_chances
    scores = np.empty_like(chances)
    np.put_along_axis(scores, order, above + rng.random((len(chances), 1)) * sorted_chances, axis=1)
    return scores


def threshold(scores: Floats, alpha: float) -> float:
    """The largest score that is let into a set: the ceil((n + 1)(1 - alpha))-th smallest of n.

    Infinite (every class is let in) where n is too small for the promise: below 1 / alpha - 1.
    """
    place = int(np.ceil((len(scores) + 1) * (1 - alpha) - 1e-9))
    return float("inf") if place > len(scores) else float(np.sort(scores)[max(place, 1) - 1])


def one_of_each(groups: Sequence[Hashable] | None, num: int, rng: np.random.Generator) -> Integers:
    """One image of each patient, drawn at random; all images where patients are unknown."""
    group = group_index(num, groups)
    order = rng.permutation(num)
    _, first = np.unique(group[order], return_index=True)
    return np.sort(order[first])


def prediction_sets(
    held_out: Floats,
    labels: Integers,
    groups: Sequence[Hashable] | None,
    new: Floats,
    *,
    kind: str,
    alpha: float,
    rng: np.random.Generator,
) -> tuple[NDArray[np.bool_], float, int]:
    """Which classes are in each new image's set; (N, C), the threshold, and the n behind it.

    Args:
        held_out: (M, C) chances of images that nothing was fitted on.
        labels: (M,) their classes.
        groups: (M,) their patients; None takes every image as its own.
        new: (N, C) chances.
        kind: `LAC` or `APS`.
        alpha: share of sets that may miss the right class.
        rng: draws one image of each patient, and the random shares of APS.
    """
    rows = one_of_each(groups, len(labels), rng)
    scores = conformity(held_out[rows], kind, rng)[np.arange(len(rows)), labels[rows]]
    limit = threshold(scores, alpha)
    return conformity(new, kind, rng) <= limit, limit, len(rows)
