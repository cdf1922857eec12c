"""Variance of the area under the ROC curve without resampling, for one image a patient or several.

DeLong et al. 1988 (Biometrics 44:837) by midranks (Sun and Xu 2014, IEEE Signal Processing Letters
21:1389), and Obuchowski 1997 (Biometrics 53:567) where images of one patient are not independent;
with one image a patient the second is the first. Any weighted sum of areas (classes, seeds, splits,
one method minus another) has its variance from the same components: what each patient adds to each
area.

Legend: N images, P patients, Q areas.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata

from medjepa.evaluation.bootstrap import Estimate
from medjepa.evaluation.metrics import Floats, Integers

Z_95 = float(norm.ppf(0.975))

_ROUNDING = 1e-24
"""A variance below this is a sum of rounding errors: nothing varied."""


@dataclass(frozen=True, kw_only=True)
class Components:
    """What each patient adds to each area, as a deviation from the area.

    Attributes:
        value: (Q,) areas.
        positive: (P, Q) from its positive images, divided by the number of positives.
        negative: (P, Q) from its negative images, divided by the number of negatives.
        num_positive: (Q,) patients with a positive image.
        num_negative: (Q,) patients with a negative image.
    """

    value: Floats
    positive: Floats
    negative: Floats
    num_positive: Integers
    num_negative: Integers

    @property
    def covariance(self) -> Floats:
        """Between all areas; (Q, Q)."""
        positive = self.positive * _root_of_factor(self.num_positive)
        negative = self.negative * _root_of_factor(self.num_negative)
        both = self.positive.T @ self.negative
        return np.asarray(
            positive.T @ positive + negative.T @ negative + self._factor * (both + both.T)
        )

    def variance(self, weights: Floats) -> float:
        """Of the weighted sum of areas, without the (Q, Q) table; weights (Q,)."""
        positive = self.positive @ (_root_of_factor(self.num_positive) * weights)
        negative = self.negative @ (_root_of_factor(self.num_negative) * weights)
        both = (self.positive @ weights) @ (self.negative @ weights)
        return float(positive @ positive + negative @ negative + 2 * self._factor * both)

    @property
    def _factor(self) -> float:
        num = len(self.positive)
        return num / (num - 1) if num > 1 else np.nan


def components(
    positive: Sequence[NDArray[np.bool_]],
    scores: Sequence[Floats],
    patients: Sequence[Integers],
    *,
    num_patients: int,
) -> Components:
    """Components of Q areas, each on its own images of the same P patients.

    Args:
        positive: for each area, which of its images are positive; both kinds occur.
        scores: for each area, a score of each of its images.
        patients: for each area, the number of each image's patient, below `num_patients`.
        num_patients: P.
    """
    parts = [
        placed(is_positive, *_placements(is_positive, score), patient, num_patients=num_patients)
        for is_positive, score, patient in zip(positive, scores, patients, strict=True)
    ]
    return joined(parts)


def placed(
    positive: NDArray[np.bool_],
    above: Floats,
    below: Floats,
    patients: Integers,
    *,
    num_patients: int,
) -> Components:
    """Components of one area, or of a mean of areas of the same images, from their placements.

    Args:
        positive: (N,) which images are positive.
        above: of each positive the share of negatives below it.
        below: of each negative the share of positives above it.
        patients: (N,) number of each image's patient.
        num_patients: P.
    """
    area = above.mean()
    own, other = patients[positive], patients[~positive]
    return Components(
        value=np.array([area]),
        positive=np.bincount(own, above - area, num_patients)[:, None] / len(above),
        negative=np.bincount(other, below - area, num_patients)[:, None] / len(below),
        num_positive=np.array([len(np.unique(own))]),
        num_negative=np.array([len(np.unique(other))]),
    )


def joined(parts: Sequence[Components]) -> Components:
    """Components of all areas, of the same patients, side by side."""
    return Components(
        value=np.concatenate([one.value for one in parts]),
        positive=np.hstack([one.positive for one in parts]),
        negative=np.hstack([one.negative for one in parts]),
        num_positive=np.concatenate([one.num_positive for one in parts]),
        num_negative=np.concatenate([one.num_negative for one in parts]),
    )


def delong(
    positive: NDArray[np.bool_], scores: Floats, patients: Integers | None = None
) -> tuple[Floats, Floats]:
    """Areas (Q,) and their covariance (Q, Q) of Q scores of the same images.

    Args:
        positive: (N,), both kinds occur.
        scores: (Q, N).
        patients: (N,) number of each image's patient; None takes every image as its own.
    """
    patient = np.arange(len(positive)) if patients is None else patients
    found = components(
        [positive] * len(scores),
        list(scores),
        [patient] * len(scores),
        num_patients=int(patient.max()) + 1,
    )
    return found.value, found.covariance


def area_estimate(value: float, variance: float) -> Estimate:
    """An area with its 95 % interval, symmetric on the logit scale, which ends at 0 and at 1.

    An area of 0 or 1 has no interval: no error was seen, which is no certainty.
    """
    if np.isnan(variance) or not 0 < value < 1:
        return Estimate(value=value, low=None, high=None, standard_error=None)
    error = _error(variance)
    centre, reach = np.log(value / (1 - value)), Z_95 * error / (value * (1 - value))
    low, high = 1 / (1 + np.exp(-(centre - reach))), 1 / (1 + np.exp(-(centre + reach)))
    return Estimate(value=value, low=float(low), high=float(high), standard_error=error)


def difference_estimate(value: float, variance: float) -> Estimate:
    """A difference of areas with its 95 % normal interval; none where nothing varies but it."""
    if np.isnan(variance) or (_error(variance) == 0 and value != 0):
        return Estimate(value=value, low=None, high=None, standard_error=None)
    error = _error(variance)
    low, high = value - Z_95 * error, value + Z_95 * error
    return Estimate(value=value, low=low, high=high, standard_error=error)


def _error(variance: float) -> float:
    return float(np.sqrt(variance)) if variance > _ROUNDING else 0.0


def two_sided(difference: Estimate) -> float | None:
    """P-value of no difference by the normal distribution; None where there is no variance."""
    if difference.standard_error is None:
        return None
    if difference.standard_error == 0:
        return 1.0
    return float(2 * norm.sf(abs(difference.value) / difference.standard_error))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """P-values corrected for their number (Holm 1979); None stays None and is not counted."""
    known = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, place) in enumerate(known):
        highest = max(highest, min(1.0, (len(known) - rank) * p))
        corrected[place] = highest
    return corrected


def _placements(positive: NDArray[np.bool_], scores: Floats) -> tuple[Floats, Floats]:
    """For each positive the share of negatives below it, for each negative of positives above."""
    everywhere = rankdata(scores)
    ups, downs = rankdata(scores[positive]), rankdata(scores[~positive])
    return (
        (everywhere[positive] - ups) / len(downs),
        1 - (everywhere[~positive] - downs) / len(ups),
    )


def _root_of_factor(num: Integers) -> Floats:
    """Root of n / (n - 1); NaN for a single patient, of whom no variance is known."""
    counts = num.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(counts > 1, np.sqrt(counts / (counts - 1)), np.nan))
