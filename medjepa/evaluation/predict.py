"""A predictor from few labels: frozen features, a linear probe, calibrated chances, honest tests.

The whole procedure, choice of C and temperature included, is repeated for each fold of the
labelled patients; what it scores on the patients of the other fold is its performance. The
predictor that is handed out is the same procedure on all labelled patients.

Legend: N labelled images, M others, D features, C classes, K folds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from medjepa.data.altered import Altered, altered_pairs
from medjepa.data.duplicates import SIDE, near_pairs, thumbnail
from medjepa.errors import DataError
from medjepa.evaluation import label_efficiency
from medjepa.evaluation.baselines import principal_components
from medjepa.evaluation.bootstrap import Estimate, estimate
from medjepa.evaluation.calibration import (
    EQUAL_MASS,
    bins_of,
    brier,
    calibration_error,
    fit_temperature,
    top_label,
    with_temperature,
)
from medjepa.evaluation.folds import group_index, grouped_parts
from medjepa.evaluation.metrics import METRICS, Floats, Integers
from medjepa.evaluation.probes import LogisticProbe
from medjepa.evaluation.protocol import widen
from medjepa.evaluation.resamples import Resamples, mean_of_splits
from medjepa.evaluation.results import MAJORITY, PIXELS, PRETRAINED
from medjepa.evaluation.task import Task
from medjepa.evaluation.weighing import Weighted, mean_of, resampled

NUM_FOLDS = 5
CHANCE = 0.5


@dataclass(frozen=True, kw_only=True)
class Performance:
    """What a method scores on patients it has not learnt from.

    Attributes:
        key: of the method.
        values: metric -> its estimate, the mean over the folds.
        gain: AUC of the pre-trained encoder minus this one's, paired; None for itself.
    """

    key: str
    values: Mapping[str, Estimate]
    gain: Estimate | None


class Predictor:
    """A linear probe with a temperature from chances that it gave to patients held out.

    Attributes:
        classes_: (C,) numbers of the classes.
        temperature_: fitted on held-out chances; 1 where patients are too few to hold some out.
    """

    def __init__(self, *, seed: int = 0) -> None:
        self.seed = seed

    def fit(self, x: Floats, y: Integers, groups: Sequence[str] | None = None) -> "Predictor":
        """Learn from features (N, D), class numbers (N,) and, where known, patients (N,)."""
        chances, labels = [], []
        for fit, held_out in folds_of(y, groups, seed=self.seed + 1):
            probe = _probe(x[fit], y[fit], None if groups is None else [groups[i] for i in fit])
            if len(probe.classes_) == len(np.unique(y)):
                chances.append(probe.predict_proba(x[held_out]))
                labels.append(np.searchsorted(probe.classes_, y[held_out]))
        self.probe_ = _probe(x, y, groups)
        self.classes_ = self.probe_.classes_
        self.temperature_ = (
            fit_temperature(np.concatenate(chances), np.concatenate(labels)) if chances else 1.0
        )
        return self

    def predict_proba(self, x: Floats) -> Floats:
        """Calibrated chances (N, C)."""
        return with_temperature(self.probe_.predict_proba(x), self.temperature_)


def _probe(x: Floats, y: Integers, groups: Sequence[str] | None) -> LogisticProbe:
    return LogisticProbe(c_grid=label_efficiency.COARSE_GRID).fit(x, y, groups)


def folds_of(
    y: Integers, groups: Sequence[str] | None, *, seed: int = 0
) -> list[tuple[Integers, Integers]]:
    """At most `NUM_FOLDS` folds by patient: (to learn from, to test), whose first has every class.

    Empty where some class has a single patient.
    """
    names = tuple(str(i) for i in range(len(y))) if groups is None else groups
    smallest = min(
        len({names[i] for i in np.flatnonzero(y == label).tolist()}) for label in np.unique(y)
    )
    if smallest < 2:
        return []
    part = grouped_parts(
        np.unique(y, return_inverse=True)[1].astype(np.int64),
        groups,
        num_parts=min(NUM_FOLDS, smallest),
        seed=seed,
    )
    pairs = [(np.flatnonzero(part != n), np.flatnonzero(part == n)) for n in np.unique(part)]
    return [(fit, test) for fit, test in pairs if len(np.unique(y[fit])) == len(np.unique(y))]


def cross_validate(
    features: Mapping[str, Floats], task: Task, *, num_resamples: int = 1000, seed: int = 0
) -> list[Performance]:
    """Performance of the procedure with each kind of features, on the same folds and resamples.

    Args:
        features: method -> (N, D); `PRETRAINED` among them. Pixels become principal components of
            what is learnt from.
        task: labels and patients of the N labelled images.
        num_resamples: of the patients.
        seed: of folds and resamples.

    Raises:
        DataError: a class has a single patient.
    """
    pairs = folds_of(task.target, task.groups, seed=seed)
    if len(task.class_names) < 2 or not pairs:
        counts = ", ".join(
            f"{name} {count}" for name, count in zip(task.class_names, patients(task), strict=True)
        )
        raise DataError(
            f"label {task.label!r}: every class needs labelled images of 2 patients or more, two "
            f"classes or more; there are (patients) {counts}. Label some more"
        )
    tasks = [replace(task, train=fit, test=test) for fit, test in pairs]
    resamples = Resamples.draw(tasks, num_resamples=num_resamples, seed=seed)
    scores = {key: [_scores(key, x, one, seed) for one in tasks] for key, x in features.items()}
    shares = [np.bincount(one.target[one.train], minlength=len(task.class_names)) for one in tasks]
    scores[MAJORITY] = [
        np.tile(share / share.sum(), (len(one.test), 1))
        for share, one in zip(shares, tasks, strict=True)
    ]
    labels = [one.target[one.test] for one in tasks]
    ours = resamples.samples("auc", labels, scores[PRETRAINED])
    value = mean_of_splits("auc", labels, scores[PRETRAINED])
    found = []
    for key, given in scores.items():
        area = resamples.samples("auc", labels, given)
        lead = value - mean_of_splits("auc", labels, given)
        found.append(
            Performance(
                key=key,
                values=_values(labels, given, resamples),
                gain=None if key == PRETRAINED else _estimate(lead, ours - area),
            )
        )
    return found


def _scores(key: str, x: Floats, task: Task, seed: int) -> Floats:
    rows = principal_components(x.astype(np.float32), task.train) if key == PIXELS else x
    groups = task.train_groups
    model = Predictor(seed=seed).fit(rows[task.train], task.target[task.train], groups)
    return widen(model.predict_proba(rows[task.test]), model.classes_, len(task.class_names))


def _values(
    labels: Sequence[Integers], scores: Sequence[Floats], resamples: Resamples
) -> dict[str, Estimate]:
    values = {
        name: _estimate(
            mean_of_splits(name, labels, scores), resamples.samples(name, labels, scores)
        )
        for name in METRICS
    }
    # Chances mean the same in every fold, so their errors are pooled over the images.
    pooled, truth = np.concatenate(scores), np.concatenate(labels)
    top, right = top_label(pooled, truth)
    whole = replace(
        resamples.parts[0], patient=np.concatenate([part.patient for part in resamples.parts])
    )
    numbers: dict[str, Weighted] = {
        "brier": partial(mean_of, brier(pooled, truth)),
        "ece": partial(calibration_error, top, right, bins_of(top, EQUAL_MASS)),
    }
    once = np.ones((1, len(truth)))
    for name, number in numbers.items():
        values[name] = _estimate(float(number(once)[0]), resampled(whole, number))
    return values


def _estimate(value: float, samples: Floats) -> Estimate:
    return estimate(value, samples[np.isfinite(samples)])


def patients(task: Task) -> list[int]:
    """Labelled patients (images, where patients are unknown) of each class."""
    names = task.groups or tuple(str(i) for i in range(len(task.target)))
    return [
        len({names[i] for i in np.flatnonzero(task.target == number)})
        for number in range(len(task.class_names))
    ]


def num_alike(small: NDArray[np.float32], groups: Sequence[str] | None) -> int:
    """How many images show the picture of another patient's, saved, cut or marked differently.

    Folds part patients, so what is learnt from one of them helps on the other.

    Args:
        small: (N, C * 32 * 32) pictures.
        groups: (N,) patients; None takes every image as its own.
    """
    thumbnails = np.stack([thumbnail(row) for row in small.reshape(len(small), -1, SIDE, SIDE)])
    altered, group = Altered.of(thumbnails), group_index(len(small), groups)
    pairs = [*near_pairs(altered.whole, most=len(small) ** 2), *altered_pairs(altered, altered)]
    return len({i for pair in pairs if group[pair[0]] != group[pair[1]] for i in pair[:2]})


def above_chance(performance: Performance) -> bool:
    """Whether the whole interval of the AUC lies above one half."""
    low = performance.values["auc"].low
    return low is not None and low > CHANCE
