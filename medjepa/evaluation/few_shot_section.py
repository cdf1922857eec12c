"""The table of few-shot learning: 1 to 20 labelled images of each class, 1,000 draws of them."""

import numpy as np

from medjepa.evaluation.bootstrap import Estimate
from medjepa.evaluation.context import Context
from medjepa.evaluation.delong import area_estimate, joined, placed
from medjepa.evaluation.episode_scores import Scored, measured_classes, score, together
from medjepa.evaluation.episodes import (
    CLASSIFIERS,
    STRENGTH,
    Similarities,
    classify,
    draw_episodes,
    inner_products,
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
_CELLS_AT_ONCE = 2_000_000
"""Numbers in the largest array of a batch of episodes, 16 MB: what a processor's cache may hold."""


def few_shot_sections(context: Context) -> list[Section]:
    """One table where `evaluation.few_shot` asks for it: shots, features, classifier."""
    if not context.settings.few_shot:
        return []
    task = context.tasks[0]
    draws, left_out = _draws(task, context.seed)
    found = {features.key: _rows(features, task, draws, context) for features in context.features}
    rows = [
        (num_shots, *row)
        for num_shots in draws
        for features in context.features
        for row in found[features.key][num_shots]
    ]
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


def _draws(task: Task, seed: int) -> tuple[dict[int, Integers], list[str]]:
    """Episodes for each number of shots; and the numbers for which a class has too few images."""
    draws, left_out = {}, []
    for num_shots in SHOTS:
        # The same draws for every kind of features, whatever else is asked.
        rng = np.random.default_rng((seed, num_shots))
        drawn = draw_episodes(
            task.target[task.train], task.train_groups, num_shots, NUM_EPISODES, rng
        )
        if drawn is None or drawn.shape[1] < len(task.class_names):
            left_out.append(str(num_shots))
        else:
            draws[num_shots] = drawn
    return draws, left_out


def _rows(
    features: Features, task: Task, draws: dict[int, Integers], context: Context
) -> dict[int, list[tuple[Cell, ...]]]:
    """For each number of shots the rows of the classifiers, averaged over seeds by episode."""
    seeds: list[dict[int, dict[str, Scored]]] = []
    for array in features.of(task):
        x = simple_shot(array, task.train)
        support, similar = x[task.train], Similarities(x[task.train], x[task.test])
        seeds.append({num: _scored(support, similar, task, rows) for num, rows in draws.items()})
    return {
        num: [
            (
                TITLES[features.key],
                name,
                *_cells([seed[num][name] for seed in seeds], task, context),
            )
            for name in CLASSIFIERS
        ]
        for num in draws
    }


def _cells(seeds: list[Scored], task: Task, context: Context) -> tuple[Cell, ...]:
    """What one classifier is worth."""
    auc = np.mean([one.auc for one in seeds], axis=0)
    low, high = np.quantile(auc, (0.025, 0.975))
    return (
        _over_patients(together(seeds), task, context),
        _spread(np.mean([one.balanced_accuracy for one in seeds], axis=0)),
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


def _scored(
    support: Floats, similarities: Similarities, task: Task, drawn: Integers
) -> dict[str, Scored]:
    """Every classifier on all episodes, batch by batch; an episode's images are looked up once."""
    num_episodes, num_classes, num_shots = drawn.shape
    largest = num_classes * num_shots * max(len(task.test), support.shape[1])
    num_batches = -(-num_episodes // max(1, _CELLS_AT_ONCE // largest))
    labels = task.target[task.test]
    found: dict[str, list[Scored]] = {name: [] for name in CLASSIFIERS}
    for rows in np.array_split(drawn, num_batches):
        products = inner_products(support[rows])
        similar = similarities.of(rows)
        nearest = similarities.nearest(rows)
        for name in CLASSIFIERS:
            found[name].append(score(labels, classify(name, products, similar, nearest)))
    return {name: together(batches) for name, batches in found.items()}


def _over_patients(found: Scored, task: Task, context: Context) -> Estimate:
    """The mean over episodes (and seeds) with its interval over test patients."""
    labels = task.target[task.test]
    drawn = context.resamples.parts[0]
    columns = measured_classes(labels, len(task.class_names))
    areas = joined(
        [
            placed(
                labels == column,
                found.above[place] / len(found.auc),
                found.below[place] / len(found.auc),
                drawn.patient,
                num_patients=drawn.num_patients,
            )
            for place, column in enumerate(columns)
        ]
    )
    weights = np.full(len(columns), 1 / len(columns))
    value = float(areas.value @ weights)
    fewest = min(len(np.unique(drawn.patient[labels == label])) for label in np.unique(labels))
    if drawn.num_patients < MIN_PATIENTS or fewest < MIN_CLASS_PATIENTS:
        return Estimate(value=value, low=None, high=None, standard_error=None)
    return area_estimate(value, areas.variance(weights))
