"""From features and labels to a report: all of the evaluation that knows no files and no models."""

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from medjepa.config.evaluation import EvaluationConfig
from medjepa.errors import DataError
from medjepa.evaluation.columns import Column
from medjepa.evaluation.context import Context, Origin
from medjepa.evaluation.embedding_map import embedding_map
from medjepa.evaluation.extras import extra_sections
from medjepa.evaluation.label_efficiency import FRACTIONS, label_efficiency
from medjepa.evaluation.metrics import Integers
from medjepa.evaluation.protocol import Features, compare, measure, measure_majority
from medjepa.evaluation.resamples import Resamples
from medjepa.evaluation.results import (
    MAJORITY,
    PRETRAINED,
    UNTRAINED,
    Check,
    LossCurve,
    Report,
)
from medjepa.evaluation.sections import Section
from medjepa.evaluation.shortcut import examine
from medjepa.evaluation.study_level import study_predictions
from medjepa.evaluation.task import Task
from medjepa.evaluation.verdict import MIN_CLASS_PATIENTS, MIN_PATIENTS, decide


def assess(
    methods: Sequence[Features],
    task: Task | Sequence[Task],
    *,
    columns: Sequence[Column] = (),
    study_names: Sequence[str] | None = None,
    num_clips: Integers | None = None,
    checks: Sequence[Check] = (),
    split: str = "",
    num_unlabelled: int = 0,
    notes: Sequence[str] = (),
    num_resamples: int = 1000,
    fractions: Sequence[float] = FRACTIONS,
    num_draws: int = 5,
    seed: int = 0,
    synthetic: bool = False,
    loss_curves: Sequence[LossCurve] = (),
    run: dict[str, str] | None = None,
    cells: Mapping[str, Sequence[str]] | None = None,
    settings: EvaluationConfig | None = None,
    origin: Origin | None = None,
    further: Sequence[Section] = (),
    progress: Callable[[str], object] = lambda _: None,
) -> Report:
    """Measure every method on the same split and resamples, and decide whether pre-training helped.

    Args:
        methods: the pre-trained encoder, the untrained one, the plain baselines; in table order.
        task: labels and split; or several splits of the same images, which are averaged.
        columns: of the table, that may give the label away.
        study_names: (N,) the pseudonym of each image's study, for a table of predictions.
        num_clips: (N,) clips behind each image's embedding; None for one each.
        checks: what was looked for before.
        split: how the split was made, for the reader.
        num_unlabelled: images left out because they have no label.
        notes: what the reader should know about the data.
        num_resamples: of the bootstrap over test patients.
        fractions: of the label-efficiency curve; empty leaves it out.
        num_draws: of the label-efficiency curve.
        seed: of resamples, draws and map.
        synthetic: whether the images are generated.
        loss_curves: of pre-training, for the figure.
        run: facts about the run (command, hash of its configuration), for the reader.
        cells: column of the table -> (N,) what it says of each image.
        settings: which further sections are asked; None for the defaults.
        origin: models and images, for sections that embed again; None for features alone.
        further: sections that are made already; after the others.
        progress: called with a word on what begins.

    Raises:
        DataError: nothing can be measured: fewer than two classes to learn, or no test image.
    """
    tasks = [task] if isinstance(task, Task) else list(task)
    task = tasks[0]
    if any(len(np.unique(one.target[one.train])) < 2 or not len(one.test) for one in tasks):
        raise DataError(
            f"label {task.label!r}: the training part needs images of at least two classes and the "
            f"test part at least one image; there are {len(task.train)} training images of "
            f"{len(np.unique(task.target[task.train]))} classes and {len(task.test)} test images."
            + ("" if len(task.test) else " A class of a single patient is learnt from, not tested.")
        )
    progress("linear probes and neighbours")
    resamples = Resamples.draw(tasks, num_resamples=num_resamples, seed=seed)
    settings = settings or EvaluationConfig()
    balanced = settings.class_weight == "balanced"
    measured = [measure(features, tasks, resamples, balanced=balanced) for features in methods]
    measured.append(measure_majority(MAJORITY, tasks, resamples))
    ours = next(row for row in measured if row.result.key == PRETRAINED)
    comparisons = tuple(compare(ours, row) for row in measured if row is not ours)
    encoders = {PRETRAINED, UNTRAINED}
    shortcuts = tuple(
        examine(
            column,
            tasks,
            [features for features in methods if features.key in encoders],
            [row for row in measured if row.result.key in encoders],
            resamples,
            num_resamples=num_resamples,
            seed=seed,
        )
        for column in columns
    )
    progress("label efficiency")
    points = (
        label_efficiency(
            methods,
            task,
            fractions=fractions,
            num_draws=num_draws,
            seed=seed,
            balanced=balanced,
            with_all={row.result.key: [one[0] for one in row.scores] for row in measured},
        )
        if fractions
        else ()
    )
    progress("embedding map")
    shown = next(features for features in methods if features.key == PRETRAINED).arrays[0]
    picture = embedding_map(shown[task.test], task.target[task.test], seed=seed)
    progress("further sections")
    context = Context(
        features=tuple(methods),
        measured=tuple(measured),
        comparisons=comparisons,
        tasks=tuple(tasks),
        resamples=resamples,
        columns=tuple(columns),
        cells=dict(cells or {}),
        settings=settings,
        num_resamples=num_resamples,
        seed=seed,
        origin=origin,
    )
    results = tuple(row.result for row in measured)
    # What was tested in any split; the training part is that of the first.
    task = replace(task, test=resamples.tested)
    train_counts, test_counts = _counts(task, "train"), _counts(task, "test")
    num_train_patients = None if task.train_groups is None else len(set(task.train_groups))
    num_test_patients = None if task.test_groups is None else len(set(task.test_groups))
    too_small, warnings = _small_data(task)
    warnings = [*dict.fromkeys([*notes, *warnings])]
    warnings += [
        f"{row.title}: the chosen logistic regression did not converge."
        for row in results
        if not row.converged
    ]
    if any(row.probe.auc.low == row.probe.auc.high == 1 for row in results):
        warnings.append(
            "An AUC of 1.000 has an interval of no width: no error was seen, which is no certainty."
        )
    if any(
        row.seeds and row.probe.auc.low == row.probe.auc.high not in (None, 1) for row in results
    ):
        warnings.append("An interval of no width comes of very few test patients: no certainty.")
    sections = (*extra_sections(context), *further)
    warnings += [warning for section in sections for warning in section.warnings]
    return Report(
        verdict=decide(
            results,
            comparisons,
            num_test=len(task.test),
            num_patients=num_test_patients,
            too_small=too_small,
            shortcuts=shortcuts,
        ),
        label=task.label,
        class_names=task.class_names,
        num_train=len(task.train),
        num_test=len(task.test),
        train_counts=train_counts,
        test_counts=test_counts,
        num_train_patients=num_train_patients,
        num_test_patients=num_test_patients,
        num_unlabelled=num_unlabelled,
        split=split,
        seeds=ours.result.seeds,
        methods=results,
        comparisons=comparisons,
        label_efficiency=points,
        embedding_map=picture,
        checks=tuple(checks),
        warnings=tuple(warnings),
        num_resamples=resamples.num,
        num_redrawn=resamples.num_redrawn,
        seed=seed,
        synthetic=synthetic,
        loss_curves=tuple(loss_curves),
        num_splits=len(tasks),
        shortcuts=shortcuts,
        sections=sections,
        studies=()
        if study_names is None
        else study_predictions(
            ours,
            tasks,
            study_names,
            np.ones(len(task.target), np.int64) if num_clips is None else num_clips,
        ),
        run=dict(run or {}),
        versions=package_versions(),
    )


