"""Softmax regression without intercept, many small fits at once, each to its optimum.

The best weights of an L2-regularised regression lie in the span of the support images, so that all
is computed from their inner products (the representer theorem). Newton's method; its steps are
solved by conjugate gradients in the inner product of the weights, which need one product with the
matrix of inner products each.

Legend: E fits, S support images, C classes.
"""

import numpy as np
from numpy.typing import NDArray

from medjepa.errors import DataError
from medjepa.evaluation.metrics import Floats

TOLERANCE = 1e-8
"""Of the length of the gradient, and so of every logit: see `fit_softmax`."""

_MOST_STEPS = 60
_MOST_HALVINGS = 40
_LEAST_SHARE = 1e-4
_ROUNDING = 1e-13


def fit_softmax(products: Floats, wanted: Floats, strength: float) -> Floats:
    """Dual weights (E, C, S): the weights of a class are the support images' sum, so weighted.

    Minimises strength * (summed log-loss) + |w|^2 / 2. That grows at least as |w - best|^2 / 2
    around its minimum, so |w - best| is at most the length of the gradient, which is below
    `TOLERANCE` at the end: no logit of an image of unit length is further from the optimum's.

    Args:
        products: (E, S, S) inner products of the support images.
        wanted: (C, S) of zeros and ones.
        strength: C of scikit-learn.

    Raises:
        DataError: the minimum is not found, as where a feature is no number.
    """
    weights = np.zeros((len(products), *wanted.shape))
    logits = np.zeros_like(weights)
    loss, chance = _loss(weights, logits, wanted, strength)
    for _ in range(_MOST_STEPS):
        slope = weights + strength * (chance - wanted)
        slope_logits = slope @ products
        length = np.sqrt(np.maximum(_inner(slope, slope_logits), 0))
        if (length <= TOLERANCE).all():
            return weights
        step, step_logits = _newton_step(products, slope, slope_logits, length, chance, strength)
        descent = _inner(slope, step_logits)
        share = np.where(length <= TOLERANCE, 0.0, 1.0)  # what is done stays as it is
        for _ in range(_MOST_HALVINGS):
            tried = weights + share[:, None, None] * step
            tried_logits = logits + share[:, None, None] * step_logits
            tried_loss, tried_chance = _loss(tried, tried_logits, wanted, strength)
            enough = loss + _LEAST_SHARE * share * descent + _ROUNDING * np.abs(loss)
            too_far = tried_loss > enough
            if not too_far.any():
                break
            share = np.where(too_far, share / 2, share)
        weights, logits, loss, chance = tried, tried_logits, tried_loss, tried_chance
    raise DataError(
        f"logistic regression on few images: the gradient is {length.max():.1e} after "
        f"{_MOST_STEPS} steps of Newton's method; look for features that are no numbers"
    )


def _newton_step(
    products: Floats,
    slope: Floats,
    slope_logits: Floats,
    length: Floats,
    chance: Floats,
    strength: float,
) -> tuple[Floats, Floats]:
    """Dual weights of the step, and the logits that they change; both (E, C, S).

    Solved the more exactly the nearer the minimum is, which keeps Newton's speed (Dembo, Eisenstat
    and Steihaug 1982).
    """
    left, left_logits = -slope, -slope_logits
    step, step_logits = np.zeros_like(slope), np.zeros_like(slope)
    along, along_logits = left, left_logits
    rest = length**2
    wanted = np.maximum(np.minimum(0.1, length) * length, TOLERANCE / 4) ** 2
    for _ in range(2 * slope[0].size):
        going = rest > wanted
        if not going.any():
            break
        curved = chance * along_logits
        curved -= chance * curved.sum(1, keepdims=True)
        curved = along + strength * curved
        pace = _ratio(rest, _inner(along_logits, curved), going)
        step = step + pace * along
        step_logits = step_logits + pace * along_logits
        left = left - pace * curved
        left_logits = left @ products
        remaining = np.maximum(_inner(left, left_logits), 0)
        turn = _ratio(remaining, rest, going)
        along = left + turn * along
        along_logits = left_logits + turn * along_logits
        rest = remaining
    return step, step_logits


def _loss(
    weights: Floats, logits: Floats, wanted: Floats, strength: float
) -> tuple[Floats, Floats]:
    """What is minimised, (E,), and the chances of the classes, (E, C, S)."""
    highest = logits.max(1, keepdims=True)
    powers = np.exp(logits - highest)
    total = powers.sum(1, keepdims=True)
    surprise = (np.log(total) + highest).sum((1, 2)) - (logits * wanted).sum((1, 2))
    return strength * surprise + _inner(weights, logits) / 2, powers / total


def _inner(one: Floats, other: Floats) -> Floats:
    """(E,)."""
    return np.asarray(np.einsum("ecs,ecs->e", one, other))


def _ratio(above: Floats, below: Floats, going: NDArray[np.bool_]) -> Floats:
    """(E, 1, 1); 0 for a fit that is done."""
    found = np.divide(above, below, out=np.zeros_like(above), where=going & (below > 0))
    return np.asarray(found[:, None, None])
