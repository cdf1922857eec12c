"""`predict`: from a checkpoint, a folder and a few labels to tables of chances for the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medjepa.config import Config
from medjepa.data.files import PRIVATE_FILE_MODE, check_out, write_atomic
from medjepa.data.private_map import PRIVATE, write_private
from medjepa.data.store import Store
from medjepa.data.tables import class_names
from medjepa.errors import DataError
from medjepa.evaluation.embed_files import Embedded, Progress, embed_sources, table_bytes
from medjepa.evaluation.metrics import Floats
from medjepa.evaluation.predict import (
    Performance,
    Predictor,
    above_chance,
    cross_validate,
    folds_of,
    num_alike,
    patients,
)
from medjepa.evaluation.predict_labels import check_labels, joined, opened
from medjepa.evaluation.results import PIXELS, PRETRAINED, TITLES, plain_json
from medjepa.evaluation.sections import Cell, Section
from medjepa.evaluation.task import Task
from medjepa.evaluation.verdict import MIN_PATIENTS, interval, share

PREDICTIONS, BY_STUDY = "predictions.csv", "study_predictions.csv"
OWN = {PREDICTIONS, BY_STUDY, "results.json", "index.html", PRIVATE}


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """Chances of everything without a label, and what the procedure scores.

    Attributes:
        task: the labelled rows.
        performance: of every kind of features; the pre-trained encoder first.
        rows: (M,) rows of the embedded, without a label.
        chances: (M, C), calibrated.
        studies: (M,) pseudonym of each row's study, "" where none is known.
        found: the embedded.
        temperature: of the predictor.
        num_folds: of the cross-validation.
        num_known: rows without a label whose patient has labelled images.
        doubts: of values that may be no classes.
        num_alike: labelled images that show the picture of another patient's; None of volumes and
            clips, in which nobody looks.
        notes: which files are missing.
        seed: of everything that was drawn.
    """

    task: Task
    performance: tuple[Performance, ...]
    rows: NDArray[np.int64]
    chances: Floats
    studies: tuple[str, ...]
    found: Embedded
    temperature: float
    num_folds: int
    num_known: int
    doubts: tuple[str, ...]
    num_alike: int | None = None
    notes: tuple[str, ...] = ()
    seed: int

    @property
    def num_patients(self) -> int | None:
        """Labelled patients; None where unknown."""
        return None if self.task.groups is None else len(set(self.task.groups))


def predict(config: Config, *, anyway: bool, progress: Progress) -> Predicted:
    """Embed a folder, learn from the rows that have a label, predict the others.

    Args:
        config: the settings: checkpoint, data, label, group, study.
        anyway: also if the predictor is not shown to be better than chance.
        progress: shows how far the work is.

    Raises:
        DataError: no column of labels, labels are too few, nothing is left to predict, or the
            interval of the cross-validated AUC holds chance and `anyway` is not set.
    """
    # Embedding may take hours: what labels alone can tell is told before it.
    check_labels(joined(opened(config, progress), config)[0], config)
    found = embed_sources(config, progress=progress, baselines=True)
    places = found.places
    labels, groups, studies = ([cells[i] for i in places] for cells in joined(found.stores, config))
    known = np.array([bool(text) for text in labels])
    rest = np.flatnonzero(~known)
    doubts = check_labels(labels, config)
    names = class_names([labels[i] for i in np.flatnonzero(known)])
    number = {name: n for n, name in enumerate(names)}
    rows = np.flatnonzero(known)
    task = Task(
        label=config.label or "",
        target=np.array([number[labels[i]] for i in rows], np.int64),
        class_names=tuple(names),
        groups=tuple(groups[i] for i in rows) if all(groups[i] for i in rows) else None,
        train=np.arange(len(rows)),
        test=np.arange(0),
    )
    arrays = {PRETRAINED: found.features.astype(np.float64)}
    arrays |= {key: array.astype(np.float64) for key, array in found.baselines.items()}
    with progress("cross-validate", 1) as advance:
        performance = cross_validate(
            {key: array[rows] for key, array in arrays.items()},
            task,
            num_resamples=config.evaluation.num_bootstrap,
            seed=config.seed,
        )
        advance(1)
    if not above_chance(performance[0]) and not anyway:
        auc = performance[0].values["auc"]
        raise DataError(
            f"label {task.label!r}: with {_labelled(task)} the cross-validated AUC is "
            f"{share(auc.value)} {interval(auc)}, which is not shown to be better than chance "
            "(.500): its predictions would say nothing. Label more patients, or set anyway=true"
        )
    model = Predictor(seed=config.seed).fit(arrays[PRETRAINED][rows], task.target, task.groups)
    seen = set(task.groups or ())
    return Predicted(
        task=task,
        performance=tuple(performance),
        rows=rest,
        chances=model.predict_proba(arrays[PRETRAINED][rest]),
        studies=tuple(studies[i] for i in rest),
        found=found,
        temperature=model.temperature_,
        num_folds=len(folds_of(task.target, task.groups, seed=config.seed)),
        num_known=sum(groups[i] in seen for i in rest),
        doubts=tuple(doubts),
        notes=found.notes,
        num_alike=(
            num_alike(found.baselines[PIXELS][rows], task.groups)
            if all(isinstance(one, Store) for one in found.stores)
            else None
        ),
        seed=config.seed,
    )


def write_tables(predicted: Predicted, out: str | Path) -> Path:
    """Write the chances of every image and every study, for their owner alone.

    Raises:
        DataError: the folder holds other things.
    """
    out = Path(out)
    check_out(out, own=OWN)
    out.mkdir(parents=True, exist_ok=True)
    names = predicted.task.class_names
    heads = ("prediction", *(f"p_{name}" for name in names))
    items = predicted.found.items
    images = [
        (int(row), *items[row][:2], study, *_cells(one, names))
        for row, study, one in zip(
            predicted.rows, predicted.studies, predicted.chances, strict=True
        )
    ]
    table = table_bytes(("row", "key", "part", "study", *heads), images)
    write_atomic(out / PREDICTIONS, table, mode=PRIVATE_FILE_MODE)
    means = by_study(predicted.studies, predicted.chances)
    studies = [(name, *_cells(one, names), num) for name, (one, num) in means.items()]
    table = table_bytes(("study", *heads, "n_images"), studies)
    write_atomic(out / BY_STUDY, table, mode=PRIVATE_FILE_MODE)
    paths = predicted.found.paths
    files = table_bytes(("row", "file"), [(int(row), paths[row]) for row in predicted.rows])
    write_private(out, "files.csv", files)
    return out / PREDICTIONS


def by_study(studies: Sequence[str], chances: Floats) -> dict[str, tuple[Floats, int]]:
    """Study -> mean chances of its images, and how many; images of no study are left out."""
    rows: dict[str, list[int]] = {}
    for place, name in enumerate(studies):
        if name:
            rows.setdefault(name, []).append(place)
    return {name: (chances[own].mean(0), len(own)) for name, own in sorted(rows.items())}


def _cells(chances: Floats, names: Sequence[str]) -> list[str]:
    return [names[int(np.argmax(chances))], *(f"{chance:.6f}" for chance in chances)]


def sections(predicted: Predicted) -> list[Section]:
    """What the predictor is worth, as a table with its baselines."""
    rows: list[tuple[Cell, ...]] = []
    for one in predicted.performance:
        values = one.values
        rows.append(
            (
                TITLES[one.key],
                values["auc"],
                one.gain,
                values["balanced_accuracy"],
                values["brier"],
                values["ece"],
            )
        )
    note = (
        f"{_labelled(predicted.task)}, {predicted.num_folds}-fold cross-validation by patient, the "
        "whole procedure (choice of C, temperature) within each fold; AUC and accuracy: mean over "
        f"folds; Brier score and ECE (15 equal-mass bins): over all images. 95 % intervals: "
        f"bootstrap over patients; seed {predicted.seed}."
    )
    return [
        Section(
            key="performance",
            title="What the predictions are worth",
            note=note,
            columns=(
                "Features", "AUC", "Encoder minus this", "Balanced accuracy", "Brier score", "ECE",
            ),
            rows=tuple(rows),
            signed=("Encoder minus this",),
        )
    ]  # fmt: skip


def warnings_of(predicted: Predicted) -> list[str]:
    """What its user has to know."""
    told = [
        "The performance is that of new patients like the labelled ones: labels that were given to "
        "selected patients say nothing of the others, and another hospital is another matter.",
    ]
    if not above_chance(predicted.performance[0]):
        told.insert(0, "Not shown to be better than chance: asked for with anyway=true.")
    if predicted.task.groups is None:
        told.append("No patients are known: images count as independent, intervals too narrow.")
    if (predicted.num_patients or len(predicted.task.target)) < MIN_PATIENTS:
        told.append(f"Fewer than {MIN_PATIENTS} labelled patients: intervals are too narrow.")
    if predicted.num_alike:
        told.append(
            f"{predicted.num_alike:,} labelled images show the picture of another patient's, or "
            "one that is alike when small: where they are copies, the performance is too good."
        )
    told += [*predicted.notes, *predicted.doubts]
    if predicted.num_known:
        told.append(
            f"{predicted.num_known:,} predicted images are of patients who have labelled images: "
            "theirs are better than the performance says."
        )
    better = [
        one for one in predicted.performance[1:] if one.gain is not None and one.gain.value <= 0
    ]
    if better:
        told.append(
            "At least as good as the encoder here: "
            + ", ".join(TITLES[one.key].lower() for one in better)
            + "."
        )
    return told


def as_numbers(predicted: Predicted, run: Mapping[str, str]) -> object:
    """What results.json holds."""
    task = predicted.task
    return plain_json(
        {
            "label": task.label,
            "class_names": task.class_names,
            "num_labelled": len(task.target),
            "num_labelled_patients": predicted.num_patients,
            "labelled_patients": dict(zip(task.class_names, patients(task), strict=True)),
            "num_predicted": len(predicted.rows),
            "num_studies": len(set(predicted.studies) - {""}),
            "num_folds": predicted.num_folds,
            "num_alike": predicted.num_alike,
            "temperature": predicted.temperature,
            "above_chance": above_chance(predicted.performance[0]),
            "performance": [
                {"title": TITLES[one.key], **asdict(one)} for one in predicted.performance
            ],
            "warnings": warnings_of(predicted),
            "seed": predicted.seed,
            "run": dict(run),
        }
    )


def _labelled(task: Task) -> str:
    num = f"{len(task.target):,} labelled images"
    return num if task.groups is None else f"{num} of {len(set(task.groups)):,} patients"
