"""Do predicted chances mean what they say? And how wrong is what one keeps, if doubt is set aside?

Calibration error over bins, equally wide or equally full (Guo et al. 2017, arXiv 1706.04599; Nixon
et al. 2019, arXiv 1904.01685), Brier score, temperature scaling, and the risk-coverage curve with
the area below it (Geifman et al. 2019, arXiv 1805.08206).

Legend: N images, C classes, B bins, R resamples.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from medjepa.evaluation.metrics import Floats, Integers

NUM_BINS = 15
EQUAL_WIDTH, EQUAL_MASS = "equal width", "equal mass"
FLOOR = 1e-12
"""Chances below it count as this much where a logarithm is taken."""

MOST_TEMPERATURE = 100.0


def top_label(chances: Floats, labels: Integers) -> tuple[Floats, Floats]:
    """The chance of the likeliest class, and whether it is the right one; (N,) and (N,)."""
    right = (chances.argmax(1) == labels).astype(np.float64)
    return np.asarray(chances.max(1)), right


def bins_of(confidence: Floats, kind: str, num_bins: int = NUM_BINS) -> Integers:
    """The bin of each number in [0, 1], (N,).

    Args:
        confidence: (N,) in [0, 1].
        kind: `EQUAL_WIDTH` cuts [0, 1] into equal pieces; `EQUAL_MASS` puts (nearly) as many
            numbers into each bin, and equal numbers never into different ones.
        num_bins: B; fewer are filled where numbers are few.
    """
    if kind == EQUAL_WIDTH:
        # The right end belongs to its bin, as in the definition: ((b - 1) / B, b / B].
        return np.asarray(np.clip(np.ceil(confidence * num_bins) - 1, 0, num_bins - 1), np.int64)
    assert kind == EQUAL_MASS
    order = np.sort(confidence)
    first = np.searchsorted(order, confidence, side="left")
    return np.asarray(first * min(num_bins, len(order)) // max(1, len(order)), np.int64)


def calibration_error(
    confidence: Floats, outcome: Floats, bins: Integers, weights: Floats | None = None
) -> Floats:
    """Expected calibration error: mean over images of |mean outcome - mean confidence| of its bin.

    Args:
        confidence: (N,) predicted chance.
        outcome: (N,) 1 where it came true.
        bins: (N,) of `bins_of`.
        weights: (R, N) of the images; None is one resample with all.

    Returns:
        (R,).
    """
    weights = np.ones((1, len(bins))) if weights is None else weights
    members = (bins[:, None] == np.unique(bins)[None]).astype(np.float64)
    gap = np.abs(weights @ (members * (outcome - confidence)[:, None])).sum(1)
    return np.asarray(gap / weights.sum(1))


def error_if_calibrated(
    confidence: Floats, bins: Integers, *, num_draws: int = 200, seed: int = 0
) -> float:
    """The calibration error that chances which are right would show with so few images.

    A calibration error is never below zero, so chance alone makes one; outcomes are drawn as often
    as the chances say, and the mean of the errors is taken.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.random((num_draws, len(confidence))) < confidence
    return float(
        np.mean([calibration_error(confidence, row.astype(np.float64), bins)[0] for row in drawn])
    )


def brier(chances: Floats, labels: Integers) -> Floats:
    """Squared error of each image's chances, (N,); its mean is the Brier score.

    Summed over the classes (0 to 2); with two classes halved (0 to 1), as is usual.
    """
    wanted = np.eye(chances.shape[1])[labels]
    error = ((chances - wanted) ** 2).sum(1)
    return np.asarray(error / 2 if chances.shape[1] == 2 else error)


def log_loss(chances: Floats, labels: Integers) -> Floats:
    """Minus the logarithm of the right class's chance, (N,), in nats."""
    return -np.log(np.maximum(chances[np.arange(len(labels)), labels], FLOOR))


