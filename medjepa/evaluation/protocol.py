"""The one protocol for every kind of features: same split, same probes, same resamples.

Legend: N images, D features, C classes, S seeds of pre-training, R resamples.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medjepa.evaluation.bootstrap import PatientBootstrap, estimate
from medjepa.evaluation.folds import Fold, validation_folds
from medjepa.evaluation.metrics import METRICS, Floats, Integers, metric
from medjepa.evaluation.probes import CosineKNN, Labels, LogisticProbe, Probe
from medjepa.evaluation.results import TITLES, Comparison, MethodResult, Scores


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is to be told apart, on which images.

    Attributes:
        label: name of the column, for the report.
        target: (N,) class indices.
        class_names: (C,).
        groups: (N,) patients, or None where unknown.
        train: indices to learn from.
        test: indices to measure on.
    """

    label: str
    target: Integers
    class_names: tuple[str, ...]
    groups: tuple[str, ...] | None
    train: Integers
    test: Integers

    @property
    def train_groups(self) -> tuple[str, ...] | None:
        """Patients of the training images."""
        return None if self.groups is None else tuple(self.groups[i] for i in self.train)

    @property
    def test_groups(self) -> tuple[str, ...] | None:
        """Patients of the test images."""
        return None if self.groups is None else tuple(self.groups[i] for i in self.test)


@dataclass(frozen=True, kw_only=True)
class Features:
    """One kind of features: an (N, D) array for each seed (one for a baseline without seeds)."""

    key: str
    arrays: tuple[Floats, ...]
    seeds: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A row of the table with the resampled values (S, R) behind its linear probe's AUC."""

    result: MethodResult
    auc: Floats
    samples: Floats


def measure(features: Features, task: Task, bootstrap: PatientBootstrap) -> Measured:
    """Fit both probes on the training images and measure them on the test images.

    Args:
        features: one (N, D) array for each seed.
        task: labels and split.
        bootstrap: resamples of the test images' patients, shared by all methods.
    """
    folds = validation_folds(task.target[task.train], task.train_groups)
    probe_scores, knn_scores, probes = [], [], []
    for array in features.arrays:
        probe = LogisticProbe().fit(array[task.train], task.target[task.train], folds=folds)
        probes.append(probe)
        probe_scores.append(score_test_images(probe, array, task))
        knn = CosineKNN().fit(array[task.train], task.target[task.train])
        knn_scores.append(score_test_images(knn, array, task))
    samples, probe_result = _scores(probe_scores, task, bootstrap)
    _, knn_result = _scores(knn_scores, task, bootstrap)
    result = MethodResult(
        key=features.key,
        title=TITLES[features.key],
        seeds=features.seeds,
        num_features=features.arrays[0].shape[1],
        probe=probe_result,
        knn=knn_result,
        c=tuple(probe.c_ for probe in probes),
        chosen_by=probes[0].chosen_by_,
        converged=all(probe.converged_ for probe in probes),
    )
    return Measured(
        result=result, auc=np.asarray(probe_result.per_seed["auc"]), samples=samples["auc"]
    )


def measure_majority(key: str, task: Task, bootstrap: PatientBootstrap) -> Measured:
    """The row of a classifier that always names the commonest class of the training images."""
    share = np.bincount(task.target[task.train], minlength=len(task.class_names)) / len(task.train)
    samples, scores = _scores([np.tile(share, (len(task.test), 1))], task, bootstrap)
    result = MethodResult(
        key=key,
        title=TITLES[key],
        seeds=(),
        num_features=0,
        probe=scores,
        knn=scores,
        c=(),
        chosen_by="nothing to choose",
        converged=True,
    )
    return Measured(result=result, auc=np.asarray(scores.per_seed["auc"]), samples=samples["auc"])


def compare(ours: Measured, other: Measured) -> Comparison:
    """Difference in the linear probe's AUC, paired: same test images, same resamples.

    Seed s is compared with seed s of the other method, or with its only value.
    """
    values = ours.auc - other.auc
    samples = ours.samples - other.samples
    return Comparison(
        against=other.result.key,
        difference=estimate(float(values.mean()), samples.mean(0)),
        per_seed=tuple(
            estimate(float(value), row) for value, row in zip(values, samples, strict=True)
        ),
    )


def score_test_images(probe: Probe, array: Floats, task: Task) -> Floats:
    """Scores of the test images with a column for every class of the task; (num_test, C)."""
    return widen(probe.predict_proba(array[task.test]), probe.classes_, len(task.class_names))


def widen(scores: Floats, classes: Labels, num_classes: int) -> Floats:
    """Give classes that were absent from training a column of zeros; (N, C)."""
    wide = np.zeros((len(scores), num_classes))
    wide[:, classes.astype(np.int64)] = scores
    return wide


def split_folds(task: Task, subset: Integers) -> Sequence[Fold]:
    """Folds to choose C on within `subset` (indices into the training images)."""
    groups = task.train_groups
    within = None if groups is None else tuple(groups[i] for i in subset)
    return validation_folds(task.target[task.train][subset], within)


def _scores(
    per_seed: Sequence[Floats], task: Task, bootstrap: PatientBootstrap
) -> tuple[dict[str, Floats], Scores]:
    """Values and resampled values (S, R) of every metric, and their average over seeds."""
    labels = task.target[task.test]
    values = {
        name: tuple(float(metric(name, labels, scores)[0]) for scores in per_seed)
        for name in METRICS
    }
    samples = {
        name: np.stack([bootstrap.samples(name, labels, scores) for scores in per_seed])
        for name in METRICS
    }
    means = {
        name: estimate(float(np.mean(values[name])), samples[name].mean(0)) for name in METRICS
    }
    return samples, Scores(
        auc=means["auc"],
        balanced_accuracy=means["balanced_accuracy"],
        accuracy=means["accuracy"],
        per_seed=values,
    )
