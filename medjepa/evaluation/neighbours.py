"""How the number of neighbours changes the kNN score: k of 10, 20, 100 and 200.

All four are shown, none is chosen: 20 is the headline whatever the others say.
"""

import numpy as np

from medjepa.evaluation.bootstrap import estimate
from medjepa.evaluation.context import Context
from medjepa.evaluation.probes import CosineKNN
from medjepa.evaluation.protocol import Features, score_test_images
from medjepa.evaluation.resamples import mean_of_splits
from medjepa.evaluation.results import TITLES
from medjepa.evaluation.sections import Cell, Section

NUM_NEIGHBOURS = (10, 20, 100, 200)
HEADLINE = 20


def neighbour_sections(context: Context) -> list[Section]:
    """One table: a row for each kind of features, a column for each k that fits the images."""
    fewest = min(len(task.train) for task in context.tasks)
    counts = [k for k in NUM_NEIGHBOURS if k <= fewest]
    if HEADLINE not in counts:
        return []
    unit = "images" if context.groups is None else "patients"
    tested = f"n = {len(context.resamples.tested):,} test images"
    rows: list[tuple[Cell, ...]] = []
    for features in context.features:
        row: list[Cell] = [TITLES[features.key]]
        row += [_area(features, context, k) for k in counts]
        rows.append(tuple(row))
    return [
        Section(
            key="neighbours",
            title="Nearest neighbours: how many",
            note=(
                f"Macro AUC of cosine kNN, votes weighted by exp(cosine / 0.07), {tested}. In "
                f"brackets: 95 % interval, percentile bootstrap over {unit}, "
                f"{context.resamples.num:,} resamples. k = {HEADLINE} is the table's; none is "
                "chosen by these numbers."
            ),
            columns=("features", *(f"k = {k}" for k in counts)),
            rows=tuple(rows),
        )
    ]


def _area(features: Features, context: Context, k: int) -> Cell:
    labels = [task.target[task.test] for task in context.tasks]
    arrays = [features.of(task) for task in context.tasks]
    values, samples = [], []
    for seed in range(len(arrays[0])):
        scores = []
        for task, own in zip(context.tasks, arrays, strict=True):
            knn = CosineKNN(k=k).fit(own[seed][task.train], task.target[task.train])
            scores.append(score_test_images(knn, own[seed], task))
        values.append(mean_of_splits("auc", labels, scores))
        samples.append(context.resamples.samples("auc", labels, scores))
    return estimate(float(np.mean(values)), np.asarray(np.mean(samples, axis=0)))
