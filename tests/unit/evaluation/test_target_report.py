"""Findings, grades, numbers and survival: read, learnt, measured, and judged."""

import json

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.linear_model import Ridge
from sklearn.metrics import average_precision_score, cohen_kappa_score, roc_auc_score
from sklearn.preprocessing import StandardScaler

from medjepa.errors import ConfigError, DataError
from medjepa.evaluation.bootstrap import Estimate, PatientBootstrap
from medjepa.evaluation.cox import CoxProbe
from medjepa.evaluation.delong import holm
from medjepa.evaluation.folds import validation_folds
from medjepa.evaluation.protocol import Features, Task
from medjepa.evaluation.results import MAJORITY, PIXELS, PRETRAINED, UNTRAINED
from medjepa.evaluation.ridge import RidgeProbe
from medjepa.evaluation.target import Target, TargetRule
from medjepa.evaluation.target_fits import METRICS, predict
from medjepa.evaluation.target_report import assess_target
from medjepa.evaluation.target_sections import target_section
from medjepa.report.html import render_html
from medjepa.report.terminal import render


@pytest.fixture(autouse=True)
def _few_settings(monkeypatch):
    monkeypatch.setattr("medjepa.evaluation.probes.C_GRID", (1e-2, 1.0))
    monkeypatch.setattr("medjepa.evaluation.target_fits.COARSE_GRID", (1e-2, 1.0))


def cells_of(kind, hidden, rng):
    """A table's column(s) that follow the hidden truth (N,)."""
    if kind == "multilabel":
        names = [["edema"] * int(h > 0.3) + ["mass"] * int(h < -0.8) for h in hidden]
        return {"findings": ["|".join(one) or "No Finding" for one in names]}
    if kind == "ordinal":
        return {"grade": [f"{g}" for g in np.digitize(hidden, [-0.7, 0.2, 0.9]) + 1]}
    if kind == "regression":
        return {"age": [f"{50 + 10 * h:.2f}" for h in hidden]}
    time, censored = rng.exponential(np.exp(-1.5 * hidden)), rng.exponential(3, len(hidden))
    event = time <= censored
    return {
        "months": [f"{t:.4f}" for t in np.minimum(time, censored)],
        "died": ["1" if one else "0" for one in event],
    }


def study(kind, *, num_patients=160, images=2, seed=0, shuffled=False):
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(num_patients), images)
    hidden = rng.normal(size=num_patients)[group]
    cells = cells_of(kind, rng.permutation(hidden) if shuffled else hidden, rng)
    target = TargetRule(kind=kind, columns=tuple(cells)).read(cells)
    task = Task(
        label=target.label,
        target=target.strata,
        class_names=tuple(str(i) for i in range(int(target.strata.max()) + 1)),
        groups=tuple(f"p{g}" for g in group),
        train=np.flatnonzero(group % 2 == 0),
        test=np.flatnonzero(group % 2 == 1),
    )

    def array(noise):
        return np.stack([hidden, *rng.normal(size=(3, len(group)))], axis=1) + noise * rng.normal(
            size=(len(group), 4)
        )

    methods = [
        Features(key=PRETRAINED, arrays=(array(0.2), array(0.2)), seeds=(0, 1)),
        Features(key=UNTRAINED, arrays=(array(3.0), array(3.0)), seeds=(0, 1)),
        Features(key=PIXELS, arrays=(array(1.0),)),
    ]
    return methods, task, target


KINDS = tuple(METRICS)


@pytest.mark.parametrize("kind", KINDS)
def test_good_features_help_and_the_page_says_so(kind):
    methods, task, target = study(kind)
    report = assess_target(methods, task, target, num_resamples=200)
    assert report.verdict.outcome == "helped"
    table = report.section("target")
    assert table.rows[0][0] == "Pre-trained encoder"
    assert len(table.rows) == 4
    for row in table.rows[:3]:
        first = row[1]
        assert first.low < first.value < first.high
    differences = [row[-2] for row in table.rows[1:]]
    alone = [2 * norm.sf(abs(one.value) / one.standard_error) for one in differences]
    assert [row[-1] for row in table.rows[1:]] == pytest.approx(holm(alone))
    for row, difference in zip(table.rows[1:], differences, strict=True):
        assert difference.value == pytest.approx(table.rows[0][1].value - row[1].value)
    page = render_html(report)
    assert table.title in page
    assert report.verdict.sentence.partition(": ")[2] in page
    json.dumps(report.to_dict(), allow_nan=False)
    render(report)