def with_temperature(chances: Floats, temperature: float) -> Floats:
    """Chances (N, C) flattened (above 1) or sharpened (below 1); their order stays."""
    logits = np.log(np.maximum(chances, FLOOR)) / temperature
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True))


def fit_temperature(chances: Floats, labels: Integers) -> float:
    """The temperature that makes chances (N, C) of held-out images likeliest; 1 leaves them.

    Log-loss is convex in 1 / temperature, so there is one minimum; without a label it is 1. Where
    every held-out image is classified rightly (or none) it would have no end, and is cut off at
    `MOST_TEMPERATURE` and its inverse.
    """
    if not len(labels) or chances.shape[1] < 2:
        return 1.0
    end = float(np.log(MOST_TEMPERATURE))
    found = minimize_scalar(
        lambda t: float(log_loss(with_temperature(chances, float(np.exp(t))), labels).mean()),
        bounds=(-end, end),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(found.x))


@dataclass(frozen=True, kw_only=True)
class Bin:
    """One point of a reliability curve.

    Attributes:
        low: smallest predicted chance.
        high: largest.
        members: (N,) 1 for the images in it.
        predicted: mean predicted chance.
        observed: share that came true.
        num: images.
    """

    low: float
    high: float
    members: Floats
    predicted: float
    observed: float
    num: int


def reliability(confidence: Floats, outcome: Floats, bins: Integers) -> list[Bin]:
    """What came true against what was predicted, for each bin that holds images."""
    found = []
    for number in np.unique(bins):
        members = bins == number
        found.append(
            Bin(
                low=float(confidence[members].min()),
                high=float(confidence[members].max()),
                members=members.astype(np.float64),
                predicted=float(confidence[members].mean()),
                observed=float(outcome[members].mean()),
                num=int(members.sum()),
            )
        )
    return found


def risk_at(confidence: Floats, wrong: Floats, coverage: float, weights: Floats) -> Floats:
    """Share of wrong predictions among the `coverage` most confident images; (R,).

    Args:
        confidence: (N,); of equal ones each is as likely to be kept.
        wrong: (N,) 1 where the prediction is wrong.
        coverage: share that is kept, in (0, 1].
        weights: (R, N) of the images.
    """
    ordered, mean_wrong = _by_confidence(confidence, wrong, weights)
    total = ordered.cumsum(1)
    asked = coverage * total[:, -1:]
    kept = np.clip(asked - (total - ordered), 0, ordered)  # the image at the edge counts in part
    return mean_rows(mean_wrong, kept)


def area_under_risk(confidence: Floats, wrong: Floats, weights: Floats | None = None) -> Floats:
    """Mean over all coverages of the risk at each: the area under the risk-coverage curve; (R,).

    Right predictions that are the confident ones give a small area; an order at random gives the
    error rate. Arguments as in `risk_at`.
    """
    weights = np.ones((1, len(wrong))) if weights is None else weights
    ordered, mean_wrong = _by_confidence(confidence, wrong, weights)
    total = ordered.cumsum(1)
    risk = (ordered * mean_wrong).cumsum(1) / np.where(total > 0, total, 1)
    return mean_rows(risk, ordered)


def mean_rows(values: Floats, weights: Floats) -> Floats:
    """Weighted mean along each row of (R, N); (R,)."""
    return np.asarray((values * weights).sum(1) / weights.sum(1))


def _by_confidence(confidence: Floats, wrong: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Weights by falling confidence, and the share of equally confident images that is wrong.

    Both (R, N): of images that are equally sure each resample holds others.
    """
    order = np.argsort(-confidence, kind="stable")
    ordered = weights[:, order]
    first = np.flatnonzero(np.append(True, np.diff(confidence[order]) != 0))
    total = np.add.reduceat(ordered, first, axis=1)
    share = np.add.reduceat(ordered * wrong[order], first, axis=1) / np.where(total > 0, total, 1)
    return ordered, np.repeat(share, np.diff(np.append(first, len(order))), axis=1)
