"""As good as the network from scratch with N times the labels: read off its curve.

The curve of the network from scratch is linear between its points in the logarithm of the number of
labels, and never falls: of a curve that dips, the best so far counts. N is the number of labels at
which it first reaches the pre-trained network's value, over the pre-trained network's own number.
It is not extrapolated: below the first point N is 0, beyond the last it is infinite.

Legend: F shares of the labels, R resamples.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from medjepa.evaluation.bootstrap import Estimate
from medjepa.evaluation.metrics import Floats


@dataclass(frozen=True, kw_only=True)
class Equivalence:
    """What the pre-trained network's labels are worth at one share.

    Attributes:
        fraction: share of the labels.
        times: N; infinite where the curve from scratch never gets there, 0 where it starts above.
        low: end of its 95 % interval; None where there is none.
        high: likewise.
        measured: the greatest N that the curve could show at this share.
        decided: whether the difference at this share and N > 1 are both beyond doubt.
        sentence: in words.
    """

    fraction: float
    times: float
    low: float | None
    high: float | None
    measured: float
    decided: bool
    sentence: str


def labels_needed(
    num_labels: Sequence[float], curve: Float[np.ndarray, "r f"], wanted: Float[np.ndarray, " r"]
) -> Floats:
    """The number of labels at which a curve first reaches a value, for each of R; (R,).

    Args:
        num_labels: (F,) ascending.
        curve: what was reached with so many.
        wanted: the value.
    """
    places = np.log(np.asarray(num_labels, np.float64))
    highest = np.maximum.accumulate(curve, axis=1)
    reached = highest >= wanted[:, None]
    first = np.where(reached.any(1), reached.argmax(1), len(places))
    found = np.full(len(wanted), np.inf)
    found[(first == 0) & (wanted < highest[:, 0])] = 0.0
    found[(first == 0) & (wanted == highest[:, 0])] = num_labels[0]
    inside = np.flatnonzero((first > 0) & (first < len(places)))
    after = first[inside]
    low, high = highest[inside, after - 1], highest[inside, after]
    share = (wanted[inside] - low) / (high - low)
    found[inside] = np.exp(places[after - 1] + share * (places[after] - places[after - 1]))
    return found


def equivalence(
    fraction: float,
    num_labels: Sequence[float],
    own_labels: float,
    scratch: tuple[Floats, Floats],
    ours: tuple[float, Floats],
    difference: Estimate,
    *,
    too_small: str = "",
) -> Equivalence:
    """Say what the pre-trained network's labels are worth at one share.

    Args:
        fraction: the share.
        num_labels: (F,) of the curve, ascending.
        own_labels: of the pre-trained network at this share.
        scratch: the curve (F,), and on every resample (R, F).
        ours: the value at this share, and on every resample (R,).
        difference: of the two at this share, paired.
        too_small: why nothing is decided (a small test set, draws that differ); "" if it may.
    """
    curve, resampled = scratch
    value, samples = ours
    times = float(labels_needed(num_labels, curve[None], np.array([value]))[0]) / own_labels
    measured = num_labels[-1] / own_labels
    low: float | None = None
    high: float | None = None
    known = np.isfinite(samples) & np.isfinite(resampled).all(1)
    if len(num_labels) > 1 and known.sum() > 1:
        drawn = labels_needed(num_labels, resampled[known], samples[known]) / own_labels
        # Not interpolated: between a number and infinity there is nothing.
        low = float(np.quantile(drawn, 0.025, method="lower"))
        high = float(np.quantile(drawn, 0.975, method="higher"))
    clear = difference.low is not None and difference.low > 0
    decided = clear and not too_small and low is not None and low > 1
    start = f"With {100 * fraction:g} % of the labels ({own_labels:,.0f})"
    if len(num_labels) < 2 or measured <= 1:
        why = (
            "one share was measured"
            if len(num_labels) < 2
            else "no network from scratch had more labels"
        )
        return Equivalence(
            fraction=fraction, times=times, low=low, high=high, measured=measured, decided=False,
            sentence=f"{start}: what they are worth cannot be told, {why}.",
        )  # fmt: skip
    if decided:
        sentence = (
            f"{start}, pre-trained is as good as scratch with {_times(times, measured)} times the "
            f"labels, 95 % interval [{_times(low, measured)}, {_times(high, measured)}]."
        )
    else:
        ends = ""
        if low is not None and high is not None:
            ends = f" (interval [{_times(low, measured)}, {_times(high, measured)}])"
        why = too_small or (
            "the difference from scratch is not above zero beyond doubt"
            if not clear
            else "the interval does not lie above 1"
        )
        sentence = (
            f"{start}: cannot tell how many times the labels scratch would need{ends}: {why}."
        )
    return Equivalence(
        fraction=fraction, times=times, low=low, high=high, measured=measured, decided=decided,
        sentence=sentence,
    )  # fmt: skip


def _times(value: float | None, measured: float) -> str:
    if value is None:
        return "–"
    if math.isinf(value):
        return f"more than {measured:.3g}"
    return "less than the fewest" if value == 0 else f"{value:.2g}"
