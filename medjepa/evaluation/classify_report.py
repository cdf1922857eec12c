"""From the parts of a study to its report."""

import platform
from collections.abc import Mapping, Sequence

import numpy as np
import scipy
import torch

from medjepa import __version__
from medjepa.evaluation.bootstrap import Estimate
from medjepa.evaluation.classify_results import (
    FROZEN,
    SCRATCH,
    ClassifyReport,
    Difference,
    Part,
)
from medjepa.evaluation.classify_study import (
    Measured,
    compare_rows,
    decide_all,
    equivalences,
    measure_rows,
    too_small,
)
from medjepa.evaluation.labelled_data import LabelledImages
from medjepa.evaluation.material import Material
from medjepa.evaluation.metrics import Floats, Integers
from medjepa.evaluation.resamples import Resamples
from medjepa.evaluation.results import Check, StudyPrediction
from medjepa.evaluation.task import Task
from medjepa.evaluation.verdict import share


def build_report(
    parts: Sequence[Part],
    task: Task,
    material: Material,
    *,
    checks: Sequence[Check],
    budget: str,
    num_resamples: int,
    seed: int,
    run: Mapping[str, str],
) -> ClassifyReport:
    """Measure every part on the same resamples of the test patients, and put it together.

    Args:
        parts: of all methods, shares and draws.
        task: labels and split.
        material: where they came from.
        checks: what was looked for before.
        budget: of every training, in words.
        num_resamples: of the bootstrap.
        seed: of the resamples.
        run: command and settings, for the record.
    """
    resamples = Resamples.draw([task], num_resamples=num_resamples, seed=seed)
    measured = measure_rows(parts, task, resamples)
    differences = compare_rows(measured)
    small = too_small(task)
    labelled = material.labelled
    train_groups, test_groups = task.train_groups, task.test_groups
    return ClassifyReport(
        verdicts=tuple(decide_all(measured, differences, small)),
        equivalences=tuple(equivalences(measured, differences, small)),
        label=task.label,
        class_names=task.class_names,
        train_counts=_counts(task, task.train),
        test_counts=_counts(task, task.test),
        num_train_patients=None if train_groups is None else len(set(train_groups)),
        num_test_patients=None if test_groups is None else len(set(test_groups)),
        num_unlabelled=labelled.num_unlabelled,
        split=labelled.split,
        budget=budget,
        rows=tuple(one.row for one in measured),
        differences=tuple(differences),
        checks=tuple(checks),
        warnings=tuple(
            _warnings(measured, differences, task, [*labelled.notes, *material.notes], small)
        ),
        num_resamples=resamples.num,
        num_redrawn=resamples.num_redrawn,
        seed=seed,
        synthetic=labelled.synthetic,
        predictions=_predictions(parts, task, labelled),
        run=dict(run),
        versions={
            "medjepa": __version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "Python": platform.python_version(),
        },
    )


def _counts(task: Task, rows: Integers) -> dict[str, int]:
    counts = np.bincount(task.target[rows], minlength=len(task.class_names))
    return {name: int(count) for name, count in zip(task.class_names, counts, strict=True)}


def _warnings(
    measured: Sequence[Measured],
    differences: Sequence[Difference],
    task: Task,
    notes: Sequence[str],
    small: str,
) -> list[str]:
    found = list(dict.fromkeys(notes))
    if small:
        found.append(f"Nothing is decided: {small}.")
    if task.groups is None:
        found.append("No groups: intervals too narrow if a patient has several images.")
    trained = [one.row for one in measured if one.row.method != FROZEN and one.row.num_steps[0]]
    if not any(row.method == SCRATCH for row in trained):
        found.append("No network from scratch was asked for: whether pre-training helped is open.")
    if trained and trained[0].num_draws < 3:
        found.append("Fewer than 3 draws: the spread over draws is hardly known; draws=3 tells.")
    for row in trained:
        without = sum(num == 0 for num in row.num_validation)
        if without:
            found.append(
                f"“{row.title}” with {100 * row.fraction:g} % of the labels: in {without} of "
                f"{row.num_draws} draws a class had a single patient, so no validation part was "
                "held out, and training did not stop early."
            )
        ends = sum(a == b for a, b in zip(row.num_steps, row.best_step, strict=True)) - without
        if ends > row.num_draws / 2:
            found.append(
                f"“{row.title}” with {100 * row.fraction:g} % of the labels was still getting "
                "better when its budget ended: more steps= may change the comparison."
            )
    found += [
        f"Fine-tuning with {100 * one.fraction:g} % of the labels is worse than logistic "
        f"regression on the same encoder, frozen ({share(one.difference.value, sign=True)}): its "
        "training was too short or its rates do not suit; what it says of pre-training is open."
        for one in differences
        if (one.against, one.metric) == (FROZEN, "auc")
        and one.difference.high is not None
        and one.difference.high < 0
    ]
    perfect = [row for row in (one.row for one in measured) if _is_certain(row.scores["auc"])]
    if perfect:
        found.append(
            "An AUC of 1.000 has an interval of no width: no error was seen, which is no certainty."
        )
    return found


def _is_certain(auc: Estimate) -> bool:
    return auc.low == auc.high == 1


def _predictions(
    parts: Sequence[Part], task: Task, labelled: LabelledImages
) -> dict[tuple[str, float], tuple[StudyPrediction, ...]]:
    """Scores averaged over the draws and the test images of each study (or patient)."""
    places: dict[str, list[int]] = {}
    for place, image in enumerate(task.test.tolist()):
        name = labelled.studies[image] if labelled.studies else ""
        places.setdefault(name or f"item {image}", []).append(place)
    means: dict[tuple[str, float], list[Floats]] = {}
    for part in parts:
        means.setdefault((part.method, part.fraction), []).append(part.scores)
    labels = task.target[task.test]
    return {
        key: tuple(
            StudyPrediction(
                study=name,
                label=" + ".join(task.class_names[n] for n in np.unique(labels[rows])),
                scores=tuple(float(s) for s in np.mean(scores, axis=0)[rows].mean(0)),
                num_clips=len(rows),
                num_splits=len(scores),
            )
            for name, rows in sorted(places.items())
        )
        for key, scores in means.items()
    }
