import json
import warnings
from dataclasses import replace

import numpy as np
import pytest

from medjepa.errors import DataError
from medjepa.evaluation.assess import assess
from medjepa.evaluation.label_efficiency import label_efficiency
from medjepa.evaluation.protocol import Features, Task
from medjepa.evaluation.results import GRADIENTS, MAJORITY, PIXELS, PRETRAINED, UNTRAINED

FEW = {"fractions": (), "num_resamples": 200}


@pytest.fixture(autouse=True)
def _few_settings(monkeypatch):
    # Every fit goes through the type checker here: fewer of them.
    monkeypatch.setattr("medjepa.evaluation.probes.C_GRID", (1e-3, 1e-2, 1e-1, 1.0))


def study(num_patients=90, *, num_classes=2, images=2, seed=0, grouped=True):
    """A task in which two thirds of the patients train, and a class for each patient."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(num_patients), images)
    target = rng.permutation(np.arange(num_patients) % num_classes)[group].astype(np.int64)
    return Task(
        label="finding",
        target=target,
        class_names=tuple(f"class {i}" for i in range(num_classes)),
        groups=tuple(f"p{g}" for g in group) if grouped else None,
        train=np.flatnonzero(group % 3 < 2),
        test=np.flatnonzero(group % 3 == 2),
    )


def features(task, strength, *, seed=0, width=6):
    rng = np.random.default_rng(seed)
    num_classes = len(task.class_names)
    signal = np.eye(num_classes, width)[task.target] * strength
    return signal + rng.normal(size=(len(task.target), width))


def methods(task, *, ours=3.0, untrained=0.3, seeds=(0,)):
    return [
        Features(
            key=PRETRAINED, arrays=tuple(features(task, ours, seed=s) for s in seeds), seeds=seeds
        ),
        Features(
            key=UNTRAINED,
            arrays=tuple(features(task, untrained, seed=s + 50) for s in seeds),
            seeds=seeds,
        ),
        Features(key=PIXELS, arrays=(features(task, 0.5, seed=100),)),
        Features(key=GRADIENTS, arrays=(features(task, 0.8, seed=101),)),
    ]


def test_better_features_helped_and_equal_ones_did_not():
    task = study()
    report = assess(methods(task), task, **FEW)
    assert report.verdict.outcome == "helped"
    assert [row.key for row in report.methods] == [
        PRETRAINED, UNTRAINED, PIXELS, GRADIENTS, MAJORITY,
    ]  # fmt: skip
    same = methods(task, ours=1.0)
    same[1] = replace(same[1], arrays=same[0].arrays)
    report = assess(same, task, **FEW)
    assert report.verdict.outcome == "did not help"
    gain = report.comparisons[0].difference
    assert gain.low == gain.value == gain.high == 0  # paired: the same resamples on both sides


def test_with_shuffled_labels_chance_lies_inside_the_intervals():
    inside, count = 0, 0
    for seed in range(5):
        task = study(num_patients=75, seed=seed)
        given = methods(task)[:2]
        rng = np.random.default_rng(seed)
        shuffled = replace(task, target=rng.permutation(task.target))
        report = assess(given, shuffled, fractions=(), num_resamples=200)
        for row in report.methods[:2]:
            for scores in (row.probe, row.knn):
                inside += scores.auc.low <= 0.5 <= scores.auc.high
                count += 1
    assert inside / count > 0.85


def test_several_seeds_are_averaged_and_their_spread_is_shown_apart():
    task = study()
    report = assess(methods(task, ours=1.0, seeds=(0, 1, 2)), task, **FEW)
    row = report.method(PRETRAINED)
    assert row.probe.auc.value == pytest.approx(np.mean(row.probe.per_seed["auc"]))
    assert row.probe.spread("auc") == pytest.approx(np.std(row.probe.per_seed["auc"], ddof=1))
    assert report.method(PIXELS).probe.spread("auc") is None
    gain = report.comparisons[0]
    assert len(gain.per_seed) == 3
    assert gain.difference.value == pytest.approx(np.mean([one.value for one in gain.per_seed]))


def test_every_fraction_has_one_entry_for_each_method_and_the_last_is_the_table():
    task = study(num_classes=3)
    report = assess(methods(task), task, fractions=(0.01, 1.0), num_draws=2, num_resamples=50)
    assert len(report.label_efficiency) == 2 * 4
    for point in report.label_efficiency:
        assert len(point.num_labeled) == len(point.auc) == (1 if point.fraction == 1 else 2)
        assert min(point.num_labeled) >= 3
    ours = [point for point in report.label_efficiency if point.method == PRETRAINED]
    whole = ours[-1]
    assert whole.num_labeled == (len(task.train),)
    assert whole.auc[0] == pytest.approx(report.method(PRETRAINED).probe.auc.value)


def test_the_number_with_all_labels_is_the_same_taken_from_the_table_or_fitted_again():
    task = study(num_classes=3)
    given = methods(task, seeds=(0, 1))
    table = assess(given, task, fractions=(1.0,), num_resamples=50).label_efficiency
    again = label_efficiency(given, task, fractions=(1.0,))
    assert [(point.method, point.num_labeled) for point in table] == [
        (point.method, point.num_labeled) for point in again
    ]
    for taken, fitted in zip(table, again, strict=True):
        for name in ("auc", "balanced_accuracy", "accuracy"):
            assert getattr(taken, name) == pytest.approx(getattr(fitted, name), abs=1e-9)


def test_the_order_of_images_does_not_matter():
    task = study()
    given = methods(task)
    order = np.random.default_rng(0).permutation(len(task.target))
    place = np.argsort(order)
    moved_task = replace(
        task,
        target=task.target[order],
        groups=tuple(task.groups[i] for i in order),
        train=np.sort(place[task.train]),
        test=np.sort(place[task.test]),
    )
    moved = [replace(one, arrays=tuple(a[order] for a in one.arrays)) for one in given]
    first = assess(given, task, fractions=(), num_resamples=50)
    second = assess(moved, moved_task, fractions=(), num_resamples=50)
    for a, b in zip(first.methods, second.methods, strict=True):
        assert a.knn.auc.value == pytest.approx(b.knn.auc.value)
        assert a.probe.auc.value == pytest.approx(b.probe.auc.value, abs=1e-6)


def test_a_perfect_score_is_not_called_certain():
    task = study()
    report = assess(methods(task, ours=30.0), task, **FEW)
    assert report.method(PRETRAINED).probe.auc.low == 1
    assert any("no width" in warning for warning in report.warnings)


def test_an_interval_of_no_width_by_few_patients_is_no_certainty():
    task = study()
    few = np.array([np.flatnonzero(task.target[task.test] == label)[0] for label in (0, 1)])
    report = assess(methods(task, ours=0.0), replace(task, test=task.test[few]), **FEW)
    auc = report.method(PRETRAINED).probe.auc
    assert auc.low == auc.high
    assert any("very few test patients" in warning for warning in report.warnings)
    wide = assess(methods(task, ours=1.0), task, **FEW)
    assert not any("very few test patients" in warning for warning in wide.warnings)


def test_without_groups_the_reader_is_warned():
    task = study(grouped=False)
    report = assess(methods(task), task, **FEW)
    assert any("too narrow" in warning for warning in report.warnings)
    assert report.num_test_patients is None


def few_patients(task):
    return replace(task, test=task.test[:6])


def one_class_in_the_test(task):
    return replace(task, test=task.test[task.target[task.test] == 0])


def class_absent_from_training(task):
    return replace(task, train=task.train[task.target[task.train] != 2])


def class_of_one_patient(task):
    rare = task.test[task.target[task.test] == 2][2:]
    return replace(task, test=np.setdiff1d(task.test, rare))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (few_patients, "rough"),
        (one_class_in_the_test, "absent from the test"),
        (class_absent_from_training, "never predicted"),
        (class_of_one_patient, "only 1 patient "),
    ],
)
def test_small_and_lopsided_data_give_clear_words_and_no_crash(change, words):
    task = change(study(num_classes=3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = assess(methods(task), task, **FEW)
    assert any(words in warning for warning in report.warnings)
    if change is not class_absent_from_training:
        assert report.verdict.outcome == "cannot tell"
    json.dumps(report.to_dict(), allow_nan=False)


@pytest.mark.parametrize("part", ["train", "test"])
def test_nothing_to_measure_is_an_error(part):
    task = study()
    none = task.train[:1] if part == "train" else task.test[:0]
    with pytest.raises(DataError, match="finding"):
        assess(methods(task), replace(task, **{part: none}), **FEW)


def test_results_are_plain_json_with_everything_in_it():
    task = study()
    report = assess(methods(task, ours=1.0), task, **FEW)
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert plain["schema_version"] == 1
    assert plain["methods"][0]["probe"]["auc"]["low"] < plain["methods"][0]["probe"]["auc"]["high"]
    assert plain["comparisons"][0]["detectable"] > 0
    assert set(plain["versions"]) >= {"python", "torch", "numpy", "scikit-learn", "medjepa"}
    assert len(plain["embedding_map"]["place"]) == len(task.test)
