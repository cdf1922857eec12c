"""DeLong's variance against a second, slow implementation, hand-computed and simulated studies."""

import numpy as np
import pytest
from scipy.stats import norm

from medjepa.evaluation.delong import (
    area_estimate,
    components,
    delong,
    difference_estimate,
    holm,
    two_sided,
)
from medjepa.evaluation.metrics import macro_auc


def slow_delong(positive, scores, patients):
    """Obuchowski 1997 as printed, every pair of images by itself: O(mn) and a loop over patients.

    For patients of one image each this is DeLong 1988.
    """
    wins = [np.zeros((positive.sum(), (~positive).sum())) for _ in scores]
    for table, score in zip(wins, scores, strict=True):
        for i, above in enumerate(score[positive]):
            for j, below in enumerate(score[~positive]):
                table[i, j] = 1.0 if above > below else 0.5 if above == below else 0.0
    areas = [table.mean() for table in wins]
    m, n = wins[0].shape
    names = np.unique(patients)
    own, other = patients[positive], patients[~positive]
    i10, i01, i = len(np.unique(own)), len(np.unique(other)), len(names)
    covariance = np.zeros((len(scores), len(scores)))
    for q, (first, first_area) in enumerate(zip(wins, areas, strict=True)):
        for r, (second, second_area) in enumerate(zip(wins, areas, strict=True)):
            s10 = s01 = s11 = s11_turned = 0.0
            for name in names:
                a10 = sum(first[k].mean() - first_area for k in np.flatnonzero(own == name))
                b10 = sum(second[k].mean() - second_area for k in np.flatnonzero(own == name))
                a01 = sum(first[:, k].mean() - first_area for k in np.flatnonzero(other == name))
                b01 = sum(second[:, k].mean() - second_area for k in np.flatnonzero(other == name))
                s10 += a10 * b10
                s01 += a01 * b01
                s11 += a10 * b01
                s11_turned += a01 * b10
            covariance[q, r] = (
                i10 / (i10 - 1) * s10 / m**2
                + i01 / (i01 - 1) * s01 / n**2
                + i / (i - 1) * (s11 + s11_turned) / (m * n)
            )
    return np.array(areas), covariance


