"""Shortcuts: can the label be told from where an image comes from, and does the encoder see it?

Where all images of one class come from one site, whatever recognises the site predicts the class,
and no test on such data can tell the two apart (Zech et al. 2018; DeGrave et al. 2021). For each
column that says how an image was taken, three questions are answered with numbers: how well it
predicts the label by itself, how well the embedding predicts it, and whether any of its values
holds several classes from enough patients, so that the label can be tested within it.

The rule, fixed before any number is seen: the label cannot be separated from a column if the column
alone predicts it better than chance (the whole interval above one half) and some class, though it
has `MIN_CLASS_PATIENTS` patients, stands in no value of the column beside another class with as
many. Then the verdict of the whole evaluation is "cannot tell".

Legend: N images, D features, C classes, V values of the column.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from medjepa.evaluation.bootstrap import Estimate, estimate
from medjepa.evaluation.columns import OTHER, Column
from medjepa.evaluation.folds import group_index, grouped_parts
from medjepa.evaluation.label_efficiency import COARSE_GRID
from medjepa.evaluation.metrics import Floats, Integers
from medjepa.evaluation.probes import LogisticProbe
from medjepa.evaluation.protocol import Features, Measured, score_test_images, split_folds
from medjepa.evaluation.resamples import Resamples, mean_of_splits
from medjepa.evaluation.results import Shortcut
from medjepa.evaluation.task import Task
from medjepa.evaluation.verdict import MIN_CLASS_PATIENTS

NUM_PARTS = 5
MOST_IMAGES = 4000
"""More than these are not needed to see whether an embedding knows a site."""


@dataclass(frozen=True)
class _Strata:
    """Patients (V, C) of every value and class, and which pairs of classes can be tested where."""

    patients: Integers

    @property
    def enough(self) -> np.ndarray:
        return self.patients >= MIN_CLASS_PATIENTS

    @property
    def usable(self) -> Integers:
        """Values that hold two classes or more from enough patients each."""
        return np.flatnonzero(self.enough.sum(1) >= 2)

    @property
    def covered(self) -> np.ndarray:
        """Which classes stand beside another one in some usable value; (C,)."""
        return np.asarray(self.enough[self.usable].any(0))


def examine(
    column: Column,
    tasks: Sequence[Task],
    features: Sequence[Features],
    measured: Sequence[Measured],
    resamples: Resamples,
    *,
    num_resamples: int = 1000,
    seed: int = 0,
) -> Shortcut:
    """Answer the three questions for one column.

    Args:
        column: of all N images.
        tasks: the splits that the evaluation used.
        features: whose embeddings are asked for the column; of several seeds the first.
        measured: the same methods' scores of the test images, for the test within values.
        resamples: as the evaluation drew them.
        num_resamples: of the intervals computed here.
        seed: of the folds and resamples drawn here.
    """
    task = tasks[0]
    known = np.flatnonzero(column.codes >= 0)
    alone = told_by(_part_of(task, known), column.codes[known], num_resamples, seed)
    counts = _Strata(_patients(task, column))
    within, num_within = _within(column, counts, tasks, measured, resamples)
    total = _total_patients(task)
    wanting = [
        number
        for number in range(len(task.class_names))
        if total[number] >= MIN_CLASS_PATIENTS and not counts.covered[number]
    ]
    separable = not (alone.low is not None and alone.low > 0.5 and wanting)
    return Shortcut(
        column=column.name,
        num_values=column.num_common + (column.num_rare > 0),
        num_rare=column.num_rare,
        num_images=len(known),
        alone=alone,
        embedding=_embedding(column, task, features, num_resamples, seed),
        num_usable=len(counts.usable),
        patients=tuple(tuple(int(n) for n in row) for row in counts.patients),
        within=within,
        num_within=num_within,
        separable=separable,
        concentration="" if separable else _concentration(task, column, wanting),
    )


def told_by(task: Task, codes: Integers, num_resamples: int, seed: int) -> Estimate:
    """AUC of the class frequencies of each value (codes (N,)), learnt from other patients."""
    if len(np.unique(task.target)) < 2:
        return _nothing()
    tasks = folds_of(task, seed)
    return area_over(tasks, frequencies(task, tasks, codes), num_resamples, seed)


def frequencies(task: Task, tasks: Sequence[Task], codes: Integers) -> list[Floats]:
    """Class frequencies of the values (codes (N,)) of each split's test images, as learnt there."""
    group = group_index(len(task.target), task.groups)
    weight = 1 / np.bincount(group)[group]  # each patient counts once, however many images
    prior = np.bincount(task.target, weight, len(task.class_names)) / weight.sum()
    scores = []
    for one in tasks:
        table = np.tile(prior, (int(codes.max()) + 1, 1))
        np.add.at(table, (codes[one.train], task.target[one.train]), weight[one.train])
        table /= table.sum(1, keepdims=True)
        scores.append(table[codes[one.test]])
    return scores


