from dataclasses import replace

import numpy as np
import pytest

from medjepa.evaluation.assess import assess
from medjepa.evaluation.bootstrap import PatientBootstrap
from medjepa.evaluation.folds import grouped_parts
from medjepa.evaluation.metrics import macro_auc
from medjepa.evaluation.protocol import Features, Task
from medjepa.evaluation.resamples import Resamples, average, mean_of_splits, studies_of
from medjepa.evaluation.results import PRETRAINED, UNTRAINED
from medjepa.evaluation.study_level import as_csv


@pytest.fixture(autouse=True)
def _few_settings(monkeypatch):
    monkeypatch.setattr("medjepa.evaluation.probes.C_GRID", (1e-2, 1.0))


def study(num_patients=60, images=3, seed=0):
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(num_patients), images)
    target = rng.permutation(np.arange(num_patients) % 2)[group].astype(np.int64)
    return Task(
        label="finding",
        target=target,
        class_names=("no", "yes"),
        groups=tuple(f"p{g}" for g in group),
        train=np.flatnonzero(group % 3 < 2),
        test=np.flatnonzero(group % 3 == 2),
        studies=tuple(f"s{g}" for g in group),
    )


def split(task, seed):
    part = grouped_parts(task.target, task.groups, num_parts=3, seed=seed)
    return replace(task, train=np.flatnonzero(part > 0), test=np.flatnonzero(part == 0))


def features(task, strength, seed=0):
    rng = np.random.default_rng(seed)
    return strength * task.target[:, None] + rng.normal(size=(len(task.target), 5))


def test_one_split_is_the_bootstrap_it_was():
    task = study()
    scores = features(task, 1.0)[task.test][:, :2]
    labels = task.target[task.test]
    before = PatientBootstrap.draw(labels, task.test_groups, num_resamples=50, seed=3)
    now = Resamples.draw([task], num_resamples=50, seed=3)
    expected = before.samples("auc", labels, scores)
    assert np.array_equal(now.samples("auc", [labels], [scores]), expected)
    assert mean_of_splits("auc", [labels], [scores]) == macro_auc(labels, scores)[0]


def test_a_resample_weighs_a_patient_alike_in_every_split():
    task = study(20)
    tasks = [split(task, seed) for seed in range(6)]
    drawn = Resamples.draw(tasks, num_resamples=30, seed=0)
    names = np.asarray(task.groups)
    for one, part in zip(tasks, drawn.parts, strict=True):
        assert not set(names[one.train]) & set(names[one.test])
        for name in set(names[one.test]):
            rows = part.counts[:, part.patient[names[one.test] == name]]
            assert (rows == rows[:, :1]).all()
    by_name = [
        {name: part.counts[0, part.patient[names[one.test] == name]][0] for name in names[one.test]}
        for one, part in zip(tasks, drawn.parts, strict=True)
    ]
    for name in set(by_name[0]) & set(by_name[1]):
        assert by_name[0][name] == by_name[1][name]


def test_several_splits_of_few_patients_tell_more_than_one():
    task = study(24, images=2)
    methods = [
        Features(key=PRETRAINED, arrays=(features(task, 0.5),), seeds=(0,)),
        Features(key=UNTRAINED, arrays=(features(task, 0.0, seed=9),), seeds=(0,)),
    ]
    tasks = [split(task, seed) for seed in range(8)]
    report = assess(methods, tasks, fractions=(), num_resamples=200)
    assert report.num_splits == 8
    tested = {name for one in tasks for name in one.test_groups}
    assert report.num_test_patients == len(tested) > 20
    found = report.method(PRETRAINED).probe.auc
    alone = assess(methods, tasks[0], fractions=(), num_resamples=200).method(PRETRAINED).probe.auc
    assert found.high - found.low < alone.high - alone.low
    values = [
        assess(methods, one, fractions=(), num_resamples=2).method(PRETRAINED).probe.auc.value
        for one in tasks
    ]
    assert found.value == pytest.approx(np.mean(values))


def test_resamples_in_which_no_split_holds_every_class_are_left_out():
    task = replace(study(12, images=1), target=np.arange(12) % 2)
    tasks = [replace(task, test=np.arange(start, start + 4)) for start in (0, 4)]
    drawn = Resamples.draw(tasks, num_resamples=500, seed=0)
    # A class has two patients in a split: (6/8)^8 = 10 % of the resamples hold neither, and some
    # lack a class in both splits.
    assert 450 < drawn.num < 500
    labels = [one.target[one.test] for one in tasks]
    scores = [features(task, 1.0)[one.test][:, :2] for one in tasks]
    assert np.isfinite(drawn.samples("auc", labels, scores)).all()


def test_a_study_is_drawn_with_its_patient():
    task = study(60, images=3)
    task = replace(task, test=np.random.default_rng(0).permutation(task.test))
    drawn = Resamples.draw([task], num_resamples=20, seed=0)
    groups = studies_of(task)
    again = drawn.by_study([groups])
    for number, rows in enumerate(groups):
        assert (drawn.parts[0].patient[rows] == again.parts[0].patient[number]).all()


def test_means_of_equal_scores_stay_equal_however_many_they_are():
    scores = np.tile([0.1, 0.3, 0.6], (20, 1))
    groups = [np.arange(3), np.arange(3, 10), np.arange(10, 20)]
    assert (average(scores, groups) == [0.1, 0.3, 0.6]).all()
    given = np.array([[0.2, 0.8], [1.0, 0.0], [0.4, 0.6]])
    assert average(given, [np.array([0, 2]), np.array([1])]) == pytest.approx(
        np.array([[0.3, 0.7], [1.0, 0.0]])
    )


def test_a_study_is_the_mean_of_its_clips_and_is_listed_by_pseudonym():
    task = study(48, images=7)
    methods = [
        Features(key=PRETRAINED, arrays=(features(task, 0.7),), seeds=(0,)),
        Features(key=UNTRAINED, arrays=(features(task, 0.0, seed=9),), seeds=(0,)),
    ]
    names = [f"code{number}" for number in range(48) for _ in range(7)]
    clips = np.full(len(names), 5, np.int64)
    report = assess(
        methods, task, fractions=(), num_resamples=50, study_names=names, num_clips=clips
    )
    row = report.method(PRETRAINED)
    assert row.study.auc.value > row.probe.auc.value  # noise of the clips averages out
    assert report.method("majority").study.auc.value == 0.5  # ties stay ties
    assert len(report.studies) == report.num_test_patients == 16
    assert {one.num_clips for one in report.studies} == {35}
    table = as_csv(report.studies, report.class_names).splitlines()
    assert table[0] == "study,label,prediction,p_no,p_yes,n_clips,n_splits"
    assert len(table) == 17
    for line in table[1:]:
        code, label, _, no, yes, *_ = line.split(",")
        assert code in names
        assert label in ("no", "yes")
        assert float(no) + float(yes) == pytest.approx(1, abs=1e-5)
    assert "studies" not in report.to_dict()


def test_a_study_with_two_labels_has_none():
    task = study(48, images=2)
    target = task.target.copy()
    target[::2] = 0
    target[1::2] = 1
    methods = [
        Features(key=PRETRAINED, arrays=(features(task, 0.7),), seeds=(0,)),
        Features(key=UNTRAINED, arrays=(features(task, 0.0, seed=9),), seeds=(0,)),
    ]
    report = assess(
        methods,
        replace(task, target=target),
        fractions=(),
        num_resamples=50,
        study_names=list(task.studies),
    )
    assert report.method(PRETRAINED).study is None
    assert {one.label for one in report.studies} == {"no + yes"}
