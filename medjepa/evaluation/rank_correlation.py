"""Does a score put checkpoints into the order in which a probe puts them?

Legend: M checkpoints, R resamples of the test patients.
"""

import math
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from scipy.stats import rankdata

from medjepa.evaluation.bootstrap import Estimate, estimate
from medjepa.evaluation.delong import holm
from medjepa.evaluation.metrics import Floats

MIN_CHECKPOINTS = 5
"""With fewer, even a perfect order is likely by chance: 4 have one of 24 orders, either way up."""

MOST_LISTED = 7
"""Up to so many checkpoints every order is listed; of more, `NUM_DRAWS` orders are drawn."""

NUM_DRAWS = 10_000
SIGNIFICANT = 0.05


@dataclass(frozen=True, kw_only=True)
class Correlation:
    """How a score and a probe order the same checkpoints; 1: alike, -1: the other way round.

    Attributes:
        key: of the score.
        num: M.
        spearman: of ranks, with its interval over test patients; None: cannot tell.
        kendall: tau-b, likewise.
        p: share of orders of the checkpoints with as large a Spearman correlation, either sign.
        p_holm: corrected for the number of scores.
        verdict: in words.
    """

    key: str
    num: int
    spearman: Estimate | None
    kendall: Estimate | None
    p: float | None
    p_holm: float | None
    verdict: str


def correlate(
    scores: dict[str, Floats], probe: Floats, samples: Floats, *, seed: int
) -> list[Correlation]:
    """Correlate every score with the probe.

    Args:
        scores: key -> (M,), turned so that more is better.
        probe: (M,) more is better.
        samples: (R, M) of the probe on resamples of the test patients; R = 0 for no interval.
        seed: of the orders that are drawn.
    """
    num = len(probe)
    if num < MIN_CHECKPOINTS:
        told = f"cannot tell: {num} checkpoints, {MIN_CHECKPOINTS} are needed"
        return [_unknown(key, num, told) for key in scores]
    p_values = [order_p_value(values, probe, seed=seed) for values in scores.values()]
    found = []
    for (key, values), p, p_holm in zip(scores.items(), p_values, holm(p_values), strict=True):
        if p is None:
            found.append(_unknown(key, num, "cannot tell: it is the same for all checkpoints"))
            continue
        rank = estimate(float(spearman(values, probe[None])[0]), spearman(values, samples))
        tau = estimate(float(kendall(values, probe[None])[0]), kendall(values, samples))
        found.append(
            Correlation(
                key=key,
                num=num,
                spearman=rank,
                kendall=tau,
                p=p,
                p_holm=p_holm,
                verdict=_verdict(rank, p_holm),
            )
        )
    return found


def spearman(one: Floats, many: Floats) -> Floats:
    """Spearman correlation of (M,) with each row of (R, M); ties have their mean rank; (R,).

    NaN where all numbers of either are equal.
    """
    first = _centred(rankdata(one)[None])
    rows = _centred(rankdata(many, axis=1) if len(many) else many)
    size = np.sqrt((first**2).sum() * (rows**2).sum(1))
    found = np.divide(rows @ first[0], size, out=np.full(len(rows), np.nan), where=size > 0)
    return np.asarray(found)


def kendall(one: Floats, many: Floats) -> Floats:
    """Kendall's tau-b of (M,) with each row of (R, M); (R,), NaN as for `spearman`."""
    first = np.sign(one[:, None] - one[None])
    rows = np.sign(many[:, :, None] - many[:, None])
    size = np.sqrt((first**2).sum() * (rows**2).sum((1, 2)))
    agree = (rows * first).sum((1, 2))
    return np.asarray(np.divide(agree, size, out=np.full(len(rows), np.nan), where=size > 0))


def order_p_value(one: Floats, other: Floats, *, seed: int) -> float | None:
    """Two-sided p of no relation: how often another order of the checkpoints correlates as much.

    It takes checkpoints for exchangeable, which those of one run are not. None where all numbers
    of either are equal.
    """
    observed = float(spearman(one, other[None])[0])
    if math.isnan(observed):
        return None
    if len(other) <= MOST_LISTED:
        orders = other[np.array(list(permutations(range(len(other)))))]
        return float((np.abs(spearman(one, orders)) >= abs(observed) - 1e-9).mean())
    rng = np.random.default_rng(seed)
    orders = rng.permuted(np.tile(other, (NUM_DRAWS, 1)), axis=1)
    as_much = int((np.abs(spearman(one, orders)) >= abs(observed) - 1e-9).sum())
    return (1 + as_much) / (1 + NUM_DRAWS)


def _centred(rows: Floats) -> Floats:
    return np.asarray(rows - rows.mean(1, keepdims=True))


def _verdict(rank: Estimate, p_holm: float | None) -> str:
    if p_holm is None or p_holm >= SIGNIFICANT or rank.low is None or rank.high is None:
        return "cannot tell"
    if rank.low > 0:
        return "orders them like the probe"
    return "orders them the other way round" if rank.high < 0 else "cannot tell"


def _unknown(key: str, num: int, told: str) -> Correlation:
    return Correlation(
        key=key, num=num, spearman=None, kendall=None, p=None, p_holm=None, verdict=told
    )
