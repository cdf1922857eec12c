"""Estimates of numbers that take patient weights, on resamples of patients that exist already.

Legend: N images, R resamples.
"""

from collections.abc import Callable, Sequence

import numpy as np

from medjepa.evaluation.bootstrap import Estimate, PatientBootstrap, estimate
from medjepa.evaluation.metrics import Floats

Weighted = Callable[[Floats], Floats]
"""Weights (R, N) of the images to a number for each resample (R,)."""

_CELLS_AT_ONCE = 4_000_000


def bootstrapped(part: PatientBootstrap, numbers: Weighted | Sequence[Weighted]) -> Estimate:
    """A number on all images, with its interval over resamples of their patients.

    Args:
        part: resamples of the N images.
        numbers: the number as a function of weights (R, N); of several, their mean.
    """
    several = [numbers] if callable(numbers) else list(numbers)
    once = np.ones((1, len(part.patient)))
    value = float(np.mean([number(once)[0] for number in several]))
    drawn = np.mean([resampled(part, number) for number in several], axis=0)
    return estimate(value, drawn[np.isfinite(drawn)])


def resampled(part: PatientBootstrap, number: Weighted) -> Floats:
    """The number on every resample; (R,)."""
    step = max(1, _CELLS_AT_ONCE // max(1, len(part.patient)))
    return np.concatenate(
        [
            number(part.counts[at : at + step][:, part.patient].astype(float))
            for at in range(0, len(part.counts), step)
        ]
    )


def mean_of(values: Floats, weights: Floats) -> Floats:
    """Weighted mean of values (N,) for weights (R, N); (R,), NaN where nothing has weight."""
    total = weights.sum(1)
    return np.asarray(
        np.divide(weights @ values, total, out=np.full(len(total), np.nan), where=total > 0)
    )