def _counts(task: Task, part: str) -> dict[str, int]:
    target = task.target[task.train if part == "train" else task.test]
    counts = np.bincount(target, minlength=len(task.class_names))
    return {name: int(count) for name, count in zip(task.class_names, counts, strict=True)}


def _small_data(task: Task) -> tuple[str, list[str]]:
    """Why the test set cannot decide ("" if it can), and what the reader has to be warned of."""
    reasons, warnings = [], []
    group = task.test_groups or tuple(str(i) for i in task.test)
    unit = "images" if task.groups is None else "patients"
    num_patients = len(set(group))
    if task.groups is None:
        warnings.append("No groups: intervals too narrow if a patient has several images.")
    if num_patients < MIN_PATIENTS:
        reasons.append(
            f"{num_patients} test {unit} are too few (a bootstrap needs {MIN_PATIENTS} or more)"
        )
    if len(task.test) < 30:
        warnings.append(f"Only {len(task.test)} test images: every number here is rough.")
    if len(np.unique(task.target[task.test])) < 2:
        reasons.append("the test part holds a single class, so no AUC exists")
    for index, name in enumerate(task.class_names):
        held = {group[i] for i, which in enumerate(task.target[task.test]) if which == index}
        if not held:
            warnings.append(f"Class {name!r} is absent from the test part: nothing is known of it.")
        elif len(held) < MIN_CLASS_PATIENTS:
            what = unit if len(held) != 1 else unit[:-1]
            warnings.append(
                f"Class {name!r} has only {len(held)} {what} in the test part: "
                "its share of the uncertainty is not in the intervals."
            )
            reasons.append(f"class {name!r} has only {len(held)} test {what}")
        if not np.any(task.target[task.train] == index):
            warnings.append(f"Class {name!r} is absent from the training part: never predicted.")
    return "; ".join(reasons[:2]), warnings


def package_versions() -> dict[str, str]:
    """Of Python and the packages that a number may depend on."""
    versions = {"python": platform.python_version()}
    for package in ("medjepa", "torch", "numpy", "scikit-learn"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:  # run from a checkout that is not installed
            versions[package] = "unknown"
    return versions