@pytest.mark.parametrize("kind", KINDS)
def test_with_shuffled_values_nothing_is_found(kind):
    helped = 0
    for seed in range(3):
        methods, task, target = study(kind, seed=seed, shuffled=True, num_patients=80)
        helped += (
            assess_target(methods, task, target, num_resamples=100).verdict.outcome == "helped"
        )
    assert helped <= 1


def test_findings_are_measured_one_by_one_as_scikit_learn_does():
    methods, task, target = study("multilabel")
    gone = np.random.default_rng(0).random(target.values.shape) < 0.2
    values = np.where(gone, np.nan, target.values)
    target = Target(kind="multilabel", label="findings", names=target.names, values=values)
    one_seed = [Features(key=m.key, arrays=m.arrays[:1], seeds=m.seeds[:1]) for m in methods]
    report = assess_target(one_seed, task, target, num_resamples=50)
    given = predict(methods[0].arrays[0], task, target)
    areas, precisions = [], []
    for k, row in enumerate(report.section("target_parts").rows):
        truth = values[task.test, k]
        known = ~np.isnan(truth)
        areas.append(roc_auc_score(truth[known], given[known, k]))
        precisions.append(average_precision_score(truth[known], given[known, k]))
        assert row[0] == target.names[k]
        assert row[1:3] == (known.sum(), (truth == 1).sum())
        assert row[5].value == pytest.approx(areas[-1], abs=1e-9)
        assert row[7].value == pytest.approx(row[5].value - row[6].value)
        assert row[8].value == pytest.approx(precisions[-1], abs=1e-9)
    head = report.section("target").rows[0]
    assert head[1].value == pytest.approx(np.mean(areas), abs=1e-9)
    assert head[2].value == pytest.approx(np.mean(precisions), abs=1e-9)


def test_levels_are_measured_as_scikit_learn_does():
    methods, task, target = study("ordinal")
    one_seed = [Features(key=m.key, arrays=m.arrays[:1], seeds=m.seeds[:1]) for m in methods]
    report = assess_target(one_seed, task, target, num_resamples=50)
    chances, levels = predict(methods[0].arrays[0], task, target), target.values[task.test, 0]
    kappa = cohen_kappa_score(levels, chances.argmax(1), weights="quadratic")
    areas = [roc_auc_score(levels >= k, chances[:, k:].sum(1)) for k in range(1, len(target.names))]
    head = report.section("target").rows[0]
    assert head[1].value == pytest.approx(kappa, abs=1e-9)
    assert head[2].value == pytest.approx(np.mean(areas), abs=1e-9)
    found = [row[5].value for row in report.section("target_parts").rows]
    assert found == pytest.approx(areas, abs=1e-9)


def test_c_of_a_finding_is_chosen_on_patients_that_a_fit_has_not_seen(monkeypatch):
    methods, task, target = study("multilabel")
    values = target.values.copy()
    values[::5, 0] = np.nan
    target = Target(kind="multilabel", label="findings", names=target.names, values=values)
    asked = []

    def folds(y, groups, **more):
        asked.append(groups)
        return validation_folds(y, groups, **more)

    monkeypatch.setattr("medjepa.evaluation.target_fits.validation_folds", folds)
    predict(methods[0].arrays[0], task, target)
    for k, groups in enumerate(asked):
        known = [i for i in task.train if not np.isnan(values[i, k])]
        assert list(groups) == [task.groups[i] for i in known]
    assert len(asked) == len(target.names)


