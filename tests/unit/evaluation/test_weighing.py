"""Numbers on resamples: of those that have it, with the value on all images."""

from functools import partial

import numpy as np
import pytest

from medjepa.evaluation.bootstrap import PatientBootstrap
from medjepa.evaluation.weighing import bootstrapped, mean_of, resampled


def test_resamples_that_lack_a_number_are_left_out_of_its_interval():
    """Of 6 patients two have the class that a number is about: a resample may hold neither."""
    patient = np.repeat(np.arange(6), 2)
    values = np.array([0.1, 0.3, 0.8, 0.6, *[np.nan] * 8])
    part = PatientBootstrap.draw(
        np.zeros(12, np.int64), [f"p{p}" for p in patient], num_resamples=400, seed=0
    )

    def number(weights):
        return mean_of(values[:4], weights[:, :4])

    drawn = resampled(part, number)
    by_hand = [
        np.repeat(values[:4], counts[patient[:4]]).mean() if counts[:2].any() else np.nan
        for counts in part.counts.astype(int)
    ]
    assert np.allclose(drawn, by_hand, equal_nan=True)
    assert 0 < np.isnan(drawn).mean() < 0.2
    found = bootstrapped(part, number)
    assert found.value == pytest.approx(0.45)
    assert (found.low, found.high) == pytest.approx(np.nanquantile(by_hand, (0.025, 0.975)))


def test_of_several_numbers_the_mean_is_taken_resample_by_resample():
    part = PatientBootstrap.draw(np.zeros(30, np.int64), None, num_resamples=50, seed=0)
    x = np.random.default_rng(0).normal(size=30)
    both = bootstrapped(part, [partial(mean_of, x), partial(mean_of, 3 - x)])
    assert (both.value, both.low, both.high) == pytest.approx((1.5, 1.5, 1.5))
