import itertools

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss
from sklearn.metrics import log_loss as sklearn_log_loss

from medjepa.evaluation.calibration import (
    EQUAL_MASS,
    EQUAL_WIDTH,
    area_under_risk,
    bins_of,
    brier,
    calibration_error,
    error_if_calibrated,
    fit_temperature,
    log_loss,
    reliability,
    risk_at,
    top_label,
    with_temperature,
)


def drawn(num=20_000, num_classes=3, *, sharpness=1.0, seed=0):
    """Chances, and labels that follow them to the power 1 / sharpness."""
    rng = np.random.default_rng(seed)
    chances = rng.dirichlet(np.ones(num_classes), size=num)
    true = with_temperature(chances, sharpness)
    labels = (rng.random((num, 1)) > true.cumsum(1)).sum(1)
    return chances, np.minimum(labels, num_classes - 1)


@pytest.mark.parametrize("planted", [0.5, 1.0, 2.5])
@pytest.mark.parametrize("num_classes", [2, 4])
def test_a_planted_temperature_is_recovered(planted, num_classes):
    chances, labels = drawn(num_classes=num_classes, sharpness=planted)
    assert fit_temperature(chances, labels) == pytest.approx(planted, rel=0.06)


@pytest.mark.parametrize("kind", [EQUAL_WIDTH, EQUAL_MASS])
def test_calibrated_chances_have_no_more_error_than_chance_makes(kind):
    chances, labels = drawn()
    top, right = top_label(chances, labels)
    bins = bins_of(top, kind)
    error = calibration_error(top, right, bins)[0]
    by_chance = error_if_calibrated(top, bins)
    assert error < 0.01
    assert error == pytest.approx(by_chance, abs=0.006)
    # What is surer than it should be is found out, and the temperature mends it.
    sharp = with_temperature(chances, 0.4)
    top, right = top_label(sharp, labels)
    assert calibration_error(top, right, bins_of(top, kind))[0] > 10 * by_chance
    mended = with_temperature(sharp, fit_temperature(sharp, labels))
    top, right = top_label(mended, labels)
    assert calibration_error(top, right, bins_of(top, kind))[0] < 0.012


def test_calibration_error_is_that_of_a_loop_over_bins():
    chances, labels = drawn(500)
    top, right = top_label(chances, labels)
    edges = np.linspace(0, 1, 16)
    expected = 0.0
    for low, high in itertools.pairwise(edges):
        inside = (top > low) & (top <= high)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - top[inside].mean())
    assert calibration_error(top, right, bins_of(top, EQUAL_WIDTH))[0] == pytest.approx(expected)
    # An image that stands twice in a resample counts as two.
    twice = np.arange(500) % 2 + 1
    double = np.repeat(np.arange(500), twice)
    bins = bins_of(top, EQUAL_WIDTH)
    weighted = calibration_error(top, right, bins, twice[None].astype(float))
    assert weighted == pytest.approx(calibration_error(top[double], right[double], bins[double]))


def test_an_end_of_a_bin_belongs_to_the_bin_below_it():
    given = np.array([0.0, 0.1, 0.2, 0.2001, 0.6, 0.999, 1.0])
    assert bins_of(given, EQUAL_WIDTH, 5).tolist() == [0, 0, 0, 1, 2, 4, 4]


def test_a_temperature_divides_the_logits():
    logits = np.random.default_rng(0).normal(size=(20, 3))
    for temperature in (0.5, 1.0, 4.0):
        expected = np.exp(logits / temperature)
        expected /= expected.sum(1, keepdims=True)
        chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        assert with_temperature(chances, temperature) == pytest.approx(expected)


def test_a_temperature_is_1_without_labels_and_ends_where_all_is_right_or_wrong():
    chances = np.array([[0.6, 0.4], [0.3, 0.7]])
    assert fit_temperature(chances[:0], np.zeros(0, np.int64)) == 1
    assert fit_temperature(chances, np.array([0, 1])) == pytest.approx(0.01, rel=0.2)
    assert fit_temperature(chances, np.array([1, 0])) == pytest.approx(100, rel=0.2)


def test_bins_of_equal_mass_are_equally_full_and_tear_no_equal_numbers_apart():
    rng = np.random.default_rng(0)
    sizes = np.bincount(bins_of(rng.random(600), EQUAL_MASS))
    assert len(sizes) == 15
    assert set(sizes) == {40}
    few = np.repeat([0.2, 0.8], [20, 80])
    assert len(set(bins_of(few, EQUAL_MASS)[20:])) == 1
    curve = reliability(few, (few > 0.5).astype(float), bins_of(few, EQUAL_MASS))
    assert [one.num for one in curve] == [20, 80]
    assert [one.observed for one in curve] == [0, 1]


def test_brier_score_and_log_loss_are_those_of_sklearn():
    chances, labels = drawn(300)
    assert log_loss(chances, labels).mean() == pytest.approx(sklearn_log_loss(labels, chances))
    wanted = np.eye(3)[labels]
    assert brier(chances, labels).mean() == pytest.approx(((wanted - chances) ** 2).sum(1).mean())
    chances, labels = drawn(300, 2)
    expected = brier_score_loss(labels, chances[:, 1])
    assert brier(chances, labels).mean() == pytest.approx(expected)


def test_risk_falls_with_coverage_only_if_confidence_says_something():
    rng = np.random.default_rng(0)
    confidence = rng.random(400)
    wrong = (rng.random(400) > confidence).astype(float)
    ones = np.ones((1, 400))
    order = np.argsort(-confidence)
    risks = wrong[order].cumsum() / np.arange(1, 401)
    assert area_under_risk(confidence, wrong)[0] == pytest.approx(risks.mean())
    assert risk_at(confidence, wrong, 0.5, ones)[0] == pytest.approx(risks[199])
    assert risk_at(confidence, wrong, 1.0, ones)[0] == pytest.approx(wrong.mean())
    assert risks[199] < wrong.mean() / 1.4
    # Images that are equally sure stand in no order, in whichever one the table has them.
    flat = np.full(400, 0.7)
    for values in (wrong, np.sort(wrong)):
        assert area_under_risk(flat, values)[0] == pytest.approx(wrong.mean())
        assert risk_at(flat, values, 0.5, ones)[0] == pytest.approx(wrong.mean())


@pytest.mark.parametrize("digits", [1, 9], ids=["many are equally sure", "none are"])
def test_the_risk_of_a_resample_is_that_of_its_images(digits):
    rng = np.random.default_rng(1)
    confidence = rng.random(300).round(digits)
    wrong = (rng.random(300) > confidence).astype(float)
    counts = rng.multinomial(300, np.full(300, 1 / 300), size=5).astype(float)
    rows = [np.repeat(np.arange(300), row.astype(int)) for row in counts]
    for coverage in (0.3, 0.8, 1.0):
        expected = [risk_at(confidence[r], wrong[r], coverage, np.ones((1, 300)))[0] for r in rows]
        assert risk_at(confidence, wrong, coverage, counts) == pytest.approx(expected)
    # An image that stands twice is judged once both are kept: the area differs by less than 1 / N.
    expected = [area_under_risk(confidence[r], wrong[r])[0] for r in rows]
    assert area_under_risk(confidence, wrong, counts) == pytest.approx(expected, abs=1 / 300)
    # Where all are equally sure there is nothing but the share that is wrong, which varies.
    flat, shares = np.full(300, 0.5), [wrong[r].mean() for r in rows]
    assert area_under_risk(flat, wrong, counts) == pytest.approx(shares)
