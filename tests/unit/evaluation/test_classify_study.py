"""Rows, differences and verdicts of a study of classifiers, from planted scores."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from medjepa.evaluation.classify_results import Part
from medjepa.evaluation.classify_study import (
    compare_rows,
    decide_all,
    equivalences,
    measure_rows,
    too_small,
)
from medjepa.evaluation.resamples import Resamples
from medjepa.evaluation.task import Task

NUM = 120
TARGET = np.arange(NUM) % 2


def a_task(num_patients=60):
    groups = (*(f"{i % num_patients:03d}" for i in range(NUM)), "x", "y")
    return Task(
        label="finding",
        target=np.append(TARGET, [0, 1]),
        class_names=("a", "b"),
        groups=groups,
        train=np.array([NUM, NUM + 1]),
        test=np.arange(NUM),
    )


def a_part(method, fraction, draw, skill, apart=False):
    # The same noise for each method, or noise of its own.
    rng = np.random.default_rng([draw, round(100 * fraction), apart * len(method)])
    chance = 1 / (1 + np.exp(-(skill * (2 * TARGET - 1) + rng.normal(size=NUM))))
    return Part(
        method=method, fraction=fraction, draw=draw, num_labels=round(1000 * fraction),
        num_patients=5, num_validation=1, num_parameters=9, num_steps=3, best_step=2, seconds=0.1,
        scores=np.stack([1 - chance, chance], axis=1),
    )  # fmt: skip


def study(skills, task=None, **more):
    """`skills`: (method, share) -> skill of each draw."""
    task = task or a_task()
    parts = [
        a_part(method, fraction, draw, skill, **more)
        for (method, fraction), own in skills.items()
        for draw, skill in enumerate(own)
    ]
    rows = measure_rows(parts, task, Resamples.draw([task], num_resamples=200, seed=0))
    differences, small = compare_rows(rows), too_small(task)
    verdicts = decide_all(rows, differences, small)
    return parts, rows, differences, verdicts, equivalences(rows, differences, small)


def test_a_row_is_the_mean_of_its_draws_and_the_spread_stands_beside_it():
    parts, rows, *_ = study({("pretrained", 1.0): (0.5, 1.0, 1.5)})
    row = rows[0].row
    aucs = [roc_auc_score(TARGET, part.scores[:, 1]) for part in parts]
    accuracies = [balanced_accuracy_score(TARGET, part.scores.argmax(1)) for part in parts]
    assert row.per_draw["auc"] == pytest.approx(aucs, abs=1e-9)
    assert row.scores["auc"].value == pytest.approx(np.mean(aucs))
    assert row.scores["balanced_accuracy"].value == pytest.approx(np.mean(accuracies))
    assert row.spread["auc"] == pytest.approx(np.std(aucs, ddof=1))
    assert row.scores["auc"].low < row.scores["auc"].value < row.scores["auc"].high
    assert rows[-1].row.method == "majority"
    assert rows[-1].row.scores["auc"].value == 0.5


def test_a_difference_is_paired():
    _, rows, differences, *_ = study(
        {("pretrained", 1.0): (0.8, 0.8), ("scratch", 1.0): (0.7, 0.7)}
    )
    one = next(d for d in differences if (d.against, d.metric) == ("scratch", "auc"))
    alone = rows[0].row.scores["auc"]
    assert one.difference.high - one.difference.low < 0.3 * (alone.high - alone.low)
    assert len(one.per_draw) == 2


@pytest.mark.parametrize(
    ("ours", "scratch", "outcome"),
    [
        ((1.5, 1.5), (0.2, 0.2), "helped"),
        ((0.2, 0.2), (1.5, 1.5), "did not help"),
        ((3.0, 0.1), (0.2, 0.2), "cannot tell"),  # one draw points the other way
    ],
)
def test_the_verdict_needs_interval_and_draws(ours, scratch, outcome):
    *_, verdicts, _ = study({("pretrained", 1.0): ours, ("scratch", 1.0): scratch})
    assert verdicts[0].outcome == outcome


def test_a_difference_that_such_a_test_set_cannot_see_is_not_decided():
    skills = {("pretrained", 1.0): (0.5, 0.5), ("scratch", 1.0): (0.5, 0.5)}
    *_, verdicts, _ = study(skills, apart=True)
    assert verdicts[0].outcome == "cannot tell"
    assert "finds differences from about" in verdicts[0].sentence


def test_a_small_test_part_decides_nothing():
    skills = {("pretrained", 1.0): (2.0,), ("scratch", 1.0): (0.0,)}
    *_, verdicts, _ = study(skills, a_task(num_patients=10))
    assert verdicts[0].outcome == "cannot tell"
    assert "10 test patients are too few" in verdicts[0].sentence


def test_what_labels_are_worth_is_not_said_where_draws_differ():
    skills = {
        ("pretrained", 0.1): (1.2, 1.2), ("scratch", 0.1): (0.2, 0.2),
        ("pretrained", 1.0): (1.6, 1.6), ("scratch", 1.0): (1.6, 1.6),
    }  # fmt: skip
    *_, worth = study(skills)
    few = worth[-1]
    assert few.fraction == 0.1
    assert few.decided
    assert 1 < few.low < few.times < 10
    *_, worth = study({**skills, ("pretrained", 0.1): (3.0, 0.1)})
    assert not worth[-1].decided
    assert "not every draw" in worth[-1].sentence


def test_the_majority_is_that_of_the_training_part():
    """The commonest class of the test part is nobody's to know beforehand."""
    task = a_task()
    test = np.flatnonzero(TARGET == 1)  # the test holds the other class alone, training mostly "a"
    task = replace(task, target=np.append(TARGET, [0, 0]), test=test)
    parts = [replace(a_part("pretrained", 1.0, 0, 1.0), scores=np.full((len(test), 2), 0.5))]
    rows = measure_rows(parts, task, Resamples.draw([task], num_resamples=20, seed=0))
    assert rows[-1].row.method == "majority"
    assert rows[-1].row.scores["balanced_accuracy"].value == 0.0
