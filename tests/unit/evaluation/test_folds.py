from itertools import pairwise

import numpy as np
import pytest

from medjepa.evaluation.folds import draw_labels, draw_split, validation_folds


def patients(num=80, *, seed=0):
    """Labels that are mostly, not always, constant within a patient."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(num), rng.integers(1, 5, size=num))
    label = rng.choice(3, p=[0.7, 0.2, 0.1], size=num)[group]
    flip = rng.random(len(label)) < 0.05
    return np.where(flip, 0, label), [f"p{g}" for g in group]


@pytest.mark.parametrize("num", [20, 200])
def test_no_patient_is_on_both_sides_and_every_class_on_both(num):
    label, group = patients(num)
    folds = validation_folds(label, group)
    assert len(folds) == (1 if len(label) >= 200 else 5)
    names = np.array(group)
    for fit, held_out in folds:
        assert not set(names[fit]) & set(names[held_out])
        assert len(fit) + len(held_out) == len(label)
        assert set(label[fit]) == set(label)


def test_folds_together_hold_everything_once():
    label, group = patients(30)
    held_out = np.concatenate([fold[1] for fold in validation_folds(label, group)])
    assert sorted(held_out) == list(range(len(label)))


def test_a_class_of_one_patient_cannot_be_held_out():
    assert validation_folds(np.array([0, 0, 0, 1, 1]), ["a", "b", "c", "d", "d"]) == []


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.5, 1.0])
def test_draws_take_whole_patients_and_every_class(fraction):
    label, group = patients()
    names = np.array(group)
    rows = draw_labels(label, group, fraction, rng=np.random.default_rng(0))
    assert set(label[rows]) == set(label)
    assert set(names[rows]).isdisjoint(np.delete(names, rows))
    assert len(set(names[rows])) == pytest.approx(max(3, fraction * 80), abs=3)


def test_fewer_labels_are_a_part_of_more():
    label, group = patients()
    shares = [
        set(draw_labels(label, group, fraction, rng=np.random.default_rng(7)).tolist())
        for fraction in (0.05, 0.25, 0.5, 1.0)
    ]
    assert all(small < large for small, large in pairwise(shares))


def test_draws_differ():
    label, group = patients()
    one, two = (draw_labels(label, group, 0.1, rng=np.random.default_rng(s)) for s in (0, 1))
    assert set(one.tolist()) != set(two.tolist())


def test_a_class_that_never_comes_alone_is_drawn_too():
    label = np.array([0, 1, 0, 1, 1])
    group = ["a", "a", "b", "b", "c"]
    rows = draw_labels(label, group, 0.01, rng=np.random.default_rng(0))
    assert set(label[rows]) == {0, 1}


def test_repeated_splits_reach_every_patient_and_tear_none_apart():
    # A patient with most of the images is tested as often as any other.
    group = np.concatenate([np.zeros(30, np.int64), np.arange(1, 13)])
    target = group % 2
    times = np.zeros(13)
    for seed in range(60):
        train, test = draw_split(target, list(group), 0.3, rng=np.random.default_rng(seed))
        assert not set(group[train]) & set(group[test])
        assert len(train) + len(test) == len(group)
        assert set(target[train]) == set(target[test]) == {0, 1}
        times[np.unique(group[test])] += 1
    assert times.min() > 60 * 0.3 / 2
    lonely = np.array([0, 0, 0, 1])
    train, test = draw_split(lonely, None, 0.3, rng=np.random.default_rng(0))
    assert 3 in train
