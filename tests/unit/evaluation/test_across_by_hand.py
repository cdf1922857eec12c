"""Crossings between sites, number by number with independent code, and who may not take part."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from medjepa.config.evaluation import EvaluationConfig
from medjepa.evaluation.across import cross_sites
from medjepa.evaluation.across_sections import across_sections
from medjepa.evaluation.context import Context
from medjepa.evaluation.folds import validation_folds
from medjepa.evaluation.probes import LogisticProbe
from medjepa.evaluation.protocol import Features
from medjepa.evaluation.resamples import Resamples
from medjepa.evaluation.results import PRETRAINED
from medjepa.evaluation.task import Task

GRID = (1e-2, 1.0)


@pytest.fixture(autouse=True)
def _few_settings(monkeypatch):
    monkeypatch.setattr("medjepa.evaluation.label_efficiency.COARSE_GRID", GRID)


def study(num_sites, num_patients=144):
    """Patients with two images; the class shows more or less at each site, seeds differ."""
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(num_patients), 2)
    site, target = patient % num_sites, patient // num_sites % 2
    shown = np.array([2.0, 1.0, 0.4])[site]
    arrays = tuple(
        np.column_stack([shown * target, site, np.zeros(len(site))])
        + rng.normal(size=(num_patients, 3))[patient]
        + 0.5 * rng.normal(size=(len(site), 3))
        for _ in range(2)
    )
    part = patient // (2 * num_sites) % 2
    task = Task(
        label="finding",
        target=target.astype(np.int64),
        class_names=("no", "yes"),
        groups=tuple(f"p{p}" for p in patient),
        train=np.flatnonzero(part == 0),
        test=np.flatnonzero(part == 1),
    )
    return Features(key=PRETRAINED, arrays=arrays, seeds=(0, 1)), task, site.astype(np.int64)


def areas(features, task, site, learnt):
    """At each site, the mean over seeds of the AUC of probes that learnt at some."""
    rows = task.train[np.isin(site[task.train], learnt)]
    folds = validation_folds(task.target[rows], [task.groups[i] for i in rows])
    found = np.zeros((2, 3))
    for seed, x in enumerate(features.arrays):
        probe = LogisticProbe(c_grid=GRID).fit(x[rows], task.target[rows], folds=folds)
        for tested in range(3):
            there = task.test[site[task.test] == tested]
            chance = probe.predict_proba(x[there])[:, 1]
            found[seed, tested] = roc_auc_score(task.target[there], chance)
    return found.mean(0)


def test_every_number_is_that_of_probes_fitted_here():
    features, task, site = study(3)
    found = cross_sites([features], task, site, num_resamples=20)
    assert len(found) == 6 + 3
    some = {one.learnt for one in found}
    expected = {learnt: areas(features, task, site, learnt) for learnt in some}
    for one in found:
        homes, away = expected[one.learnt][list(one.learnt)], expected[one.learnt][one.tested]
        native = expected[one.tested,][one.tested]
        assert one.home.value == pytest.approx(np.mean(homes))
        assert one.away.value == pytest.approx(away)
        assert one.native.value == pytest.approx(native)
        assert one.drop.value == pytest.approx(away - np.mean(homes))
        assert one.gap.value == pytest.approx(away - native)
        assert one.num_train == np.isin(site[task.train], one.learnt).sum()


def test_two_sites_with_the_same_images_are_still_two_sets_of_patients():
    """Were both resampled alike, their difference would seem to be known without any error."""
    features, task, _ = study(1)
    num = len(task.target)
    both = replace(
        task,
        target=np.tile(task.target, 2),
        groups=(*task.groups, *(f"other {name}" for name in task.groups)),
        train=np.concatenate([task.train, task.train + num]),
        test=np.concatenate([task.test, task.test + num]),
    )
    twice = replace(features, arrays=tuple(np.tile(x, (2, 1)) for x in features.arrays))
    site = np.repeat([0, 1], num).astype(np.int64)
    for one in cross_sites([twice], both, site, num_resamples=400):
        assert one.drop.value == pytest.approx(0)
        expected = np.hypot(one.home.standard_error, one.away.standard_error)
        assert one.drop.standard_error == pytest.approx(expected, rel=0.2)
        assert one.gap.standard_error == pytest.approx(0)  # the same patients, paired


def test_images_of_no_known_site_take_no_part():
    features, task, site = study(2)
    unknown = np.where(np.arange(len(site)) // 2 % 5 == 0, -1, site)
    found = cross_sites([features], task, unknown, num_resamples=20)
    assert {one.tested for one in found} == {0, 1} == {n for one in found for n in one.learnt}
    odd = tuple(np.where((unknown < 0)[:, None], 1e3, x) for x in features.arrays)
    assert cross_sites([replace(features, arrays=odd)], task, unknown, num_resamples=20) == found


def test_a_site_that_trains_on_one_class_is_not_learnt_from_and_has_no_native_number():
    features, task, site = study(2)
    kept = task.train[(site[task.train] == 0) | (task.target[task.train] == 0)]
    found = cross_sites([features], replace(task, train=kept), site, num_resamples=20)
    assert [(one.learnt, one.tested) for one in found] == [((0,), 1)]
    assert np.isnan(found[0].native.value)
    assert (found[0].native.low, found[0].gap.low) == (None, None)
    assert found[0].away.low is not None


def test_a_site_that_tests_on_one_class_is_not_tested():
    features, task, site = study(2)
    kept = task.test[(site[task.test] == 0) | (task.target[task.test] == 0)]
    found = cross_sites([features], replace(task, test=kept), site, num_resamples=20)
    assert [(one.learnt, one.tested) for one in found] == [((1,), 0)]
    assert np.isnan(found[0].home.value)
    assert found[0].drop.low is None
    assert found[0].native.low is not None


def test_the_table_says_who_was_left_out():
    features, task, site = study(3)
    context = Context(
        features=(features,),
        measured=(),
        comparisons=(),
        tasks=(task,),
        resamples=Resamples.draw([task], num_resamples=5, seed=0),
        cells={"clinic": [f"c{n}" for n in site]},
        settings=EvaluationConfig(across="clinic"),
        num_resamples=5,
    )
    table = across_sections(context)[0]
    found = cross_sites([features], task, site, num_resamples=5)
    for row, one in zip(table.rows, found, strict=True):
        learnt = " + ".join(f"site {n + 1}" for n in one.learnt)
        if len(one.learnt) > 1:
            learnt = f"all but site {one.tested + 1}"
        assert row[1] == f"{learnt} → site {one.tested + 1}"
        assert row[2:5] == (one.num_train, one.num_test, one.num_test_patients)