def sample(seed, *, num=60, ties=False, images=1):
    """Labels (N,), two scores (2, N) that share noise, patients (N,); labels differ in patients."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(num // images), images)
    positive = rng.random(num) < 0.4
    positive[:2] = True, False
    shared = rng.normal(size=num) + rng.normal(size=num // images)[patient]
    scores = np.stack([shared + positive * lead + rng.normal(size=num) for lead in (1.0, 0.3)])
    return positive, np.round(scores) if ties else scores, patient


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("images", [1, 3])
def test_it_equals_a_second_implementation(ties, images):
    for seed in range(3):
        positive, scores, patient = sample(seed, ties=ties, images=images)
        areas, covariance = delong(positive, scores, patient)
        slow_areas, slow_covariance = slow_delong(positive, scores, patient)
        assert np.abs(areas - slow_areas).max() < 1e-9
        assert np.abs(covariance - slow_covariance).max() < 1e-9
        columns = np.stack([-scores[0], scores[0]], axis=1)
        assert areas[0] == pytest.approx(macro_auc(positive.astype(np.int64), columns)[0])


def test_ordinary_delong_by_hand():
    # Positives 3, 1 and negatives 2, 0: the pairs are won 1, 1, 0, 1.
    positive = np.array([True, True, False, False])
    area, covariance = delong(positive, np.array([[3.0, 1.0, 2.0, 0.0]]))
    assert area[0] == 0.75
    # V10 = 1, .5 and V01 = .5, 1: sample variances .125 each, halved.
    assert covariance[0, 0] == pytest.approx(0.125 / 2 + 0.125 / 2)


def test_clusters_of_one_image_are_the_ordinary_variance():
    positive, scores, _ = sample(4)
    names = np.random.default_rng(0).permutation(len(positive))
    assert np.allclose(delong(positive, scores, names)[1], delong(positive, scores)[1], rtol=1e-12)


def test_copies_of_every_image_change_nothing_where_they_belong_to_one_patient():
    positive, scores, patient = sample(5)
    twice = delong(np.tile(positive, 2), np.tile(scores, 2), np.tile(patient, 2))
    assert np.allclose(twice[1], delong(positive, scores)[1], rtol=1e-12)
    taken_for_others = delong(np.tile(positive, 2), np.tile(scores, 2))
    assert taken_for_others[1][0, 0] < 0.6 * twice[1][0, 0]


def test_a_weighted_sum_has_the_variance_of_the_table():
    positive, scores, patient = sample(6, images=2)
    found = components([positive] * 2, list(scores), [patient] * 2, num_patients=30)
    weights = np.array([1.0, -1.0])
    assert found.variance(weights) == pytest.approx(weights @ found.covariance @ weights)


def test_holm_by_hand():
    # Sorted .005, .01, .03, .04: times 4, 3, 2, 1 and never falling.
    corrected = holm([0.01, 0.04, None, 0.03, 0.005])
    assert corrected[2] is None
    assert [corrected[i] for i in (0, 1, 3, 4)] == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_equal_scores_differ_by_nothing_and_perfect_ones_have_no_interval():
    same = difference_estimate(0.0, 0.0)
    assert (same.low, same.high, two_sided(same)) == (0.0, 0.0, 1.0)
    assert two_sided(difference_estimate(0.3, 0.0)) is None
    assert area_estimate(1.0, 0.0).low is None
    assert difference_estimate(0.1, np.nan).low is None


def test_a_normal_interval_and_its_p_value_by_hand():
    two_errors = difference_estimate(0.1, 0.05**2)
    assert two_errors.standard_error == pytest.approx(0.05)
    assert (two_errors.low, two_errors.high) == pytest.approx((0.002, 0.198), abs=1e-4)
    # Two standard errors either way; just where the interval ends, p is 5 %.
    assert two_sided(two_errors) == pytest.approx(0.0455, abs=1e-4)
    assert two_sided(difference_estimate(-0.1, 0.05**2)) == two_sided(two_errors)
    at_the_end = difference_estimate(two_errors.value - two_errors.low, 0.05**2)
    assert two_sided(at_the_end) == pytest.approx(0.05)


def test_an_area_stays_between_0_and_1_and_a_patient_alone_has_no_variance():
    close = area_estimate(0.98, 0.02**2)
    assert 0.85 < close.low < 0.95 < close.high < 1
    positive = np.array([True, True, False, False, False])
    _, covariance = delong(positive, np.arange(5.0)[None], np.array([0, 0, 1, 2, 3]))
    assert np.isnan(covariance[0, 0])


@pytest.mark.parametrize("images", [1, 3])
def test_intervals_and_tests_hold_what_they_promise(images):
    covered, rejected, num_studies = 0, 0, 400
    truth = norm.cdf(1 / np.sqrt(2))
    for seed in range(num_studies):
        rng = np.random.default_rng(seed)
        patient = np.repeat(np.arange(120), images)
        positive = patient % 2 == 0
        effect = rng.normal(size=(3, 120))[:, patient] * np.sqrt(0.6)
        noise = effect + rng.normal(size=(3, len(patient))) * np.sqrt(0.4)
        # Two scores of equal truth: no difference is there to be found.
        scores = positive + (noise[:2] + noise[2]) / np.sqrt(2)
        areas, covariance = delong(positive, scores, patient)
        found = area_estimate(float(areas[0]), float(covariance[0, 0]))
        covered += found.low <= truth <= found.high
        lead = np.array([1.0, -1.0])
        p = two_sided(difference_estimate(float(lead @ areas), float(lead @ covariance @ lead)))
        rejected += p < 0.05
    assert 0.915 <= covered / num_studies <= 0.98  # three standard errors about .95
    assert 0.02 <= rejected / num_studies <= 0.085
