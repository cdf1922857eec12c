"""The one protocol for every kind of features: same splits, same probes, same resamples.

Legend: N images, D features, T tokens of an image, C classes, S seeds of pre-training, K splits,
R resamples.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medjepa.evaluation.attentive import AttentiveProbe
from medjepa.evaluation.bootstrap import estimate
from medjepa.evaluation.folds import Fold, validation_folds
from medjepa.evaluation.metrics import METRICS, Floats, Integers
from medjepa.evaluation.probes import CosineKNN, Labels, LogisticProbe, Probe
from medjepa.evaluation.resamples import Resamples, average, mean_of_splits, studies_of
from medjepa.evaluation.results import TITLES, Comparison, MethodResult, Scores
from medjepa.evaluation.task import Task

__all__ = [
    "Features", "Measured", "Task", "compare", "measure", "measure_majority", "score_test_images",
    "split_folds", "widen",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Features:
    """One kind of features.

    Attributes:
        key: one of `TITLES`.
        arrays: (N, D) for each seed (one for a baseline without seeds).
        seeds: of pre-training.
        tokens: (N, T, D) for each seed, for an attentive probe; empty for none.
        fitted: for features that must be learnt from training images (principal components):
            called with those images' indices, gives (N, D) in place of the only array.
    """

    key: str
    arrays: tuple[Floats, ...]
    seeds: tuple[int, ...] = ()
    tokens: tuple[NDArray[Any], ...] = ()
    fitted: Callable[[Integers], Floats] | None = None

    def of(self, task: Task) -> tuple[Floats, ...]:
        """The arrays as they are for one split."""
        return self.arrays if self.fitted is None else (self.fitted(task.train),)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A row of the table with what is behind its linear probe's AUC.

    Attributes:
        result: the row.
        auc: (S,) mean over the splits.
        samples: (S, R) resampled.
        scores: for each seed and split the scores (num_test, C) of the test images.
    """

    result: MethodResult
    auc: Floats
    samples: Floats
    scores: tuple[tuple[Floats, ...], ...]


def measure(
    features: Features, tasks: Sequence[Task], resamples: Resamples, *, balanced: bool = False
) -> Measured:
    """Fit every probe on each split's training images and measure it on its test images.

    Args:
        features: one kind.
        tasks: splits of the same images.
        resamples: of the patients of their test parts, shared by all methods.
        balanced: each class counts alike in the linear probe.
    """
    arrays = [features.of(task) for task in tasks]  # split by seed
    folds = [validation_folds(task.target[task.train], task.train_groups) for task in tasks]
    linear: list[list[Floats]] = [[] for _ in arrays[0]]
    nearest: list[list[Floats]] = [[] for _ in arrays[0]]
    probes: list[LogisticProbe] = []
    for number in range(len(arrays[0])):
        for task, own, held_out in zip(tasks, arrays, folds, strict=True):
            array, target = own[number], task.target[task.train]
            probe = LogisticProbe(balanced=balanced).fit(array[task.train], target, folds=held_out)
            probes.append(probe)
            linear[number].append(score_test_images(probe, array, task))
            knn = CosineKNN().fit(array[task.train], target)
            nearest[number].append(score_test_images(knn, array, task))
    samples, probe_scores = _scores(linear, tasks, resamples)
    _, knn_scores = _scores(nearest, tasks, resamples)
    result = MethodResult(
        key=features.key,
        title=TITLES[features.key],
        seeds=features.seeds,
        num_features=arrays[0][0].shape[1],
        probe=probe_scores,
        knn=knn_scores,
        study=_by_study(linear, tasks, resamples),
        attentive=_attentive(features, tasks, folds, resamples),
        c=tuple(probe.c_ for probe in probes),
        chosen_by=probes[0].chosen_by_,
        converged=all(probe.converged_ for probe in probes),
    )
    return Measured(
        result=result,
        auc=np.asarray(probe_scores.per_seed["auc"]),
        samples=samples["auc"],
        scores=tuple(tuple(one) for one in linear),
    )


def measure_majority(key: str, tasks: Sequence[Task], resamples: Resamples) -> Measured:
    """The row of a classifier that always names the commonest class of the training images."""
    always = []
    for task in tasks:
        counts = np.bincount(task.target[task.train], minlength=len(task.class_names))
        always.append(np.tile(counts / len(task.train), (len(task.test), 1)))
    samples, scores = _scores([always], tasks, resamples)
    result = MethodResult(
        key=key,
        title=TITLES[key],
        seeds=(),
        num_features=0,
        probe=scores,
        knn=scores,
        study=_by_study([always], tasks, resamples),
        c=(),
        chosen_by="nothing to choose",
        converged=True,
    )
    return Measured(
        result=result,
        auc=np.asarray(scores.per_seed["auc"]),
        samples=samples["auc"],
        scores=(tuple(always),),
    )


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


def _attentive(
    features: Features,
    tasks: Sequence[Task],
    folds: Sequence[Sequence[Fold]],
    resamples: Resamples,
) -> Scores | None:
    """The attentive probe on the tokens of every seed; None where there are none."""
    if not features.tokens:
        return None
    found = []
    for tokens in features.tokens:
        row = []
        for task, held_out in zip(tasks, folds, strict=True):
            probe = AttentiveProbe().fit(
                tokens[task.train], task.target[task.train], folds=held_out
            )
            scores = probe.predict_proba(tokens[task.test])
            row.append(widen(scores, probe.classes_, len(task.class_names)))
        found.append(row)
    return _scores(found, tasks, resamples)[1]


def _by_study(
    per_seed: Sequence[Sequence[Floats]], tasks: Sequence[Task], resamples: Resamples
) -> Scores | None:
    """Scores averaged over the images of each study; None where each study is one image."""
    if any(task.studies is None for task in tasks):
        return None
    studies = [studies_of(task) for task in tasks]
    num_images = sum(len(task.test) for task in tasks)
    if not all(studies) or sum(map(len, studies)) == num_images:
        return None
    labels = [
        task.target[task.test][[rows[0] for rows in groups]]
        for task, groups in zip(tasks, studies, strict=True)
    ]
    averaged = [
        [average(scores, groups) for scores, groups in zip(row, studies, strict=True)]
        for row in per_seed
    ]
    return _summary(averaged, labels, resamples.by_study(studies))[1]


def _scores(
    per_seed: Sequence[Sequence[Floats]], tasks: Sequence[Task], resamples: Resamples
) -> tuple[dict[str, Floats], Scores]:
    return _summary(per_seed, [task.target[task.test] for task in tasks], resamples)


def _summary(
    per_seed: Sequence[Sequence[Floats]], labels: Sequence[Integers], resamples: Resamples
) -> tuple[dict[str, Floats], Scores]:
    """Values and resampled values (S, R) of every metric, and their average over seeds."""
    values = {
        name: tuple(mean_of_splits(name, labels, scores) for scores in per_seed) for name in METRICS
    }
    samples = {
        name: np.stack([resamples.samples(name, labels, scores) for scores in per_seed])
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
