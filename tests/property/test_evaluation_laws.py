import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medjepa.evaluation.folds import draw_labels, validation_folds
from medjepa.evaluation.metrics import balanced_accuracy, macro_auc

SEEDS = st.integers(0, 10_000)


def drawn(seed, num_classes, num=40):
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(num_classes), rng.integers(num_classes, size=num)])
    return labels, rng.integers(0, 8, size=(len(labels), num_classes)) / 8


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, num_classes=st.integers(2, 5))
def test_auc_is_a_matter_of_order(seed, num_classes):
    labels, scores = drawn(seed, num_classes)
    area = macro_auc(labels, scores)[0]
    assert 0 <= area <= 1
    assert macro_auc(labels, np.exp(3 * scores))[0] == pytest.approx(area)
    # Turned round: what was above is below.
    assert macro_auc(labels, -scores)[0] == pytest.approx(1 - area)


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, num_classes=st.integers(3, 5))
def test_renaming_classes_changes_nothing(seed, num_classes):
    labels, scores = drawn(seed, num_classes)
    scores += np.arange(scores.size).reshape(scores.shape) * 1e-9  # argmax breaks ties by place
    name = np.random.default_rng(seed).permutation(num_classes)
    renamed = np.empty_like(scores)
    renamed[:, name] = scores
    assert macro_auc(name[labels], renamed) == pytest.approx(macro_auc(labels, scores))
    expected = balanced_accuracy(labels, scores)
    assert balanced_accuracy(name[labels], renamed) == pytest.approx(expected)


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, num_patients=st.integers(2, 60), num_classes=st.integers(2, 4))
def test_patients_are_never_torn_apart(seed, num_patients, num_classes):
    rng = np.random.default_rng(seed)
    group = rng.integers(num_patients, size=3 * num_patients)
    label = rng.integers(num_classes, size=len(group))
    names = [str(g) for g in group]
    for fit, held_out in validation_folds(label, names):
        assert not set(group[fit]) & set(group[held_out])
        assert set(label[fit]) == set(label)
    rows = draw_labels(label, names, 0.2, rng=rng)
    assert set(label[rows]) == set(label)
    assert set(group[rows]).isdisjoint(np.delete(group, rows))
