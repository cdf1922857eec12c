"""A thousand small fits at once equal the same fits one by one, made by others."""

import time

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from medjepa.config.evaluation import EvaluationConfig
from medjepa.errors import DataError
from medjepa.evaluation import episodes, few_shot_section
from medjepa.evaluation.assess import assess
from medjepa.evaluation.delong import components
from medjepa.evaluation.episode_scores import score
from medjepa.evaluation.episodes import (
    CLASSIFIERS,
    Similarities,
    classify,
    draw_episodes,
    inner_products,
    simple_shot,
)
from medjepa.evaluation.probes import CosineKNN, NearestCentroid
from medjepa.evaluation.protocol import Features, Task
from medjepa.evaluation.results import PRETRAINED, UNTRAINED
from medjepa.evaluation.softmax_fits import fit_softmax


def study(num_classes=2, *, num=240, lead=1.5, width=12, seed=0):
    rng = np.random.default_rng(seed)
    group = np.arange(num) // 2
    target = (group % num_classes).astype(np.int64)
    x = np.eye(num_classes, width)[target] * lead + rng.normal(size=(num, width))
    task = Task(
        label="finding",
        target=target,
        class_names=tuple("abcd"[:num_classes]),
        groups=tuple(f"p{g}" for g in group),
        train=np.flatnonzero(group < num // 4),
        test=np.flatnonzero(group >= num // 4),
    )
    return x, task


def drawn(x, task, num_shots, num_episodes=6):
    rows = draw_episodes(
        task.target[task.train],
        task.train_groups,
        num_shots,
        num_episodes,
        np.random.default_rng(0),
    )
    shown = simple_shot(x, task.train)
    return shown[task.train][rows], shown[task.test], rows


def given(name, x, task, rows):
    """Log-scores (E, C, N) of a classifier, as the table takes them."""
    shown = simple_shot(x, task.train)
    similar = Similarities(shown[task.train], shown[task.test])
    products = inner_products(shown[task.train][rows])
    return classify(name, products, similar.of(rows), similar.nearest(rows))


@pytest.mark.parametrize("num_shots", [1, 5])
@pytest.mark.parametrize("num_classes", [2, 3])
def test_softmax_regression_equals_scikit_learn(num_classes, num_shots):
    """50 episodes, to a millionth in every probability; fewer and more images than features."""
    x, task = study(num_classes)
    support, test, rows = drawn(x, task, num_shots, num_episodes=50)
    flat = support.reshape(len(support), -1, x.shape[1])
    label = np.repeat(np.arange(num_classes), num_shots)
    for one, logits in zip(flat, given("logistic regression", x, task, rows), strict=True):
        # Two opposite weight vectors cost half of what their difference, scikit-learn's, does.
        strength = 20.0 if num_classes == 2 else 10.0
        theirs = LogisticRegression(C=strength, fit_intercept=False, tol=1e-10, max_iter=5000)
        theirs.fit(one, label)
        chance = np.exp(logits - logits.max(0))
        chance /= chance.sum(0)
        assert np.abs(chance.T - theirs.predict_proba(test)).max() < 1e-6


@pytest.mark.parametrize("strength", [1e-6, 10.0, 1e3])
def test_the_gradient_is_nought_at_what_was_fitted(strength):
    """At weak regularisation too, with images twice among the support, and without any pixel."""
    x, task = study(3)
    support, _, _ = drawn(x, task, 5, num_episodes=20)
    support[:, :, 1] = support[:, :, 0]
    support[0] = 0
    wanted = np.repeat(np.eye(3), 5, axis=1)
    products = inner_products(support)
    weights = fit_softmax(products, wanted, strength)
    logits = weights @ products
    chance = np.exp(logits - logits.max(1, keepdims=True))
    chance /= chance.sum(1, keepdims=True)
    slope = weights + strength * (chance - wanted)
    flat = support.reshape(20, 15, -1)
    assert np.linalg.norm(slope @ flat, axis=(1, 2)).max() < 2e-8


def test_features_that_are_no_numbers_are_told():
    with pytest.raises(DataError, match="no numbers"):
        fit_softmax(np.full((1, 4, 4), np.nan), np.repeat(np.eye(2), 2, axis=1), 10.0)


def test_nearest_mean_and_neighbours_equal_the_probes_one_by_one():
    x, task = study(3)
    support, test, rows = drawn(x, task, 4)
    label = np.repeat(np.arange(3), 4)
    means = given("nearest class mean", x, task, rows)
    votes = given("neighbours", x, task, rows)
    for episode, one in enumerate(support):
        flat = one.reshape(12, -1)
        centroid = NearestCentroid().fit(flat, label)
        centroid.mean_ = np.zeros(x.shape[1])
        centroid.centroids_ = one.mean(1)
        assert np.array_equal(means[episode].argmax(0), centroid.predict(test))
        expected = CosineKNN(k=20).fit(flat, label).predict_proba(test)
        assert np.exp(votes[episode].T) / np.exp(votes[episode].T).sum(1, keepdims=True) == (
            pytest.approx(expected)
        )


@pytest.mark.parametrize("most", [episodes.MOST_TABLE, 0])
def test_only_the_nearest_20_vote(most, monkeypatch):
    """Whether all inner products are kept or each batch computes its own."""
    monkeypatch.setattr(episodes, "MOST_TABLE", most)
    x, task = study(3)
    support, test, rows = drawn(x, task, 10)
    votes = np.exp(given("neighbours", x, task, rows).transpose(0, 2, 1))
    label = np.repeat(np.arange(3), 10)
    for episode, one in enumerate(support):
        expected = CosineKNN(k=20).fit(one.reshape(30, -1), label).predict_proba(test)
        found = votes[episode] / votes[episode].sum(1, keepdims=True)
        assert found == pytest.approx(expected, abs=1e-9)


def test_equal_images_are_equally_near():
    """All that are as near as the 20th vote, by ranks as by numbers."""
    x, task = study(3, num=480)
    x[task.train] = np.repeat(x[task.train][::4], 4, axis=0)
    _, _, rows = drawn(x, task, 10)
    shown = simple_shot(x, task.train).round(3)
    similar = Similarities(shown[task.train], shown[task.test])
    whole = similar.of(rows).reshape(len(rows), 30, -1)
    near = similar.nearest(rows).reshape(whole.shape)
    twentieth = np.sort(whole, axis=1)[:, -20, None]
    assert np.array_equal(near, whole >= twentieth)
    assert near.sum(1).max() > 20


@pytest.mark.parametrize("num_classes", [2, 3])
def test_scores_of_episodes_equal_scikit_learn(num_classes):
    rng = np.random.default_rng(0)
    labels = rng.integers(num_classes, size=40)
    logs = rng.integers(0, 4, size=(5, 40, num_classes)).astype(float)  # ties
    found = score(labels, logs.transpose(0, 2, 1))
    for episode, logits in enumerate(logs):
        chance = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        if num_classes == 2:
            expected = roc_auc_score(labels, chance[:, 1].round(12))
        else:
            expected = roc_auc_score(labels, chance.round(12), multi_class="ovr", average="macro")
        assert found.auc[episode] == pytest.approx(expected, abs=1e-9)
        accuracy = balanced_accuracy_score(labels, logits.argmax(1))
        assert found.balanced_accuracy[episode] == pytest.approx(accuracy)


def test_test_images_have_no_say_in_what_is_learnt_from():
    x, task = study(3)
    changed = x.copy()
    changed[task.test] = 100 + 50 * np.random.default_rng(1).normal(size=changed[task.test].shape)
    assert np.array_equal(
        simple_shot(x, task.train)[task.train], simple_shot(changed, task.train)[task.train]
    )
    one = simple_shot(x, task.train)
    centred = x - x[task.train].mean(0)
    assert one == pytest.approx(centred / np.linalg.norm(centred, axis=1, keepdims=True))


def test_an_episode_takes_different_patients_and_none_where_a_class_has_too_few():
    x, task = study(3)
    _, _, rows = drawn(x, task, 7, num_episodes=50)
    assert rows.shape == (50, 3, 7)
    target, groups = task.target[task.train], np.array(task.train_groups)
    for label in range(3):
        assert (target[rows[:, label]] == label).all()
    for episode in rows:
        assert len(set(groups[episode.ravel()])) == 21
    assert len({tuple(one.ravel()) for one in rows}) > 45
    assert len(np.unique(rows)) > 0.9 * len(target)  # either image of a patient may be drawn
    few = draw_episodes(target, task.train_groups, 25, 3, np.random.default_rng(0))
    assert few is None


def few_shots(task, arrays, monkeypatch):
    monkeypatch.setattr("medjepa.evaluation.probes.C_GRID", (1e-2, 1.0))
    monkeypatch.setattr(few_shot_section, "SHOTS", (1, 5, 40))
    monkeypatch.setattr(few_shot_section, "NUM_EPISODES", 60)
    methods = [
        Features(key=PRETRAINED, arrays=arrays[:2], seeds=(0, 1)),
        Features(key=UNTRAINED, arrays=arrays[2:4], seeds=(0, 1)),
    ]
    settings = EvaluationConfig(few_shot=True)
    return assess(methods, task, fractions=(), num_resamples=50, settings=settings)


def test_the_table_tells_spread_over_episodes_from_sampling_error(monkeypatch):
    rows = [study(lead=lead, seed=seed)[0] for seed, lead in enumerate((2.0, 2.0, 0.5, 0.5))]
    task = study()[1]
    report = few_shots(task, tuple(rows), monkeypatch)
    found = report.section("few_shot")
    assert "no sampling error" in found.note
    assert "40 shots" in found.note
    table = [dict(zip(found.columns, row, strict=True)) for row in found.rows]
    assert len(table) == 2 * 2 * len(CLASSIFIERS)
    at = {(row["shots"], row["features"], row["classifier"]): row for row in table}
    for name in CLASSIFIERS:
        one = at[1, "Pre-trained encoder", name]
        five = at[5, "Pre-trained encoder", name]
        assert five["AUC, mean of episodes"].value > one["AUC, mean of episodes"].value
        assert five["AUC, deviation over episodes"] < one["AUC, deviation over episodes"]
        area = five["AUC, mean of episodes"]
        assert area.low < area.value < area.high
        assert one["2.5 % of episodes"] < one["AUC, mean of episodes"].value
        accuracies = [row["balanced accuracy, mean and 95 % of episodes"] for row in (one, five)]
        assert all(a.low < a.value < a.high for a in accuracies)
        # More images, less chance in their draw; the test patients are the same.
        assert accuracies[1].standard_error < accuracies[0].standard_error
    silent = assess(
        [
            Features(key=PRETRAINED, arrays=(rows[0],)),
            Features(key=UNTRAINED, arrays=(rows[2],)),
        ],
        task,
        fractions=(),
        num_resamples=50,
    )
    assert "few_shot" not in [one.key for one in silent.sections]


def test_the_table_s_numbers_again_episode_by_episode(monkeypatch):
    x, task = study(3, lead=1.0, num=360, seed=3)
    report = few_shots(task, (x, x, x, x), monkeypatch)
    found = report.section("few_shot")
    row = next(
        dict(zip(found.columns, row, strict=True))
        for row in found.rows
        if row[0] == 5 and row[2] == "nearest class mean"
    )
    # The same draws: 5 patients of each class, drawn from the training part.
    rows = draw_episodes(
        task.target[task.train], task.train_groups, 5, 60, np.random.default_rng((0, 5))
    )
    mean = x[task.train].mean(0)
    unit = [(one - mean) / np.linalg.norm(one - mean) for one in x]
    labels, tested = task.target[task.test], np.stack([unit[i] for i in task.test])
    areas, recalls = [], []
    patient = np.unique(task.test_groups, return_inverse=True)[1]
    chances = []
    for episode in rows:
        centres = np.stack([np.mean([unit[task.train[i]] for i in own], 0) for own in episode])
        logits = -((tested[:, None] - centres[None]) ** 2).sum(2)
        chance = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        chances.append(chance)
        areas.append(roc_auc_score(labels, chance, multi_class="ovr"))
        recalls.append(balanced_accuracy_score(labels, logits.argmax(1)))
    assert row["AUC, mean of episodes"].value == pytest.approx(np.mean(areas), abs=1e-9)
    balanced = row["balanced accuracy, mean and 95 % of episodes"]
    assert balanced.value == pytest.approx(np.mean(recalls), abs=1e-9)
    assert balanced.low == pytest.approx(np.quantile(recalls, 0.025))
    assert row["AUC, deviation over episodes"] == pytest.approx(np.std(areas, ddof=1))
    assert row["2.5 % of episodes"] == pytest.approx(np.quantile(areas, 0.025))
    # The variance over test patients of the mean over episodes and classes, by clustered DeLong.
    lists = [(labels == c, one[:, c]) for one in chances for c in range(3)]
    whole = components(
        [positive for positive, _ in lists], [scores for _, scores in lists],
        [patient] * len(lists), num_patients=int(patient.max()) + 1,
    )  # fmt: skip
    variance = whole.variance(np.full(len(lists), 1 / len(lists)))
    assert row["AUC, mean of episodes"].standard_error == pytest.approx(variance**0.5, rel=1e-6)


def test_a_thousand_episodes_take_seconds():
    x, task = study(num=600)
    start = time.process_time()
    _, _, rows = drawn(x, task, 20, num_episodes=1000)
    for name in CLASSIFIERS:
        score(task.target[task.test], given(name, x, task, rows))
    assert time.process_time() - start < 20


def test_weak_fits_stay_near_zero():
    x, task = study()
    support, _, _ = drawn(x, task, 3)
    products = inner_products(support)
    weights = fit_softmax(products, np.repeat(np.eye(2), 3, axis=1), 1e-3)
    assert np.abs(weights).max() < 1e-3
