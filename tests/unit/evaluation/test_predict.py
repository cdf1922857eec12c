from dataclasses import fields, replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from medjepa.errors import DataError
from medjepa.evaluation.bootstrap import Estimate
from medjepa.evaluation.calibration import (
    bins_of,
    calibration_error,
    fit_temperature,
    top_label,
)
from medjepa.evaluation.predict import (
    Performance,
    Predictor,
    above_chance,
    cross_validate,
    folds_of,
)
from medjepa.evaluation.predict_files import Predicted, by_study, warnings_of
from medjepa.evaluation.probes import LogisticProbe
from medjepa.evaluation.results import MAJORITY, PIXELS, PRETRAINED, UNTRAINED
from medjepa.evaluation.task import Task


@pytest.fixture(autouse=True)
def _few_settings(monkeypatch):
    monkeypatch.setattr("medjepa.evaluation.label_efficiency.COARSE_GRID", (1e-2, 1.0))


def study(num_patients, strength, *, seed=0, images=2):
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(num_patients), images)
    target = (np.arange(num_patients) % 2)[group].astype(np.int64)
    patient = rng.normal(size=(num_patients, 5))[group]
    x = strength * target[:, None] * np.eye(1, 5) + patient + 0.2 * rng.normal(size=(len(group), 5))
    task = Task(
        label="finding",
        target=target,
        class_names=("no", "yes"),
        groups=tuple(f"p{g}" for g in group),
        train=np.arange(len(group)),
        test=np.arange(0),
    )
    return x, task


def test_the_cross_validated_auc_is_that_on_new_patients():
    x, task = study(60, 2.0)
    found = {one.key: one for one in cross_validate({PRETRAINED: x}, task, num_resamples=300)}
    auc = found[PRETRAINED].values["auc"]
    model = Predictor().fit(x, task.target, task.groups)
    new, other = study(2000, 2.0, seed=1)
    chances = model.predict_proba(new)
    truth = (chances[other.target == 1, 1][:, None] > chances[other.target == 0, 1][None]).mean()
    assert auc.low < truth < auc.high
    assert above_chance(found[PRETRAINED])
    assert not above_chance(found[MAJORITY])
    assert found[MAJORITY].gain.low > 0
    assert found[PRETRAINED].gain is None
    top, right = top_label(chances, other.target)
    assert calibration_error(top, right, bins_of(top, "equal mass"))[0] < 0.1


def test_features_that_know_nothing_are_not_above_chance():
    told = 0
    for seed in range(6):
        x, task = study(40, 0.0, seed=seed)
        noise, _ = study(40, 0.0, seed=seed + 100)
        found = cross_validate({PRETRAINED: x, UNTRAINED: noise}, task, num_resamples=200)
        told += above_chance(found[0])
    assert told <= 1


