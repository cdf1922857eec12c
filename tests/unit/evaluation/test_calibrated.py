"""Calibration holds patients out: what is fitted on whom, and the tables' numbers once more."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from medjepa.evaluation.calibrated import calibrated, calibration_part
from medjepa.evaluation.calibration_sections import calibration_sections
from medjepa.evaluation.context import Context
from medjepa.evaluation.protocol import Features
from medjepa.evaluation.resamples import Resamples
from medjepa.evaluation.results import PIXELS, PRETRAINED, TITLES
from medjepa.evaluation.task import Task


@pytest.fixture(autouse=True)
def _few_settings(monkeypatch):
    monkeypatch.setattr("medjepa.evaluation.label_efficiency.COARSE_GRID", (1e-2, 1.0))


def study(*, num_patients=160, seed=0):
    """Patients of one to four images; features that tell the label now and then."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(num_patients), rng.integers(1, 5, size=num_patients))
    target = (np.arange(num_patients) // 2 % 2)[group].astype(np.int64)
    x = np.eye(2, 4)[target] + rng.normal(size=(len(group), 4))
    task = Task(
        label="finding",
        target=target,
        class_names=("no", "yes"),
        groups=tuple(f"p{g}" for g in group),
        train=np.flatnonzero(group % 2 == 0),
        test=np.flatnonzero(group % 2 == 1),
    )
    return x, task


def with_other_labels(task, rows):
    target = task.target.copy()
    target[rows] = 1 - target[rows]
    return replace(task, target=target)


def test_three_sets_of_patients_that_do_not_meet():
    _, task = study()
    fit, held_out = calibration_part(task)
    names = [{task.groups[i] for i in rows} for rows in (fit, held_out, task.test)]
    assert not names[0] & names[1] and not names[0] & names[2] and not names[1] & names[2]
    assert sorted([*fit, *held_out]) == list(task.train)
    assert len(names[1]) == pytest.approx(80 / 5, abs=1)


def test_labels_that_a_probe_may_not_see_change_nothing():
    x, task = study()
    parts = calibration_part(task)
    (one,) = calibrated([x], task, parts)
    # Labels of the test change nothing at all, those of the held-out patients the temperature.
    (other,) = calibrated([x], with_other_labels(task, task.test), parts)
    assert np.array_equal(other.test_chances, one.test_chances)
    assert other.temperature == one.temperature
    (turned,) = calibrated([x], with_other_labels(task, parts[1]), parts)
    assert np.array_equal(turned.test_chances, one.test_chances)
    assert np.array_equal(turned.held_out_chances, one.held_out_chances)
    assert turned.temperature > 10 * one.temperature
    # Features of the test have no say either: others' chances stay.
    changed = x.copy()
    changed[task.test] *= 3
    assert np.array_equal(calibrated([changed], task, parts)[0].held_out_chances,
                          one.held_out_chances)  # fmt: skip
    logit = np.log(one.test_chances[:, 1] / one.test_chances[:, 0])
    assert one.tempered[:, 1] == pytest.approx(1 / (1 + np.exp(-logit / one.temperature)))


def test_the_tables_are_what_scikit_learn_and_counting_by_hand_say():
    x, task = study(seed=1)
    features = Features(key=PRETRAINED, arrays=(x,), seeds=(0,))
    context = Context(
        features=(features,), measured=(), comparisons=(), tasks=(task,),
        resamples=Resamples.draw([task], num_resamples=50, seed=0), num_resamples=50,
    )  # fmt: skip
    found = {one.key: one for one in calibration_sections(context)}
    (one,) = calibrated([x], task, calibration_part(task))
    labels = task.target[task.test]

    def row(key, *head):
        section = found[key]
        own = next(r for r in section.rows if r[: len(head)] == head)
        return dict(zip(section.columns, own, strict=True))

    for words, chances in (("as fitted", one.test_chances), ("with temperature", one.tempered)):
        table = row("calibration", f"{TITLES[PRETRAINED]}, {words}")
        assert table["Brier score"].value == pytest.approx(brier_score_loss(labels, chances[:, 1]))
        assert table["Log-loss"].value == pytest.approx(log_loss(labels, chances))
        assert table["AUC"].value == pytest.approx(roc_auc_score(labels, chances[:, 1]))
        # Of two classes the curve is of the second one's chance.
        points = [r for r in found["reliability"].rows if r[0] == words]
        for _, low, high, predicted, observed, num in points:
            inside = (chances[:, 1] >= low) & (chances[:, 1] <= high)
            assert num == inside.sum()
            assert predicted == pytest.approx(chances[inside, 1].mean())
            assert observed.value == pytest.approx(labels[inside].mean())
    top, wrong = one.tempered.max(1), one.tempered.argmax(1) != labels
    table = row("risk_coverage", TITLES[PRETRAINED])
    order = np.argsort(-top)
    risks = wrong[order].cumsum() / np.arange(1, len(top) + 1)
    assert table["AURC"].value == pytest.approx(risks.mean(), abs=1e-6)
    assert table["Error at 100 %"].value == pytest.approx(wrong.mean())


def test_every_patient_counts_once_for_the_coverage(monkeypatch):
    """A set that holds class 0 alone covers all images of its patients and no other."""
    x, task = study(seed=2)
    context = Context(
        features=(Features(key=PRETRAINED, arrays=(x,), seeds=(0,)),), measured=(), comparisons=(),
        tasks=(task,), resamples=Resamples.draw([task], num_resamples=50, seed=0),
        num_resamples=50,
    )  # fmt: skip
    asked = []

    def sets(held_out, labels, groups, new, **_):
        asked.append((len(held_out), labels, groups))
        found = np.zeros(new.shape, bool)
        found[:, 0] = True
        found[::3] = False
        return found, 0.5, 16

    monkeypatch.setattr("medjepa.evaluation.calibration_sections.prediction_sets", sets)
    table = next(one for one in calibration_sections(context) if one.key == "conformal")
    row = dict(zip(table.columns, table.rows[0], strict=True))
    _, held_out = calibration_part(task)
    num, labels, groups = asked[0]
    assert num == len(held_out)
    assert np.array_equal(labels, task.target[held_out])
    assert groups == [task.groups[i] for i in held_out]
    there = np.arange(len(task.test)) % 3 > 0
    truth, names = task.target[task.test], np.array(task.test_groups)

    def patients(values):
        """Mean over patients of the mean over their images."""
        return np.mean([values[names == name].mean() for name in np.unique(names)])

    assert row["Coverage"].value == pytest.approx(patients(there & (truth == 0)))
    assert row["Classes in a set"].value == pytest.approx(patients(there))
    assert row["Empty sets"].value == pytest.approx(patients(~there))
    assert row["which is"] == "yes"
    worst, num = row["Coverage of the worst class"], len(np.unique(names[truth == 1]))
    # No set holds it, of so many patients: what binom.ppf says of none in num draws.
    assert (worst.value, worst.low) == (0, 0)
    assert binom.cdf(0, num, worst.high) == pytest.approx(0.025)


def test_what_is_learnt_from_training_images_does_not_know_the_held_out_ones():
    """Pixels' components are; sets whose threshold comes from images they know promise nothing."""
    x, task = study(seed=3)
    known = []

    def components(train):
        known.append(train)
        return x

    ours = Features(key=PRETRAINED, arrays=(x,), seeds=(0,))
    pixels = Features(key=PIXELS, arrays=(x,), fitted=components)
    calibration_sections(
        Context(
            features=(ours, pixels), measured=(), comparisons=(), tasks=(task,),
            resamples=Resamples.draw([task], num_resamples=20, seed=0), num_resamples=20,
        )
    )  # fmt: skip
    fit, held_out = calibration_part(task)
    assert [list(rows) for rows in known] == [list(fit)]
    assert not set(fit) & set(held_out)
