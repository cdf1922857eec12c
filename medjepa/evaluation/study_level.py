"""Predictions of the test part, averaged over the clips or images of each study."""

import csv
import io
from collections.abc import Sequence

import numpy as np

from medjepa.evaluation.metrics import Floats, Integers
from medjepa.evaluation.protocol import Measured
from medjepa.evaluation.results import StudyPrediction
from medjepa.evaluation.task import Task


def study_predictions(
    measured: Measured, tasks: Sequence[Task], names: Sequence[str], num_clips: Integers
) -> tuple[StudyPrediction, ...]:
    """Average the scores of each study over its test images, the seeds, and the splits it is in.

    Args:
        measured: the scores.
        tasks: the splits.
        names: (N,) the pseudonym of each image's study.
        num_clips: (N,) how many clips an image's (a video's) embedding is the mean of.
    """
    rows: dict[str, list[Floats]] = {}
    images: dict[str, set[int]] = {}
    for scores in measured.scores:
        for task, given in zip(tasks, scores, strict=True):
            places: dict[str, list[int]] = {}
            for place, image in enumerate(task.test):
                places.setdefault(names[int(image)], []).append(place)
                images.setdefault(names[int(image)], set()).add(int(image))
            for name, own in places.items():
                rows.setdefault(name, []).append(given[own].mean(0))
    task = tasks[0]
    found = []
    for name in sorted(rows):
        labels = sorted({int(task.target[image]) for image in images[name]})
        found.append(
            StudyPrediction(
                study=name,
                label=" + ".join(task.class_names[label] for label in labels),
                scores=tuple(float(score) for score in np.mean(rows[name], axis=0)),
                num_clips=int(sum(num_clips[image] for image in images[name])),
                num_splits=len(rows[name]) // len(measured.scores),
            )
        )
    return tuple(found)


def as_csv(predictions: Sequence[StudyPrediction], class_names: Sequence[str]) -> str:
    """The table study_predictions.csv: study, label, prediction, p_CLASS ..., n_clips, n_splits."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(
        ["study", "label", "prediction", *(f"p_{n}" for n in class_names), "n_clips", "n_splits"]
    )
    for one in predictions:
        best = class_names[int(np.argmax(one.scores))]
        shares = [f"{score:.6f}" for score in one.scores]
        table.writerow([one.study, one.label, best, *shares, one.num_clips, one.num_splits])
    return text.getvalue()