def _embedding(
    column: Column, task: Task, features: Sequence[Features], num_resamples: int, seed: int
) -> dict[str, Estimate]:
    """AUC of telling the column's values from each kind of features, on other patients."""
    group = group_index(len(task.target), task.groups)
    codes = column.codes
    often = [
        value
        for value in range(column.num_values)
        if value != OTHER and len(np.unique(group[codes == value])) >= 2
    ]
    rows = np.flatnonzero(np.isin(codes, often))
    if len(often) < 2 or not len(rows):
        return {}
    if len(rows) > MOST_IMAGES:
        rng = np.random.default_rng(seed)
        rows = np.sort(rng.choice(rows, MOST_IMAGES, replace=False))
    numbers = np.searchsorted(often, codes[rows]).astype(np.int64)
    asked = replace(
        _part_of(task, rows), target=numbers, class_names=tuple(str(value) for value in often)
    )
    tasks = [one for one in folds_of(asked, seed) if len(np.unique(numbers[one.train])) > 1]
    found = {}
    for one in features:
        array = one.of(task)[0][rows]
        scores = []
        for fold in tasks:
            held_out = split_folds(fold, np.arange(len(fold.train)))
            probe = LogisticProbe(c_grid=COARSE_GRID)
            probe.fit(array[fold.train], numbers[fold.train], folds=held_out)
            scores.append(score_test_images(probe, array, fold))
        found[one.key] = area_over(tasks, scores, num_resamples, seed)
    return found


def _within(
    column: Column,
    counts: _Strata,
    tasks: Sequence[Task],
    measured: Sequence[Measured],
    resamples: Resamples,
) -> tuple[dict[str, Estimate], int]:
    """AUC among test images of the same value, averaged over the usable values and the splits.

    Returns:
        Method -> AUC, and how many test images it rests on (each counted once).
    """
    rows, parts, images = [], [], []
    for number, task in enumerate(tasks):
        codes = column.codes[task.test]
        for value in counts.usable:
            chosen = np.flatnonzero(codes == value)
            if len(np.unique(task.target[task.test][chosen])) > 1:
                rows.append((number, chosen))
                part = resamples.parts[number]
                parts.append(replace(part, patient=part.patient[chosen]))
                images.append(task.test[chosen])
    if not rows:
        return {}, 0
    labels = [tasks[number].target[tasks[number].test][chosen] for number, chosen in rows]
    own = replace(resamples, parts=tuple(parts))
    found = {}
    for one in measured:
        values, samples = [], []
        for scores in one.scores:
            chosen_scores = [scores[number][chosen] for number, chosen in rows]
            values.append(mean_of_splits("auc", labels, chosen_scores))
            samples.append(own.samples("auc", labels, chosen_scores))
        drawn = np.mean(samples, axis=0)
        found[one.result.key] = estimate(float(np.mean(values)), drawn[np.isfinite(drawn)])
    return found, len(np.unique(np.concatenate(images)))


def _concentration(task: Task, column: Column, wanting: Sequence[int]) -> str:
    """Words on the class that stands most by itself; a value may be a hospital and is not named."""
    group = group_index(len(task.target), task.groups)
    best = (0.0, "")
    for number in wanting:
        own = (task.target == number) & (column.codes >= 0)
        if not own.any():
            continue
        value = int(np.bincount(column.codes[own]).argmax())
        same = own & (column.codes == value)
        share = float(same.sum() / own.sum())
        others = len(np.unique(group[(column.codes == value) & (task.target != number)]))
        patients = f"{len(np.unique(group[same]))} of {len(np.unique(group[own]))}"
        words = (
            f"{int(same.sum())} of {int(own.sum())} images of '{task.class_names[number]}' "
            f"({patients} patients) {_shared(column, value, others)}"
        )
        best = max(best, (share, words))
    return best[1]


def _shared(column: Column, value: int, others: int) -> str:
    """Words on what images of a class share, and how many patients of other classes do."""
    if value == OTHER:
        return f"have a {column.name} that no other patient has"
    where = " in one and the same quarter" if column.is_quartered else ""
    same = f"a {column.name}{where}" if where else f"one and the same {column.name}"
    if others == 1:
        return f"have {same}, which 1 patient of another has"
    return f"have {same}, which " + (
        f"{others} patients of other classes have" if others else "no other class has"
    )


def _patients(task: Task, column: Column) -> Integers:
    """Patients of each value and class, (V, C); values of one patient are none of them."""
    group = group_index(len(task.target), task.groups)
    counts = np.zeros((column.num_values, len(task.class_names)), np.int64)
    for value in range(column.num_values):
        for number in range(len(task.class_names)):
            chosen = (column.codes == value) & (task.target == number)
            counts[value, number] = 0 if value == OTHER else len(np.unique(group[chosen]))
    return counts


def _total_patients(task: Task) -> list[int]:
    group = group_index(len(task.target), task.groups)
    return [len(np.unique(group[task.target == n])) for n in range(len(task.class_names))]


def _part_of(task: Task, rows: Integers) -> Task:
    everything = np.arange(len(rows))
    return replace(
        task,
        target=task.target[rows],
        groups=None if task.groups is None else tuple(task.groups[i] for i in rows),
        studies=None,
        train=everything,
        test=everything,
    )


def folds_of(task: Task, seed: int) -> list[Task]:
    """Each fifth of the patients is tested once, after learning from the others."""
    part = grouped_parts(task.target, task.groups, num_parts=NUM_PARTS, seed=seed)
    return [
        replace(task, train=np.flatnonzero(part != number), test=np.flatnonzero(part == number))
        for number in range(NUM_PARTS)
        if (part == number).any() and (part != number).any()
    ]


def area_over(
    tasks: Sequence[Task], scores: Sequence[Floats], num_resamples: int, seed: int
) -> Estimate:
    """AUC of scores of each split's test part, with its interval over their patients."""
    labels = [task.target[task.test] for task in tasks]
    if not tasks or all(len(np.unique(one)) < 2 for one in labels):
        return _nothing()
    resamples = Resamples.draw(tasks, num_resamples=num_resamples, seed=seed)
    samples = resamples.samples("auc", labels, scores)
    return estimate(mean_of_splits("auc", labels, scores), samples)


def _nothing() -> Estimate:
    return Estimate(value=float("nan"), low=None, high=None, standard_error=None)
