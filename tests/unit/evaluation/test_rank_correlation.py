"""Rank correlations: scipy's numbers, exact chances, and silence where there is too little."""

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from medjepa.evaluation import rank_correlation
from medjepa.evaluation.rank_correlation import correlate, kendall, order_p_value, spearman


def test_both_correlations_are_scipys_with_and_without_ties():
    rng = np.random.default_rng(0)
    one = rng.normal(size=9).round(1)
    many = np.stack([rng.normal(size=9), rng.integers(0, 3, 9), one, -one]).astype(float)
    assert spearman(one, many) == pytest.approx([spearmanr(one, row)[0] for row in many])
    assert kendall(one, many) == pytest.approx([kendalltau(one, row)[0] for row in many])


def test_equal_numbers_have_no_order():
    same = np.ones(6)
    other = np.arange(6.0)
    assert (
        np.isnan(spearman(same, other[None])).all() and np.isnan(kendall(same, other[None])).all()
    )
    assert order_p_value(same, other, seed=0) is None


def test_the_p_value_is_the_share_of_all_orders():
    up = np.arange(5.0)
    assert order_p_value(up, up, seed=0) == pytest.approx(2 / 120)  # this order, and its reverse
    assert order_p_value(up, -up, seed=0) == pytest.approx(2 / 120)
    # One neighbouring pair exchanged: 1 + 4 orders are at most so far from sorted, and 5 reverse.
    assert order_p_value(up, np.array([1.0, 0, 2, 3, 4]), seed=0) == pytest.approx(10 / 120)


def test_drawn_orders_agree_with_all_of_them(monkeypatch):
    rng = np.random.default_rng(3)
    one = rng.normal(size=7)
    other = one + rng.normal(size=7)
    exact = order_p_value(one, other, seed=0)
    monkeypatch.setattr(rank_correlation, "MOST_LISTED", 0)
    assert order_p_value(one, other, seed=0) == pytest.approx(exact, abs=0.02)
    assert order_p_value(one, other, seed=0) == order_p_value(one, other, seed=0)


def test_of_no_relation_few_are_called_one(monkeypatch):
    """Five scores of noise, 60 sweeps of 10 checkpoints: a family is wrong in at most 5 %."""
    monkeypatch.setattr(rank_correlation, "NUM_DRAWS", 1000)
    rng = np.random.default_rng(0)
    wrong = 0
    for sweep in range(60):
        probe = rng.normal(size=10)
        samples = probe + 0.01 * rng.normal(size=(50, 10))
        scores = {str(n): rng.normal(size=10) for n in range(5)}
        found = correlate(scores, probe, samples, seed=sweep)
        wrong += any(one.verdict != "cannot tell" for one in found)
    assert wrong <= 7  # binomial(60, .05) exceeds it in 1 of 75


def test_an_order_that_is_the_probes_is_found_either_way_up():
    probe = np.arange(10.0)
    samples = probe + np.random.default_rng(0).normal(size=(50, 10))
    alike, reverse = correlate({"a": probe**3, "b": -probe}, probe, samples, seed=0)
    assert alike.spearman.value == pytest.approx(1) and reverse.kendall.value == pytest.approx(-1)
    assert alike.spearman.low < 1 and alike.verdict == "orders them like the probe"
    assert reverse.verdict == "orders them the other way round"
    assert alike.p < alike.p_holm == pytest.approx(2 * alike.p)


def test_four_checkpoints_or_no_interval_cannot_tell():
    up = np.arange(4.0)
    (few,) = correlate({"a": up}, up, up[None].repeat(20, 0), seed=0)
    assert few.spearman is few.p is None and few.verdict.startswith("cannot tell: 4 checkpoints")
    ten = np.arange(10.0)
    (bare,) = correlate({"a": ten}, ten, np.empty((0, 10)), seed=0)
    assert bare.spearman.low is None and bare.verdict == "cannot tell"
    (flat,) = correlate({"a": 0 * ten}, ten, ten[None].repeat(20, 0), seed=0)
    assert flat.verdict == "cannot tell: it is the same for all checkpoints"
