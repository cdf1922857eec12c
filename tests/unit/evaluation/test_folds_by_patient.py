"""Wherever a setting is chosen, the patients it is chosen on are not those that were fitted on."""

import numpy as np
import pytest

from medjepa.evaluation import calibrated, label_efficiency, robustness_sections, target_fits
from medjepa.evaluation.context import Context
from medjepa.evaluation.cox import CoxProbe
from medjepa.evaluation.probes import LogisticProbe
from medjepa.evaluation.protocol import Features, measure
from medjepa.evaluation.resamples import Resamples
from medjepa.evaluation.results import PRETRAINED
from medjepa.evaluation.ridge import RidgeProbe
from medjepa.evaluation.target import Target
from medjepa.evaluation.task import Task

IMAGES = 4
"""Of each patient: by chance no fold of single images would keep them together."""


@pytest.fixture(autouse=True)
def _few_settings(monkeypatch):
    monkeypatch.setattr("medjepa.evaluation.label_efficiency.COARSE_GRID", (1e-2, 1.0))
    monkeypatch.setattr("medjepa.evaluation.target_fits.COARSE_GRID", (1e-2, 1.0))
    monkeypatch.setattr("medjepa.evaluation.probes.C_GRID", (1e-2, 1.0))


@pytest.fixture
def fitted(monkeypatch):
    """Every fit: the patients that it was given, and its folds. A patient is his first feature."""
    seen = []
    for kind in (LogisticProbe, RidgeProbe, CoxProbe):
        own = kind.fit

        def fit(self, x, *args, own=own, folds=(), **more):
            seen.append((x[:, 0].round().astype(int), list(folds)))
            return own(self, x, *args, folds=folds, **more)

        monkeypatch.setattr(kind, "fit", fit)
    return seen


def study(num_patients=60):
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(num_patients), IMAGES)
    order = rng.permutation(len(group))
    group = group[order]
    target = (group % 2).astype(np.int64)
    x = np.column_stack([group, target + rng.normal(size=len(group))]).astype(np.float64)
    task = Task(
        label="finding",
        target=target,
        class_names=("no", "yes"),
        groups=tuple(f"p{g}" for g in group),
        train=np.flatnonzero(group >= num_patients // 3),
        test=np.flatnonzero(group < num_patients // 3),
    )
    return x, task, rng


def check(seen, task):
    test = {int(task.groups[i][1:]) for i in task.test}
    assert seen
    for patients, folds in seen:
        assert not set(patients) & test
        assert folds
        for fit, held_out in folds:
            assert not set(patients[fit]) & set(patients[held_out])
            assert len(fit) + len(held_out) == len(patients)


def test_of_the_main_table(fitted):
    x, task, _ = study()
    drawn = Resamples.draw([task], num_resamples=5, seed=0)
    measure(Features(key=PRETRAINED, arrays=(x,), seeds=(0,)), [task], drawn)
    check(fitted, task)


def test_of_calibrated_chances_whose_calibration_patients_are_others_again(fitted):
    x, task, _ = study()
    parts = calibrated.calibration_part(task)
    calibrated.calibrated([x], task, parts)
    check(fitted, task)
    assert not {task.groups[i] for i in parts[1]} & {f"p{g}" for one, _ in fitted for g in one}


def test_of_spoilt_test_images(fitted):
    x, task, _ = study()
    keys = robustness_sections.ROWS
    context = Context(
        features=tuple(Features(key=key, arrays=(x,)) for key in keys),
        measured=(), comparisons=(), tasks=(task,),
        resamples=Resamples.draw([task], num_resamples=5, seed=0),
    )  # fmt: skip
    clean = {name: x[task.test].astype(np.float32) for name in keys.values()}
    spoilt = {
        (kind, severity): clean
        for kind in robustness_sections.CORRUPTIONS
        for severity in range(1, robustness_sections.NUM_SEVERITIES + 1)
    }
    robustness_sections._corrupted(
        context, lambda _, given: given.astype(np.float64), clean, spoilt
    )
    assert len(fitted) == len(keys)
    check(fitted, task)


def test_of_shares_of_the_labels(fitted):
    x, task, _ = study()
    features = Features(key=PRETRAINED, arrays=(x,), seeds=(0,))
    label_efficiency.label_efficiency([features], task, fractions=(0.5,), num_draws=2)
    check(fitted, task)


@pytest.mark.parametrize("kind", ["multilabel", "ordinal", "regression", "survival"])
def test_of_findings_grades_numbers_and_survival(fitted, kind):
    x, task, rng = study()
    second = rng.integers(0, 2, len(x))
    columns = {
        "multilabel": [task.target, second],
        "ordinal": [task.target],
        "regression": [rng.normal(size=len(x))],
        "survival": [rng.exponential(size=len(x)), second],
    }[kind]
    values = np.column_stack(columns).astype(np.float64)
    target = Target(kind=kind, label="t", names=("a", "b"), values=values)
    target_fits.predict(x, task, target)
    check(fitted, task)
