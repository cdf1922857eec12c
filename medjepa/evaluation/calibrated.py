"""A linear probe whose chances are calibrated on training patients that it was not fitted on.

Legend: N images, D features, C classes, S seeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from medjepa.errors import DataError
from medjepa.evaluation import label_efficiency
from medjepa.evaluation.calibration import fit_temperature, with_temperature
from medjepa.evaluation.folds import Fold, grouped_parts
from medjepa.evaluation.metrics import Floats, Integers
from medjepa.evaluation.probes import LogisticProbe
from medjepa.evaluation.protocol import split_folds, widen
from medjepa.evaluation.task import Task

NUM_PARTS = 5
"""One part of so many of the training patients is held out to calibrate on."""


@dataclass(frozen=True, kw_only=True)
class Calibrated:
    """Chances of one probe, as it gives them.

    Attributes:
        held_out: indices of the images to calibrate on.
        held_out_chances: (M, C).
        test_chances: (num_test, C).
        temperature: fitted on the held-out images.
    """

    held_out: Integers
    held_out_chances: Floats
    test_chances: Floats
    temperature: float

    @property
    def tempered(self) -> Floats:
        """The test images' chances with the temperature, (num_test, C)."""
        return with_temperature(self.test_chances, self.temperature)


def calibration_part(task: Task, *, seed: int = 0) -> Fold:
    """Indices of training images to fit on, and of those to calibrate on: other patients.

    Raises:
        DataError: a class has too few patients for both.
    """
    labels = task.target[task.train]
    part = grouped_parts(labels, task.train_groups, num_parts=NUM_PARTS, seed=seed + 1)
    fit, held_out = task.train[part != 0], task.train[part == 0]
    if len(np.unique(task.target[fit])) < len(np.unique(labels)) or not len(held_out):
        raise DataError(
            f"label {task.label!r}: too few training patients to hold some out for calibration"
        )
    return fit, held_out


def calibrated(arrays: Sequence[Floats], task: Task, parts: Fold) -> tuple[Calibrated, ...]:
    """Fit a probe of each seed on one part of the training images, and calibrate it on the other.

    Args:
        arrays: (N, D) for each seed.
        task: labels and split.
        parts: of `calibration_part`.
    """
    fit, held_out = parts
    inner = replace(task, train=fit)
    folds = split_folds(inner, np.arange(len(fit)))
    num_classes = len(task.class_names)
    found = []
    for array in arrays:
        probe = LogisticProbe(c_grid=label_efficiency.COARSE_GRID)
        probe.fit(array[fit], task.target[fit], folds=folds)
        chances = [
            widen(probe.predict_proba(array[rows]), probe.classes_, num_classes)
            for rows in (held_out, task.test)
        ]
        temperature = fit_temperature(chances[0], task.target[held_out])
        found.append(
            Calibrated(
                held_out=held_out,
                held_out_chances=chances[0],
                test_chances=chances[1],
                temperature=temperature,
            )
        )
    return tuple(found)


def class_shares(task: Task, parts: Fold) -> tuple[Calibrated, ...]:
    """The majority class as a probe: every image has the classes' shares of the fitted part."""
    fit, held_out = parts
    shares = np.bincount(task.target[fit], minlength=len(task.class_names)) / len(fit)
    held = np.tile(shares, (len(held_out), 1))
    return (
        Calibrated(
            held_out=held_out,
            held_out_chances=held,
            test_chances=np.tile(shares, (len(task.test), 1)),
            temperature=fit_temperature(held, task.target[held_out]),
        ),
    )