def test_a_rare_finding_is_flagged_and_kept_out_of_the_average():
    methods, task, target = study("multilabel")
    rare = np.zeros((len(target.values), 1))
    rare[task.train[:40]] = 1
    rare[task.test[:12]] = 1  # six patients
    absent = np.zeros_like(rare)
    both = Target(
        kind="multilabel",
        label="findings",
        names=(*target.names, "rare", "absent"),
        values=np.hstack([target.values, rare, absent]),
    )
    report = assess_target(methods, task, both, num_resamples=50)
    without = assess_target(methods, task, target, num_resamples=50)
    row, last = report.section("target_parts").rows[-2:]
    assert row[0] == "rare"
    assert row[3] == 6
    assert "fewer than 10" in row[4]
    assert last[4:] == ("not measured", None, None, None, None)
    assert any("Rare" in text and "rare" in text for text in report.warnings)
    ours, before = report.section("target").rows[0][1], without.section("target").rows[0][1]
    assert ours == before


def test_ridge_equals_scikit_learn():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 8)), rng.normal(size=60)
    given = StandardScaler().fit(x)
    for alpha in (0.1, 30.0):
        ours = RidgeProbe(default_alpha=alpha).fit(x, y).predict(x)
        theirs = Ridge(alpha=alpha).fit(given.transform(x), y).predict(given.transform(x))
        assert np.allclose(ours, theirs, atol=1e-8)
    noise = RidgeProbe().fit(x, y, folds=validation_folds(np.zeros(60, np.int64), None))
    assert noise.alpha_ >= 100  # there is nothing to learn
    constant = RidgeProbe(alpha_grid=(1.0, 100.0, 10.0)).fit(
        x, np.ones(60), folds=validation_folds(np.zeros(60, np.int64), None)
    )
    assert constant.alpha_ == 100  # all are equally good


def newton_cox(z, time, event, penalty):
    weights = np.zeros(z.shape[1])
    for _ in range(30):
        slope, curvature = penalty * weights, penalty * np.eye(z.shape[1])
        for i in np.flatnonzero(event):
            risk = np.exp(z[time >= time[i]] @ weights)
            share = risk / risk.sum()
            mean = share @ z[time >= time[i]]
            slope = slope + mean - z[i]
            curvature = curvature + (z[time >= time[i]].T * share) @ z[time >= time[i]]
            curvature = curvature - np.outer(mean, mean)
        weights = weights - np.linalg.solve(curvature, slope)
    return weights


def test_cox_equals_a_newton_solver():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 3))
    time = np.ceil(rng.exponential(np.exp(-x[:, 0])) * 4)  # ties
    event = rng.random(80) < 0.7
    z = StandardScaler().fit_transform(x)
    penalty = 2.0
    weights = newton_cox(z, time, event, penalty)
    probe = CoxProbe(default_penalty=penalty).fit(x, time, event)
    assert probe.converged_
    assert np.allclose(probe.predict(x), z @ weights, atol=1e-5)


def partial_likelihood(risk, time, event):
    """Its logarithm, event by event."""
    return sum(risk[i] - np.log(np.exp(risk[time >= time[i]]).sum()) for i in np.flatnonzero(event))


@pytest.mark.parametrize("seed", range(3))
def test_the_penalty_is_the_one_under_which_patients_held_out_are_likeliest(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(60, 4))
    time = np.ceil(rng.exponential(np.exp(-0.7 * x[:, 0])) * 6)
    event = rng.random(60) < 0.6
    folds = [
        (np.flatnonzero(np.arange(60) % 3 != n), np.flatnonzero(np.arange(60) % 3 == n))
        for n in range(3)
    ]
    grid = tuple(10.0**power for power in np.arange(4, -3, -0.5))
    gained = np.zeros(len(grid))
    for fit, _ in folds:
        scaler = StandardScaler().fit(x[fit])
        for place, penalty in enumerate(grid):
            weights = newton_cox(scaler.transform(x[fit]), time[fit], event[fit], penalty)
            risk = scaler.transform(x) @ weights
            # Verweij and van Houwelingen 1993: of all patients, less that of those fitted on.
            gained[place] += partial_likelihood(risk, time, event)
            gained[place] -= partial_likelihood(risk[fit], time[fit], event[fit])
    probe = CoxProbe(penalty_grid=grid).fit(x, time, event, folds=folds)
    assert probe.penalty_ == pytest.approx(grid[int(gained.argmax())])
    assert 1e-2 < probe.penalty_ < 1e4  # neither end


