"""The robustness index: who counts, what chance gives, and ends that are shares."""

import numpy as np
import pytest

from medjepa.evaluation.outliers import MahalanobisScore
from medjepa.evaluation.robustness_index import robustness_index


def study(num=90, seed=0, by_class=0.7, by_site=0.7):
    rng = np.random.default_rng(seed)
    patient = np.arange(num) // 2
    target, site = rng.integers(2, size=(2, num))[:, patient]
    x = rng.normal(size=(num, 4))
    x[:, 0] += 2 * by_class * target
    x[:, 1] += 2 * by_site * site
    return x, target, site, [f"p{p:02d}" for p in patient]


def test_images_of_no_known_site_change_nothing():
    x, target, site, names = study()
    order = np.random.default_rng(1).permutation(90)  # a patient's images are not side by side
    x, target, site, names = x[order], target[order], site[order], [names[i] for i in order]
    unknown = np.where(order // 2 % 4 == 1, -1, site)
    rows = np.flatnonzero(unknown >= 0)
    alone, chance = robustness_index(
        x[rows], target[rows], site[rows], [names[i] for i in rows], k=7, num_resamples=20
    )
    with_others = robustness_index(x, target, unknown, names, k=7, num_resamples=20)
    assert with_others == (alone, chance)
    assert alone.low < alone.value < alone.high


def test_chance_is_that_of_pairs_of_different_patients():
    x, target, site, names = study()
    wanted = unwanted = 0
    for i in range(90):
        for j in range(90):
            if names[i] != names[j]:
                wanted += target[i] == target[j] and site[i] != site[j]
                unwanted += target[i] != target[j] and site[i] == site[j]
    _, chance = robustness_index(x, target, site, names, k=7, num_resamples=2)
    assert chance == pytest.approx(wanted / (wanted + unwanted))
    # Pairs of one patient, of one class and one site, would be in neither: so split a patient.
    site[::2] = 1 - site[::2]
    _, apart = robustness_index(x, target, site, names, k=7, num_resamples=2)
    _, counted = robustness_index(x, target, site, None, k=7, num_resamples=2)
    assert apart != counted


def test_an_interval_does_not_leave_the_shares():
    for by_class, by_site, end in ((4.0, 0.0, "high"), (0.0, 4.0, "low")):
        given = study(50, seed=2, by_class=by_class, by_site=by_site)
        found, _ = robustness_index(*given, k=5)
        reach = 1.96 * found.standard_error
        assert found.value + reach > 1 if end == "high" else found.value - reach < 0
        assert getattr(found, end) == (1.0 if end == "high" else 0.0)


def test_a_feature_that_never_changes_in_training_says_nothing_of_the_others():
    x = np.random.default_rng(0).normal(size=(50, 4))
    flat = np.column_stack([x, np.full(50, 3.0)])
    found = MahalanobisScore().fit(flat).score(flat)
    assert np.isfinite(found).all()
    order = MahalanobisScore().fit(x).score(x).argsort()
    assert set(found.argsort()[-5:]) == set(order[-5:])
