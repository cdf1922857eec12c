"""Cox's regression beyond its optimum: whether it got there, large risks, whose scale counts."""

import numpy as np
import pytest
from scipy.special import logsumexp

from medjepa.evaluation import cox
from medjepa.evaluation.cox import CoxProbe


def study(num=50, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(num, 3))
    time = np.ceil(rng.exponential(np.exp(-x[:, 0])) * 5)
    return x, time, rng.random(num) < 0.7


def test_a_fit_that_is_stopped_early_says_so(monkeypatch):
    x, time, event = study()
    assert CoxProbe(default_penalty=1.0).fit(x, time, event).converged_
    whole = cox.fmin_l_bfgs_b
    monkeypatch.setattr(
        cox, "fmin_l_bfgs_b", lambda *given, **more: whole(*given, **{**more, "maxiter": 1})
    )
    assert not CoxProbe(default_penalty=1.0).fit(x, time, event).converged_


@pytest.mark.parametrize("size", [1.0, 1e3, 1e5])
def test_the_likelihood_is_that_of_its_definition_however_large_risks_are(size):
    """exp(1000) is no number, the logarithm of a sum of such is."""
    x, time, event = study()
    part = cox._Partial(x, time, event, np.ones(3))
    weights = size * np.array([1.0, -0.5, 0.2])
    risk = x @ weights
    expected = sum(logsumexp(risk[time >= time[i]]) - risk[i] for i in np.flatnonzero(event))
    assert part.loss(weights) == pytest.approx(expected)


def test_features_are_scaled_by_those_who_are_fitted_on(monkeypatch):
    x, time, event = study()
    seen = []

    class Axes(cox.PrincipalAxes):
        def fit(self, given):
            seen.append(given)
            return super().fit(given)

    monkeypatch.setattr(cox, "PrincipalAxes", Axes)
    folds = [(np.arange(30), np.arange(30, 50)), (np.arange(20, 50), np.arange(20))]
    CoxProbe(penalty_grid=(10.0, 1.0)).fit(x, time, event, folds=folds)
    for given, rows in zip(seen, (*(fit for fit, _ in folds), np.arange(50)), strict=True):
        assert np.array_equal(given, x[rows])
