import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from medjepa.evaluation.probes import C_GRID, CosineKNN, LogisticProbe, NearestCentroid

PROBES = [LogisticProbe, CosineKNN, NearestCentroid]


def blobs(num=120, num_classes=3, width=8, *, distance=6.0, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(num) % num_classes
    centres = np.eye(num_classes, width) * distance
    return centres[labels] + rng.normal(size=(num, width)), labels


@pytest.mark.parametrize("probe", PROBES)
def test_a_separable_toy_is_solved(probe):
    x, y = blobs(seed=0)
    fresh, truth = blobs(seed=1)
    assert (probe().fit(x, y).predict(fresh) == truth).mean() > 0.97


@pytest.mark.parametrize("probe", PROBES)
def test_names_of_labels_and_order_of_rows_do_not_matter(probe):
    x, y = blobs(num=90)
    fresh, _ = blobs(seed=1)
    names = np.array(["zoster", "angioma", "naevus"])
    order = np.random.default_rng(0).permutation(len(x))
    fold = [(order[:70], order[70:])]
    inverse = np.argsort(order)
    same_fold = [(inverse[order[:70]], inverse[order[70:]])]
    options = ({"folds": fold}, {"folds": same_fold}) if probe is LogisticProbe else ({}, {})
    plain = probe().fit(x, y, **options[0])
    named = probe().fit(x[order], names[y][order], **options[1])
    assert list(named.classes_) == sorted(names)
    columns = np.argsort(names)
    assert named.predict_proba(fresh) == pytest.approx(
        plain.predict_proba(fresh)[:, columns], abs=1e-4
    )
    assert (named.predict(fresh) == names[plain.predict(fresh)]).all()


@pytest.mark.parametrize("probe", PROBES)
def test_scores_sum_to_one_and_a_single_class_is_no_crash(probe):
    x, y = blobs()
    assert probe().fit(x, y).predict_proba(x).sum(1) == pytest.approx(1)
    assert (probe().fit(x[:5], np.full(5, "only")).predict(x) == "only").all()


@pytest.mark.parametrize("c", [1e-4, 1.0, 1e3])
@pytest.mark.parametrize("num_classes", [2, 4])
@pytest.mark.parametrize("width", [6, 200], ids=["more rows", "more features"])
def test_the_fit_is_scikit_learns(c, num_classes, width):
    x, y = blobs(num=80, num_classes=num_classes, width=width, distance=1.0)
    x[:, 0] = 3.0  # a constant feature
    ours = LogisticProbe(c_grid=(c,)).fit(x, y)
    assert ours.converged_
    scaler = StandardScaler().fit(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = LogisticRegression(C=c, max_iter=20_000, tol=1e-9).fit(scaler.transform(x), y)
    fresh = blobs(num=40, num_classes=num_classes, width=width, distance=1.0, seed=1)[0]
    fresh[:, 0] = 3.0
    expected = theirs.predict_proba(scaler.transform(fresh))
    assert ours.predict_proba(fresh) == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("num_classes", [2, 3])
def test_balanced_classes_are_those_of_scikit_learn(num_classes):
    x, y = blobs(num=90, num_classes=num_classes, distance=0.7)
    y = np.where((y == 1) & (np.arange(len(y)) % 5 > 0), 0, y)  # one class is rare
    ours = LogisticProbe(c_grid=(0.3,), balanced=True).fit(x, y)
    scaler = StandardScaler().fit(x)
    theirs = LogisticRegression(C=0.3, class_weight="balanced", tol=1e-9, max_iter=20_000)
    theirs.fit(scaler.transform(x), y)
    expected = theirs.predict_proba(scaler.transform(x))
    assert ours.predict_proba(x) == pytest.approx(expected, abs=1e-3)
    plain = LogisticProbe(c_grid=(0.3,)).fit(x, y).predict_proba(x)
    assert ours.predict_proba(x)[:, 1].mean() > plain[:, 1].mean() + 0.05


def test_collinear_features_converge_at_weak_regularisation():
    rng = np.random.default_rng(0)
    common = rng.normal(size=(200, 1))
    x = common + 1e-3 * rng.normal(size=(200, 40))
    y = (x[:, 0] - x[:, 1] > 0).astype(int)
    probe = LogisticProbe(c_grid=(1e5,), max_iter=500).fit(x, y)
    assert probe.converged_
    scaler = StandardScaler().fit(x)
    exact = LogisticRegression(C=1e5, solver="newton-cholesky", tol=1e-10, max_iter=500)
    expected = exact.fit(scaler.transform(x), y).predict_proba(scaler.transform(x))
    assert probe.predict_proba(x) == pytest.approx(expected, abs=1e-3)


def test_a_fit_that_is_cut_short_says_so():
    x, y = blobs(distance=0.5)
    assert not LogisticProbe(max_iter=1, tolerance=1e-12, c_grid=(1e3,)).fit(x, y).converged_


def test_c_is_chosen_on_patients_that_the_fit_has_not_seen():
    # Every feature names the patient and nothing else: whoever validates on known patients is
    # rewarded for weak regularisation, whoever does not sees chance and regularises.
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(60), 5)
    x = rng.normal(size=(60, 30))[group] + 0.01 * rng.normal(size=(300, 30))
    y = rng.integers(2, size=60)[group]
    honest = LogisticProbe().fit(x, y, list(group))
    careless = LogisticProbe().fit(x, y)
    assert honest.c_ < careless.c_ / 100
    assert "fifth" in honest.chosen_by_


def test_small_sets_are_cross_validated_and_tiny_ones_take_the_default():
    x, y = blobs(num=60)
    assert "5-fold" in LogisticProbe().fit(x, y).chosen_by_
    tiny = LogisticProbe().fit(x[:3], y[:3])
    assert tiny.c_ == tiny.default_c
    assert "too few" in tiny.chosen_by_


def test_the_grid_is_the_published_one():
    assert len(C_GRID) == 45
    assert C_GRID[0] == pytest.approx(1e-6)
    assert C_GRID[-1] == pytest.approx(1e5)


def test_neighbours_vote_by_their_cosine():
    x = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    probe = CosineKNN(k=2, temperature=0.07).fit(x, np.array(["a", "b", "c"]))
    query = np.array([[3.0, 4.0]])  # cosines .6, .8, -.6
    votes = np.exp(np.array([0.6, 0.8]) / 0.07)
    expected = [*(votes / votes.sum()), 0.0]
    assert probe.predict_proba(query)[0] == pytest.approx(expected)


def test_more_neighbours_than_rows_are_all_rows():
    x, y = blobs(num=6)
    assert CosineKNN(k=20).fit(x, y).predict_proba(x).shape == (6, 3)