def test_what_a_table_may_say():
    rule = TargetRule(kind="multilabel", columns=("a", "b"))
    found = rule.read({"a": ["1", "no", "", "-1"], "b": ["True", "0.0", "1", "nan"]})
    assert found.names == ("a", "b")
    assert np.array_equal(found.values, [[1, 1], [0, 0], [np.nan, 1], [np.nan, np.nan]], True)
    assert list(found.known) == [True, True, True, False]
    listed = TargetRule(kind="multilabel", columns=("f",))
    found = listed.read({"f": ["B|A", "No Finding", "A", ""]})
    assert found.names == ("A", "B")
    assert np.array_equal(found.values[:3], [[1, 1], [0, 0], [1, 0]])
    assert np.isnan(found.values[3]).all()
    graded = TargetRule(kind="ordinal", columns=("g",), levels=("mild", "bad")).read(
        {"g": ["bad", "mild", ""]}
    )
    assert np.array_equal(graded.values[:, 0], [1, 0, np.nan], True)
    ten = TargetRule(kind="ordinal", columns=("g",)).read({"g": ["10", "2", "2.0"]})
    assert ten.names == ("2", "10")
    assert list(ten.values[:, 0]) == [1, 0, 0]


@pytest.mark.parametrize(
    ("kind", "cells", "message"),
    [
        ("multilabel", {"a": ["1", "2"], "b": ["0", "1"]}, "neither 0 nor 1"),
        ("multilabel", {"a": ["No Finding", ""]}, "no finding is named"),
        ("ordinal", {"g": ["mild", "bad"]}, "evaluation.levels"),
        ("regression", {"age": ["41", "old"]}, "no number"),
        ("survival", {"t": ["-1", "2"], "e": ["1", "0"]}, "below 0"),
    ],
)
def test_what_cannot_be_read_is_named(kind, cells, message):
    with pytest.raises(DataError, match=message):
        TargetRule(kind=kind, columns=tuple(cells)).read(cells)


def test_the_wrong_number_of_columns_is_refused():
    with pytest.raises(ConfigError, match="time,event"):
        TargetRule(kind="survival", columns=("t",))


def test_findings_may_be_joined_by_semicolons_and_decimal_commas_are_named():
    found = TargetRule(kind="multilabel", columns=("x",)).read({"x": ["a;b", "b", "c|a", ""]})
    assert found.names == ("a", "b", "c")
    assert found.values[:3].tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 1]]
    with pytest.raises(DataError, match="decimal comma"):
        TargetRule(kind="regression", columns=("x",)).read({"x": ["1,5"]})


def test_the_table_corrects_its_p_values_for_their_number():
    """Of p near .01, .02 and .036 alone the correction can be seen; 1e-20 is 0 either way."""
    _, task, target = study("regression", num_patients=20)
    drawn = PatientBootstrap.draw(np.zeros(20, np.int64), None, num_resamples=5)
    deviations = (2.58, 2.33, 2.10)
    differences = {
        key: Estimate(value=0.1, low=0.0, high=0.2, standard_error=0.1 / one)
        for key, one in zip((UNTRAINED, PIXELS, MAJORITY), deviations, strict=True)
    }
    some = Estimate(value=0.5, low=0.4, high=0.6, standard_error=0.05)
    methods = {
        key: dict.fromkeys(METRICS["regression"], some) for key in (PRETRAINED, *differences)
    }
    nothing = np.zeros(0, np.int64)
    section = target_section(target, task, methods, differences, nothing, drawn)
    alone = [2 * norm.sf(one) for one in deviations]
    corrected = [3 * alone[0], 2 * alone[1], 2 * alone[1]]  # never below the smaller one's
    assert [row[-1] for row in section.rows[1:]] == pytest.approx(corrected, rel=1e-6)
    assert section.rows[0][-1] == ""
