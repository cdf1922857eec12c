"""As good as scratch with N times the labels: read off a curve, and undecided where it must be."""

import numpy as np
import pytest

from medjepa.evaluation.bootstrap import Estimate
from medjepa.evaluation.classify_curve import equivalence, labels_needed

LABELS = (10, 100, 1000)


def needed(curve, wanted):
    return float(labels_needed(LABELS, np.array([curve]), np.array([wanted]))[0])


def test_it_is_linear_in_the_logarithm_of_the_labels():
    assert needed((0.5, 0.7, 0.9), 0.7) == pytest.approx(100)
    assert needed((0.5, 0.7, 0.9), 0.8) == pytest.approx(100 * 10**0.5)
    assert needed((0.5, 0.7, 0.9), 0.5) == 10
    assert needed((0.5, 0.7, 0.9), 0.9) == pytest.approx(1000)


def test_it_is_not_extrapolated():
    assert needed((0.5, 0.7, 0.9), 0.4) == 0
    assert needed((0.5, 0.7, 0.9), 0.91) == np.inf


def test_a_dip_of_the_curve_does_not_count():
    assert needed((0.6, 0.5, 0.9), 0.6) == 10
    # from the best so far, .6 at 100, to .9 at 1000
    assert needed((0.6, 0.5, 0.9), 0.75) == pytest.approx(100 * 10**0.5)


def said(ours, difference, *, noise=0.001, small="", fraction=0.1, own=100):
    rng = np.random.default_rng(0)
    curve = np.array([0.5, 0.7, 0.9])
    low, high = difference
    return equivalence(
        fraction, LABELS, own, (curve, curve + noise * rng.normal(size=(200, 3))),
        (ours, ours + noise * rng.normal(size=200)),
        Estimate(value=ours - 0.7, low=low, high=high, standard_error=0.01), too_small=small,
    )  # fmt: skip


def test_what_is_beyond_doubt_is_said_with_its_interval():
    found = said(0.8, (0.05, 0.15))
    assert found.decided
    assert found.times == pytest.approx(10**0.5)
    assert 2.9 < found.low < found.times < found.high < 3.5
    assert "as good as scratch with 3.2 times the labels" in found.sentence


def test_beyond_the_curve_it_is_more_than_was_measured():
    found = said(0.95, (0.2, 0.3))
    assert found.times == np.inf
    assert "more than 10 times" in found.sentence


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"ours": 0.72, "difference": (-0.02, 0.06)}, "not above zero"),
        ({"ours": 0.72, "difference": (None, None)}, "not above zero"),
        ({"ours": 0.71, "difference": (0.001, 0.02), "noise": 0.1}, "does not lie above 1"),
        ({"ours": 0.8, "difference": (0.05, 0.1), "small": "5 patients"}, "5 patients"),
    ],
)
def test_otherwise_it_cannot_tell(given, why):
    found = said(**given)
    assert not found.decided
    assert "cannot tell" in found.sentence
    assert why in found.sentence


def test_nothing_is_said_where_no_network_from_scratch_had_more_labels():
    found = said(0.95, (0.02, 0.08), fraction=1.0, own=1000)
    assert not found.decided
    assert "cannot be told" in found.sentence
