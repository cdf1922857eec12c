import numpy as np
import pytest

from medjepa.evaluation.conformal import APS, LAC, one_of_each, prediction_sets, threshold


def patients(rng, num, images=1, num_classes=4, sharpness=3):
    """Chances of a model that is too sure of itself; the images of a patient are alike."""
    group = np.repeat(np.arange(num), images)
    logits = rng.normal(size=(num, num_classes))[group] * 2
    true = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    first = (rng.random((num, 1)) > true[::images].cumsum(1)).sum(1).clip(0, num_classes - 1)
    sure = np.exp(sharpness * logits + rng.normal(size=logits.shape) * 0.3)
    return sure / sure.sum(1, keepdims=True), first[group], group


@pytest.mark.parametrize("kind", [LAC, APS])
@pytest.mark.parametrize("alpha", [0.1, 0.3])
def test_coverage_over_studies_is_what_was_promised(kind, alpha):
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(400):
        held, labels, groups = patients(rng, 60, images=3)
        new, truth, _ = patients(rng, 100)
        sets, _, num = prediction_sets(
            held, labels, list(groups), new, kind=kind, alpha=alpha, rng=rng
        )
        assert num == 60
        covered.append(sets[np.arange(100), truth].mean())
    # At least 1 - alpha, at most 1 / (n + 1) more; 400 studies tell it to about a point.
    standard_error = np.std(covered) / 20
    assert 1 - alpha - 3 * standard_error < np.mean(covered)
    assert np.mean(covered) < 1 - alpha + 1 / 61 + 3 * standard_error


def test_too_few_patients_let_every_class_in():
    assert threshold(np.arange(9) / 10, 0.1) == 0.8
    assert threshold(np.arange(8) / 10, 0.1) == np.inf
    assert threshold(np.arange(99) / 100, 0.1) == 0.89


def test_a_place_in_the_order_is_not_missed_by_rounding():
    """(99 + 1)(1 - .42) is 58; computed it is 58.00000000000001."""
    for alpha, place in ((0.42, 58), (0.41, 59), (0.1, 90), (0.05, 95)):
        assert threshold(np.arange(1.0, 100), alpha) == place


def test_a_class_that_fits_just_as_badly_as_allowed_is_let_in():
    """Of a model with few different chances many lie on the limit, and the promise needs them."""
    held = np.tile([0.7, 0.3], (9, 1))
    sets, limit, _ = prediction_sets(
        held, np.array([0] * 8 + [1]), None, held, kind=LAC, alpha=0.1, rng=np.random.default_rng(0)
    )
    assert limit == pytest.approx(0.7)
    assert sets.all()
    rng = np.random.default_rng(0)
    sets, limit, _ = prediction_sets(
        held, np.zeros(9, int), None, held, kind=LAC, alpha=0.1, rng=rng
    )
    assert limit == pytest.approx(0.3)
    assert sets.tolist() == [[True, False]] * 9


def test_every_patient_gives_one_image_and_each_of_them_can_be_it():
    groups = ["a", "a", "b", "a", "c", "c"]
    seen = set()
    for seed in range(40):
        rows = one_of_each(groups, 6, np.random.default_rng(seed))
        assert sorted(groups[i] for i in rows) == ["a", "b", "c"]
        seen |= set(rows.tolist())
    assert seen == set(range(6))
    assert one_of_each(None, 4, np.random.default_rng(0)).tolist() == [0, 1, 2, 3]


def test_lac_takes_the_likeliest_classes_and_aps_larger_sets_where_it_is_hard():
    rng = np.random.default_rng(1)
    held, labels, _ = patients(rng, 500, sharpness=1)
    easy = np.tile([0.97, 0.01, 0.01, 0.01], (200, 1))
    hard = np.tile([0.28, 0.26, 0.24, 0.22], (200, 1))
    for kind in (LAC, APS):
        small, _, _ = prediction_sets(held, labels, None, easy, kind=kind, alpha=0.1, rng=rng)
        large, _, _ = prediction_sets(held, labels, None, hard, kind=kind, alpha=0.1, rng=rng)
        assert large.sum(1).mean() > small.sum(1).mean() + 1
        for sets in (small, large):
            assert not (sets[:, 3] & ~sets[:, 0]).any()
