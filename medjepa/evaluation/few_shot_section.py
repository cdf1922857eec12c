"""The table of few-shot learning: 1 to 20 labelled images of each class, 1,000 draws of them."""

import numpy as np

from medjepa.evaluation.bootstrap import Estimate
from medjepa.evaluation.context import Context
from medjepa.evaluation.delong import area_estimate, joined, placed
from medjepa.evaluation.episodes import (
    CLASSIFIERS,
    STRENGTH,
    Scored,
    classify,
    draw_episodes,
    measured_classes,
    score,
    simple_shot,
)
from medjepa.evaluation.metrics import Floats, Integers
from medjepa.evaluation.protocol import Features
from medjepa.evaluation.results import TITLES
from medjepa.evaluation.sections import Cell, Section
from medjepa.evaluation.task import Task
from medjepa.evaluation.verdict import MIN_CLASS_PATIENTS, MIN_PATIENTS

FEW_SHOT = "few_shot"
SHOTS = (1, 2, 4, 5, 8, 10, 16, 20)
NUM_EPISODES = 1000
_CELLS_AT_ONCE = 20_000_000


def few_shot_sections(context: Context) -> list[Section]:
    """One table where `evaluation.few_shot` asks for it: shots, features, classifier."""
    if not context.settings.few_shot:
        return []
    task = context.tasks[0]
    rows: list[tuple[Cell, ...]] = []
    left_out = []
    for num_shots in SHOTS:
        # The same draws for every kind of features, whatever else is asked.
        rng = np.random.default_rng((context.seed, num_shots))
        drawn = draw_episodes(
            task.target[task.train], task.train_groups, num_shots, NUM_EPISODES, rng
        )
        if drawn is None or drawn.shape[1] < len(task.class_names):
            left_out.append(str(num_shots))
            continue
        for features in context.features:
            for name in CLASSIFIERS:
                rows.append((num_shots, *_row(features, name, task, drawn, context)))
    if not rows:
        return []
    unit = "images" if task.groups is None else "patients"
    note = (
        f"{NUM_EPISODES:,} episodes: so many {unit} of each class, an image of each, drawn from "
        "the training part, the same draws in every row; features centred by the mean of the "
        f"training images and scaled to unit length. Mean over episodes on n = {len(task.test):,} "
        f"test images; in brackets its 95 % interval over test {unit} (DeLong, clustered by "
        f"{unit[:-1]}). Brackets behind balanced accuracy, and the last three columns, are the "
        "spread over episodes, which is no sampling error: no episode is chosen. Logistic "
        f"regression: no intercept, C fixed at {STRENGTH:g}. Neighbours: all support images, at "
        "most the nearest 20, weighted by exp(cosine / 0.07)."
    )
    if left_out:
        note += f" Left out, a class has too few training {unit}: {', '.join(left_out)} shots."
    if len(context.tasks) > 1:
        note += " On the first split only."
    return [
        Section(
            key=FEW_SHOT,
            title="With a handful of labels",
            note=note,
            columns=(
                "shots", "features", "classifier", "AUC, mean of episodes",
                "balanced accuracy, mean and 95 % of episodes", "AUC, deviation over episodes",
                "2.5 % of episodes", "97.5 % of episodes",
            ),
            rows=tuple(rows),
        )
    ]  # fmt: skip


def _row(
    features: Features, name: str, task: Task, drawn: Integers, context: Context
) -> tuple[Cell, ...]:
    """Features, classifier, and what they are worth; averaged over seeds episode by episode."""
    parts = [
        _batches(simple_shot(array, task.train), name, task, drawn) for array in features.of(task)
    ]
    auc = np.mean([np.concatenate([one.auc for one in batches]) for batches in parts], axis=0)
    accuracy = np.mean(
        [np.concatenate([one.balanced_accuracy for one in batches]) for batches in parts], axis=0
    )
    low, high = np.quantile(auc, (0.025, 0.975))
    return (
        TITLES[features.key],
        name,
        _over_patients([one for batches in parts for one in batches], task, context),
        _spread(accuracy),
        float(auc.std(ddof=1)),
        float(low),
        float(high),
    )


def _spread(values: Floats) -> Estimate:
    """Mean over episodes and the middle 95 % of them: how much the draw of the images changes."""
    low, high = np.quantile(values, (0.025, 0.975))
    return Estimate(
        value=float(values.mean()),
        low=float(low),
        high=float(high),
        standard_error=float(values.std(ddof=1)),
    )


def _batches(x: Floats, name: str, task: Task, drawn: Integers) -> list[Scored]:
    test, labels = x[task.test], task.target[task.test]
    at_once = max(1, _CELLS_AT_ONCE // (len(test) * drawn.shape[1] * drawn.shape[2]))
    # Batches of one size, so that means over batches are means over episodes.
    num = max(1, -(-len(drawn) // at_once))
    while len(drawn) % num:
        num += 1
    support = x[task.train]
    return [score(labels, classify(name, support[rows], test)) for rows in np.split(drawn, num)]


def _over_patients(parts: list[Scored], task: Task, context: Context) -> Estimate:
    """The mean over episodes (and seeds) with its interval over test patients."""
    labels = task.target[task.test]
    drawn = context.resamples.parts[0]
    columns = measured_classes(labels, len(task.class_names))
    num = sum(len(one.auc) for one in parts)
    found = joined(
        [
            placed(
                labels == column,
                np.asarray(sum(one.above[place] for one in parts) / num),
                np.asarray(sum(one.below[place] for one in parts) / num),
                drawn.patient,
                num_patients=drawn.num_patients,
            )
            for place, column in enumerate(columns)
        ]
    )
    weights = np.full(len(columns), 1 / len(columns))
    value = float(found.value @ weights)
    fewest = min(len(np.unique(drawn.patient[labels == label])) for label in np.unique(labels))
    if drawn.num_patients < MIN_PATIENTS or fewest < MIN_CLASS_PATIENTS:
        return Estimate(value=value, low=None, high=None, standard_error=None)
    return area_estimate(value, found.variance(weights))
