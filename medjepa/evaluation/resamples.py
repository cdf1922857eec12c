"""One or several splits of the same images into training and test, and resamples of all patients.

With few patients one split says little, so several are drawn and averaged: a metric is computed on
each split's own test part (scores of different fits are never pooled) and the mean is taken. A
resample of the patients weighs the images of every test part at once, so that the interval is that
of the mean. The fits are not repeated for each resample: how much they vary with the training
patients is in the mean over splits, not in the interval.

Legend: N images, C classes, R resamples, K splits.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from medjepa.evaluation.bootstrap import PatientBootstrap
from medjepa.evaluation.metrics import Floats, Integers, metric
from medjepa.evaluation.task import Task


@dataclass(frozen=True, kw_only=True)
class Resamples:
    """Resamples of the patients behind the test parts of K splits.

    Attributes:
        tested: images that are in any test part, ascending.
        parts: for each split, resamples of its own test images; all share their counts.
        num_redrawn: resamples drawn again because a class was absent.
    """

    tested: Integers
    parts: tuple[PatientBootstrap, ...]
    num_redrawn: int

    @property
    def num(self) -> int:
        """R."""
        return len(self.parts[0].counts)

    @classmethod
    def draw(cls, tasks: Sequence[Task], *, num_resamples: int, seed: int) -> "Resamples":
        """Draw resamples in which every class occurs, and some split's test part is complete.

        Args:
            tasks: splits of the same images.
            num_resamples: R; fewer come back only if classes are absent from nearly all draws.
            seed: of the draws.
        """
        tested = np.unique(np.concatenate([task.test for task in tasks]))
        whole = replace(tasks[0], test=tested)
        drawn = PatientBootstrap.draw(
            whole.target[tested], whole.test_groups, num_resamples=num_resamples, seed=seed
        )
        places = [np.searchsorted(tested, task.test) for task in tasks]
        complete = np.zeros(len(drawn.counts), dtype=bool)
        for place, task in zip(places, tasks, strict=True):
            complete |= _complete(drawn.counts, drawn.patient[place], task.target[task.test])
        counts = drawn.counts[complete]
        return cls(
            tested=tested,
            parts=tuple(
                replace(drawn, counts=counts, patient=drawn.patient[place]) for place in places
            ),
            num_redrawn=drawn.num_redrawn,
        )

    def samples(self, name: str, labels: Sequence[Integers], scores: Sequence[Floats]) -> Floats:
        """The metric called `name` on every resample, averaged over the splits that have it; (R,).

        Args:
            name: one of `METRICS`.
            labels: (num_test,) for each split.
            scores: (num_test, C) for each split.
        """
        found = [
            part.samples(name, one, given)
            for part, one, given in zip(self.parts, labels, scores, strict=True)
        ]
        return mean_known(np.stack(found))

    def by_study(self, studies: Sequence[Sequence[Integers]]) -> "Resamples":
        """The same resamples for studies, each of which is some images (places) of a test part."""
        parts = tuple(
            replace(part, patient=part.patient[np.array([rows[0] for rows in groups], np.int64)])
            for part, groups in zip(self.parts, studies, strict=True)
        )
        return replace(self, parts=parts)


def mean_of_splits(name: str, labels: Sequence[Integers], scores: Sequence[Floats]) -> float:
    """The metric called `name` on each split's test part, averaged over those that have it."""
    found = [[metric(name, one, given)[0]] for one, given in zip(labels, scores, strict=True)]
    return float(mean_known(np.asarray(found))[0])


def mean_known(values: Floats) -> Floats:
    """Mean over the first axis of what is a number; NaN where nothing is."""
    if len(values) == 1:
        return np.asarray(values[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column without numbers stays NaN
        return np.asarray(np.nanmean(values, axis=0))


def studies_of(task: Task) -> list[Integers]:
    """Places of each study's images in the test part, studies by first appearance.

    A study whose images bear different labels has no label of its own and is left out.
    """
    places: dict[str, list[int]] = {}
    for place, image in enumerate(task.test):
        if task.studies is not None:
            places.setdefault(task.studies[int(image)], []).append(place)
    labels = task.target[task.test]
    return [
        np.asarray(rows, np.int64) for rows in places.values() if len(np.unique(labels[rows])) == 1
    ]


def average(scores: Floats, groups: Sequence[Integers]) -> Floats:
    """Mean of the scores (N, C) of each group of rows; (num_groups, C)."""
    if not groups:
        return np.empty((0, scores.shape[1]))
    # A mean of equal numbers may differ from them in its last digit, which would break ties.
    return np.stack([scores[rows].mean(0) for rows in groups]).round(12)


def _complete(counts: np.ndarray, patient: Integers, labels: Integers) -> np.ndarray:
    """In which resamples every class of `labels` has a patient; (R,)."""
    found = np.ones(len(counts), dtype=bool)
    for label in np.unique(labels):
        found &= (counts[:, np.unique(patient[labels == label])] > 0).any(1)
    return found
