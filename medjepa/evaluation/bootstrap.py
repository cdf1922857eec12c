"""Intervals by bootstrap over patients: images of one patient are drawn together or not at all.

Percentile intervals (Efron and Tibshirani 1993, chapter 13) over clusters (Davison and Hinkley
1997, section 3.8). Every method is measured on the same resamples, which makes differences paired.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medjepa.evaluation.metrics import Floats, Integers, metric

POWER_FACTOR = 2.8
"""z(0.975) + z(0.80): a true difference of 2.8 standard errors is found in 80 % of such studies."""

Z = 1.959964
"""Half the width of a normal 95 % interval, in standard errors."""

MAX_ATTEMPTS = 20
"""A resample without one of the classes is drawn again, at most so many times."""

_CELLS_AT_ONCE = 4_000_000


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number with its 95 % interval; the interval is None where none can be computed."""

    value: float
    low: float | None
    high: float | None
    standard_error: float | None

    @property
    def detectable(self) -> float | None:
        """The true difference that a study of this size finds with 80 % power at 5 %, two-sided."""
        return None if self.standard_error is None else POWER_FACTOR * self.standard_error


@dataclass(frozen=True, kw_only=True)
class PatientBootstrap:
    """Resamples of the patients of a test set.

    Attributes:
        counts: (R, P) how often each of P patients stands in each resample.
        patient: (N,) index of each image's patient.
        num_redrawn: resamples drawn again because a class was absent.
    """

    counts: NDArray[np.uint16]
    patient: Integers
    num_redrawn: int

    @property
    def num_patients(self) -> int:
        """How many patients (clusters) are drawn from."""
        return int(self.counts.shape[1])

    @classmethod
    def draw(
        cls,
        labels: Integers,
        groups: Sequence[Hashable] | None,
        *,
        num_resamples: int = 1000,
        seed: int = 0,
    ) -> "PatientBootstrap":
        """Draw resamples in which every class of `labels` occurs.

        A resample without a class has no macro AUC. It is drawn again and counted, which asks how
        the metric varies among studies that hold every class.

        Args:
            labels: (N,) class indices.
            groups: (N,) patients; None takes every image as its own.
            num_resamples: R; fewer come back only if classes are absent from nearly all draws.
            seed: of the draws.
        """
        if groups is None:
            patient = np.arange(len(labels))
        else:
            patient = np.unique(np.asarray([str(group) for group in groups]), return_inverse=True)[
                1
            ]
        patient = patient.astype(np.int64)
        num_patients = int(patient.max()) + 1
        classes = np.unique(labels)
        holds = np.zeros((num_patients, len(classes)))
        holds[patient, np.searchsorted(classes, labels)] = 1
        rng = np.random.default_rng(seed)
        kept: list[NDArray[np.uint16]] = []
        missing, num_redrawn = num_resamples, 0
        for _ in range(MAX_ATTEMPTS):
            counts = _draw_counts(rng, missing, num_patients)
            complete = (counts.astype(np.float32) @ holds.astype(np.float32) > 0).all(1)
            kept.append(counts[complete])
            missing -= int(complete.sum())
            if missing == 0:
                break
            num_redrawn += missing
        return cls(counts=np.concatenate(kept), patient=patient, num_redrawn=num_redrawn)

    def samples(self, name: str, labels: Integers, scores: Floats) -> Floats:
        """The metric called `name` on every resample; labels (N,), scores (N, C) -> (R,)."""
        if not len(self.counts):  # some class is absent from every draw
            return np.zeros(0)
        step = max(1, _CELLS_AT_ONCE // len(labels))
        parts = [
            metric(name, labels, scores, self.counts[at : at + step][:, self.patient].astype(float))
            for at in range(0, len(self.counts), step)
        ]
        return np.concatenate(parts)


def _draw_counts(
    rng: np.random.Generator, num_resamples: int, num_patients: int
) -> NDArray[np.uint16]:
    """Multinomial counts (R, P): P draws with replacement out of P patients, R times."""
    counts = np.empty((num_resamples, num_patients), np.uint16)
    for row in counts:
        row[:] = np.bincount(rng.integers(num_patients, size=num_patients), minlength=num_patients)
    return counts


def estimate(value: float, samples: Floats, *, confidence: float = 0.95) -> Estimate:
    """Percentile interval and standard error from the resampled values of one number.

    Args:
        value: the number on the whole test set.
        samples: (R,) the number on each resample; for a difference, the differences.
        confidence: share of studies whose interval is to hold the true value.
    """
    if not np.isfinite(value) or len(samples) < 2 or not np.isfinite(samples).all():
        return Estimate(value=float(value), low=None, high=None, standard_error=None)
    tail = (1 - confidence) / 2
    low, high = np.quantile(samples, (tail, 1 - tail))
    return Estimate(
        value=float(value),
        low=float(low),
        high=float(high),
        standard_error=float(samples.std(ddof=1)),
    )


def normal_estimate(value: float, samples: Floats) -> Estimate:
    """The value and 1.96 deviations of its resamples (R,), to both sides.

    For numbers that resamples shift, as they hold fewer different images: percentiles would lie
    beside the value.
    """
    found = estimate(value, samples)
    if found.standard_error is None:
        return found
    reach = Z * found.standard_error
    return replace(found, low=value - reach, high=value + reach)