def test_the_temperature_is_that_of_chances_given_to_patients_held_out():
    rng = np.random.default_rng(0)
    x, task = study(40, 1.0, images=3)
    x = np.hstack([x, rng.normal(size=(40, 30))[np.arange(120) // 3]])  # told apart by heart
    model = Predictor().fit(x, task.target, task.groups)
    chances, labels = [], []
    for fit, held_out in folds_of(task.target, task.groups, seed=1):
        probe = LogisticProbe(c_grid=(1e-2, 1.0)).fit(
            x[fit], task.target[fit], [task.groups[i] for i in fit]
        )
        chances.append(probe.predict_proba(x[held_out]))
        labels.append(task.target[held_out])
    expected = fit_temperature(np.concatenate(chances), np.concatenate(labels))
    assert model.temperature_ == pytest.approx(expected)
    assert fit_temperature(model.probe_.predict_proba(x), task.target) < 0.8 * expected
    raw = model.probe_.predict_proba(x)
    logit = np.log(raw[:, 1] / raw[:, 0]) / model.temperature_
    assert model.predict_proba(x)[:, 1] == pytest.approx(1 / (1 + np.exp(-logit)))


def test_errors_of_chances_are_those_on_new_patients_who_are_drawn_whole(monkeypatch):
    x, task = study(60, 1.0, images=3)
    asked = []

    def components(given, train):
        asked.append(train.tolist())
        return given.astype(np.float64)

    monkeypatch.setattr("medjepa.evaluation.predict.principal_components", components)
    found = {
        one.key: one for one in cross_validate({PRETRAINED: x, PIXELS: x}, task, num_resamples=2000)
    }
    pairs = folds_of(task.target, task.groups)
    assert asked == [fit.tolist() for fit, _ in pairs]  # pixels: of what is learnt from alone
    error, area = np.zeros(180), []
    for fit, test in pairs:
        model = Predictor().fit(x[fit], task.target[fit], [task.groups[i] for i in fit])
        chance = model.predict_proba(x[test])[:, 1]
        error[test] = (chance - task.target[test]) ** 2
        area.append(roc_auc_score(task.target[test], chance))
    values = found[PRETRAINED].values
    assert values["auc"].value == pytest.approx(np.mean(area))
    assert values["brier"].value == pytest.approx(error.mean())
    # A mean over clusters of three: each patient's sum of deviations by itself.
    apart = (error - error.mean()).reshape(60, 3).sum(1)
    expected = np.sqrt((apart**2).sum()) / 180
    assert values["brier"].standard_error == pytest.approx(expected, rel=0.08)
    assert found[PIXELS].gain.value == 0 == found[PIXELS].gain.standard_error


def test_patients_are_never_on_both_sides_and_a_class_of_one_patient_is_refused():
    x, task = study(23, 1.0)
    folds = folds_of(task.target, task.groups)
    assert len(folds) == 5
    for fit, test in folds:
        assert not {task.groups[i] for i in fit} & {task.groups[i] for i in test}
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(46))
    x, task = study(3, 1.0)
    with pytest.raises(DataError, match="no 2, yes 1"):
        cross_validate({PRETRAINED: x}, task, num_resamples=20)


def test_a_study_is_the_mean_of_its_images():
    chances = np.array([[0.2, 0.8], [0.4, 0.6], [1.0, 0.0], [0.5, 0.5]])
    found = by_study(["b", "b", "a", ""], chances)
    assert list(found) == ["a", "b"]
    mean, num = found["b"]
    assert mean == pytest.approx([0.3, 0.7])
    assert num == 2


def test_better_than_chance_is_what_the_whole_interval_says():
    for low, told in ((0.501, True), (0.5, False), (0.499, False), (None, False)):
        auc = Estimate(value=0.8, low=low, high=0.9, standard_error=0.1)
        assert above_chance(Performance(key=PRETRAINED, values={"auc": auc}, gain=None)) is told


def test_c_is_chosen_by_patients_in_every_fold_and_at_the_end(monkeypatch):
    x, task = study(30, 1.0, images=3)
    whose = {x[i, 4]: name for i, name in enumerate(task.groups)}
    seen, fit = [], LogisticProbe.fit

    def watched(self, given, y, groups=None, **more):
        seen.append(list(groups) == [whose[one[4]] for one in given])
        return fit(self, given, y, groups, **more)

    monkeypatch.setattr(LogisticProbe, "fit", watched)
    Predictor().fit(x, task.target, task.groups)
    assert seen == [True] * 6


def test_the_majority_has_the_shares_of_what_is_learnt_from():
    x, task = study(41, 1.0)
    rare = replace(task, target=np.asarray([int(name[1:]) % 3 == 0 for name in task.groups], int))
    found = {one.key: one for one in cross_validate({PRETRAINED: x}, rare, num_resamples=20)}
    error = np.zeros(len(x))
    for fit, test in folds_of(rare.target, rare.groups):
        error[test] = (rare.target[fit].mean() - rare.target[test]) ** 2
    assert found[MAJORITY].values["brier"].value == pytest.approx(error.mean(), abs=1e-12)
    assert found[MAJORITY].values["auc"].value == 0.5


@pytest.mark.parametrize(("rare", "expected"), [(2, 2), (3, 3), (5, 5), (9, 5)])
def test_no_fold_lacks_a_class_to_test(rare, expected):
    """A class of three patients is tested in three folds, not missed in two of five."""
    x, task = study(40, 1.0)
    target = np.asarray([int(name[1:]) < rare for name in task.groups], int)
    folds = folds_of(target, task.groups)
    assert len(folds) == expected
    for _, test in folds:
        assert len(np.unique(target[test])) == 2
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(len(x)))


def test_a_baseline_that_is_as_good_and_patients_seen_before_are_told():
    x, task = study(30, 1.0)
    performance = tuple(cross_validate({PRETRAINED: x, PIXELS: x}, task, num_resamples=20))
    same = [replace(one, gain=replace(one.gain, value=0.0)) for one in performance if one.gain]
    told = {}
    for num_known in (0, 4):
        predicted = object.__new__(Predicted)  # of which only what is told counts here
        given = {"task": task, "num_known": num_known, "performance": (performance[0], *same)}
        for one in fields(Predicted):
            object.__setattr__(predicted, one.name, given.get(one.name, ()))
        told[num_known] = " ".join(warnings_of(predicted))
    assert "At least as good as the encoder here: pixels" in told[0]
    assert "4 predicted images are of patients who have labelled images" in told[4]
    assert "who have labelled images" not in told[0]
