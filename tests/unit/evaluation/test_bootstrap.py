import time

import numpy as np
import pytest
from scipy.stats import norm

from medjepa.evaluation.bootstrap import PatientBootstrap, estimate
from medjepa.evaluation.metrics import macro_auc

SEPARATION = 1.0
TRUE_AUC = norm.cdf(SEPARATION / np.sqrt(2))


def study(num_patients, seed, *, images=3):
    """Scores with a patient effect; the true AUC over patients and images is TRUE_AUC."""
    rng = np.random.default_rng(seed)
    label = np.repeat(np.arange(num_patients) % 2, images)
    group = np.repeat(np.arange(num_patients), images)
    noise = np.repeat(rng.normal(size=num_patients), images) * np.sqrt(0.6)
    score = noise + rng.normal(size=len(label)) * np.sqrt(0.4) + SEPARATION * label
    return label, [str(g) for g in group], np.stack([-score, score], axis=1)


def interval(label, group, scores, *, num_resamples=300):
    bootstrap = PatientBootstrap.draw(label, group, num_resamples=num_resamples)
    return estimate(macro_auc(label, scores)[0], bootstrap.samples("auc", label, scores))


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    found = [interval(*study(100, seed)) for seed in range(150)]
    hits = np.mean([one.low <= TRUE_AUC <= one.high for one in found])
    assert 0.89 <= hits <= 0.99  # 95 % of 150 studies, give or take three standard errors


def test_taking_images_of_one_patient_for_independent_narrows_the_interval_too_much():
    found = [interval(study(100, s)[0], None, study(100, s)[2]) for s in range(100)]
    hits = np.mean([one.low <= TRUE_AUC <= one.high for one in found])
    assert hits < 0.88


def test_copies_of_every_image_change_nothing():
    label, group, scores = study(60, 0)
    once = interval(label, group, scores)
    twice = interval(np.tile(label, 2), group * 2, np.tile(scores, (2, 1)))
    assert (twice.low, twice.high) == pytest.approx((once.low, once.high))


def test_a_seed_decides():
    label, group, _ = study(40, 0)
    first, again, other = (PatientBootstrap.draw(label, group, seed=s).counts for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert (first.sum(1) == 40).all()


def test_resamples_without_a_class_are_drawn_again_and_counted():
    label = np.array([0] * 30 + [1])
    group = [str(i) for i in range(31)]
    bootstrap = PatientBootstrap.draw(label, group, num_resamples=200)
    assert len(bootstrap.counts) == 200
    assert (bootstrap.counts[:, bootstrap.patient[30]] > 0).all()
    # A patient is absent from (1 - 1/31)^31 = 36 % of the draws.
    assert 70 < bootstrap.num_redrawn < 190


def test_a_single_image_gives_no_interval_and_no_crash():
    label, scores = np.array([1]), np.array([[0.4, 0.6]])
    bootstrap = PatientBootstrap.draw(label, None, num_resamples=10)
    found = estimate(macro_auc(label, scores)[0], bootstrap.samples("auc", label, scores))
    assert found.low is None
    assert found.detectable is None


def test_two_thousand_images_take_less_than_a_second_or_so():
    rng = np.random.default_rng(0)
    label, scores = rng.integers(7, size=2000), rng.random((2000, 7))
    group = [str(g) for g in rng.integers(600, size=2000)]
    begin = time.process_time()
    PatientBootstrap.draw(label, group).samples("auc", label, scores)
    assert time.process_time() - begin < 2  # 0.3 s on a free core


def test_the_detectable_difference_is_found_in_four_of_five_studies():
    detectable = estimate(0.0, np.random.default_rng(0).normal(size=20_000)).detectable
    power = 1 - norm.cdf(1.96 - detectable)
    assert power == pytest.approx(0.8, abs=0.01)


def test_a_class_that_is_absent_from_every_resample_leaves_no_interval():
    labels = np.arange(60)
    bootstrap = PatientBootstrap.draw(labels, None, num_resamples=20, seed=0)
    samples = bootstrap.samples("auc", labels, np.eye(60))
    assert len(samples) == 0
    assert estimate(1.0, samples).low is None


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_a_number_that_does_not_exist_has_no_interval(odd):
    """A quantile of samples with a NaN or an infinity would be a number that nobody measured."""
    samples = np.linspace(0.4, 0.6, 100)
    spoilt = samples.copy()
    spoilt[7] = odd
    for found in (estimate(0.5, spoilt), estimate(odd, samples)):
        assert (found.low, found.high, found.standard_error) == (None, None, None)
        assert found.detectable is None
    assert estimate(0.5, samples).low == pytest.approx(0.405)
