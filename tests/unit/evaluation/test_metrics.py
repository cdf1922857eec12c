import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_auc_score

from medjepa.evaluation.metrics import accuracy, balanced_accuracy, macro_auc


def draw(num_classes, *, num=400, seed=0, digits=2):
    rng = np.random.default_rng(seed)
    labels = rng.integers(num_classes, size=num)
    scores = rng.random((num, num_classes)) + 0.4 * np.eye(num_classes)[labels]
    scores = (scores / scores.sum(1, keepdims=True)).round(digits)
    scores[:, -1] = 1 - scores[:, :-1].sum(1)
    return labels, scores


@pytest.mark.parametrize("digits", [1, 12], ids=["many ties", "no ties"])
@pytest.mark.parametrize("num_classes", [2, 3, 8])
def test_metrics_equal_scikit_learn(num_classes, digits):
    labels, scores = draw(num_classes, digits=digits)
    theirs = (
        roc_auc_score(labels, scores[:, 1])
        if num_classes == 2
        else roc_auc_score(labels, scores, multi_class="ovr")
    )
    assert macro_auc(labels, scores)[0] == pytest.approx(theirs, abs=1e-9)
    predicted = scores.argmax(1)
    assert balanced_accuracy(labels, scores)[0] == pytest.approx(
        balanced_accuracy_score(labels, predicted)
    )
    assert accuracy(labels, scores)[0] == pytest.approx(accuracy_score(labels, predicted))


@pytest.mark.parametrize("measure", [macro_auc, balanced_accuracy, accuracy])
def test_a_weight_is_a_repetition(measure):
    labels, scores = draw(3, num=60)
    weights = np.random.default_rng(1).integers(0, 4, size=(5, 60)).astype(float)
    repeated = [
        measure(np.repeat(labels, row.astype(int)), np.repeat(scores, row.astype(int), axis=0))[0]
        for row in weights
    ]
    assert measure(labels, scores, weights) == pytest.approx(repeated)


def test_equal_scores_are_chance():
    labels = np.array([0, 1, 1, 2])
    scores = np.full((4, 3), 1 / 3)
    assert macro_auc(labels, scores)[0] == 0.5
    assert balanced_accuracy(labels, scores)[0] == pytest.approx(1 / 3)


def test_what_cannot_be_measured_is_not_a_number():
    one_class = np.zeros(4, np.int64)
    assert np.isnan(macro_auc(one_class, np.full((4, 2), 0.5))[0])
    labels, scores = np.array([0, 0, 1]), np.eye(2)[[0, 1, 1]].astype(float)
    without_second = np.array([[1.0, 1.0, 0.0]])
    assert np.isnan(macro_auc(labels, scores, without_second)[0])
    assert np.isnan(balanced_accuracy(labels, scores, without_second)[0])


def test_a_class_that_is_absent_from_the_test_is_left_out():
    labels, scores = draw(3)
    kept = labels != 2
    areas = [roc_auc_score(labels[kept] == c, scores[kept, c]) for c in (0, 1)]
    assert macro_auc(labels[kept], scores[kept])[0] == pytest.approx(np.mean(areas))
