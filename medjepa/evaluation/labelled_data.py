"""Labelled images of one or several stores, shared out into training and test."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from medjepa.config.columns import no_column
from medjepa.data.class_checks import check_classes
from medjepa.data.labels import AUTO_SPLIT, LabelledSet
from medjepa.data.phantoms import is_synthetic
from medjepa.data.private_map import group_key, keyed_hash
from medjepa.data.splits import grouped_stratified_split
from medjepa.data.store import Store
from medjepa.data.unread import tell_unread
from medjepa.data.volume_store import VolumeStore
from medjepa.errors import DataError
from medjepa.evaluation.class_rule import ClassRule
from medjepa.evaluation.folds import draw_split
from medjepa.evaluation.labelled_columns import labelled_by_any
from medjepa.evaluation.metrics import Integers
from medjepa.evaluation.target import TargetRule
from medjepa.evaluation.task import Task
from medjepa.training import sources

TRAIN_NAMES = tuple(name for name in (*sources.TRAIN_NAMES, *sources.VALIDATION_NAMES) if name)
"""Validation images belong to training here: settings are chosen on a part of it anyway."""

TEST_NAMES = ("test", "testing")

_FOLD = re.compile(r"(fold)?[ _-]*\d+(\.0+)?", re.IGNORECASE)
_NUM_SHOWN = 8

SOURCE = "data source"
"""Name of the column that says which of several `data=` an image is from."""


@dataclass(frozen=True, kw_only=True)
class LabelledImages:
    """What is to be evaluated.

    Attributes:
        indices: (N,) into the stores in turn; task indices count through these.
        keys: (N,) content hash of each image's file.
        task: labels and (first) split.
        further: more splits of the same images.
        split: how the split was made, in words.
        num_unlabelled: images left out because they have no label.
        notes: what a reader of the results should know.
        synthetic: whether the images are generated.
        cells: column of the table -> (N,) what it says of each image; private.
        studies: (N,) keyed pseudonym of each image's study, "" where nobody says.
        num_in_both: images that the table puts into the test and elsewhere, under several names.
    """

    indices: Integers
    keys: tuple[str, ...]
    task: Task
    split: str
    num_unlabelled: int
    notes: tuple[str, ...]
    synthetic: bool
    further: tuple[Task, ...] = ()
    cells: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)
    studies: tuple[str, ...] = ()
    num_in_both: int = 0


def gather(
    stores: Sequence[Store] | Sequence[VolumeStore],
    label: str,
    *,
    group: str | Sequence[str] | None,
    split: str | None,
    table: str | Path | None,
    test_fraction: float,
    seed: int,
    classes: ClassRule | TargetRule | None = None,
    num_splits: int = 1,
    study: str | None = None,
    folders: Sequence[str | Path] = (),
) -> LabelledImages:
    """Join stores with their labels and share the images out.

    Args:
        stores: prepared images.
        label: column of the table.
        group: column of patients, or several together; None takes what the store knows.
        split: column of a given split; None takes "split" if there is one; "auto" makes one.
        table: a CSV with these columns, if it does not lie beside the images.
        test_fraction: of a split that is made here.
        seed: of the splits that are made here.
        classes: makes one class of several values, or a target of other columns; None takes each
            value for a class.
        num_splits: how many splits are made here.
        study: column of studies; None takes the patients for studies.
        folders: where the images came from, to know generated ones.

    Raises:
        DataError: a column is missing, or the split names no test or training image.
    """
    columns = classes.columns if isinstance(classes, TargetRule) else (label,)
    unread = tell_unread(stores, columns, table=table)
    sets = [
        labelled_by_any(store, columns, group=group, split=split, table=table) for store in stores
    ]
    num_unlabelled = sum(map(len, stores)) - sum(len(one.labels) for one in sets)
    doubts: list[str] = []
    if classes is None:
        every = [text for one in sets for text in one.labels]
        doubts = check_classes(label, every, key="evaluation.positive")
    else:
        sets = classes.applied(sets, label)
    starts = np.cumsum([0, *(len(store) for store in stores)])
    names = list(dict.fromkeys(name for one in sets for name in one.class_names))
    number = {name: index for index, name in enumerate(names)}
    target = np.array([number[text] for one in sets for text in one.labels], np.int64)
    groups: tuple[str, ...] | None = None
    if all(one.groups is not None for one in sets):
        groups = _numbered(
            [f"{i}.{name}" for i, one in enumerate(sets) for name in one.groups or ()]
        )
    parts = None
    if all(one.split is not None for one in sets):
        parts = [part for one in sets for part in one.split or ()]
    if parts is not None and num_splits > 1:
        raise DataError(
            f"evaluation.num_splits={num_splits}: the table has a split of its own, which is one; "
            f"split={AUTO_SPLIT} makes splits by patient instead"
        )
    keys = tuple(f"{stores[i].keys[item]}" for i, one in enumerate(sets) for item in one.indices)
    if num_splits > 1:
        rngs = [np.random.default_rng((seed, n)) for n in range(num_splits)]
        pairs = [draw_split(target, groups or keys, test_fraction, rng=rng) for rng in rngs]
        by = "by patient" if groups is not None else "by image"
        how = f"{num_splits} splits drawn {by}, {test_fraction:.0%} for the test, seed {seed}"
    else:
        train, test, how = _share_out(target, groups, keys, parts, test_fraction, seed)
        pairs = [(train, test)]
    codes = _studies(stores, sets, study)
    numbered = _numbered([code or f"item {i}" for i, code in enumerate(codes)])
    tasks = [
        Task(
            label=label,
            target=target,
            class_names=tuple(names),
            groups=groups,
            train=train,
            test=test,
            studies=numbered if any(codes) else None,
            num_unnamed=_num_unnamed(stores, sets) if groups is not None else 0,
        )
        for train, test in pairs
    ]
    return LabelledImages(
        indices=np.concatenate(
            [one.indices + start for one, start in zip(sets, starts[:-1], strict=True)]
        ),
        keys=keys,
        task=tasks[0],
        further=tuple(tasks[1:]),
        split=how,
        num_unlabelled=num_unlabelled,
        notes=(*unread, *doubts, *_notes(sets, num_unlabelled)),
        synthetic=_synthetic(stores, folders),
        cells=_cells(sets),
        studies=codes,
        num_in_both=sum(one.num_in_both for one in sets),
    )


def _num_unnamed(
    stores: Sequence[Store] | Sequence[VolumeStore], sets: Sequence[LabelledSet]
) -> int:
    """Images whose patient nobody names: their own content stands for him."""
    return sum(
        name == stores[number].keys[index]
        for number, one in enumerate(sets)
        for name, index in zip(one.groups or (), one.indices, strict=False)
    )


def _studies(
    stores: Sequence[Store] | Sequence[VolumeStore], sets: Sequence[LabelledSet], study: str | None
) -> tuple[str, ...]:
    """The keyed pseudonym of each image's study; "" where neither study nor patient is known.

    Raises:
        DataError: there is no such column.
    """
    found: list[str] = []
    for number, one in enumerate(sets):
        if study is None:
            found += list(one.groups or [""] * len(one.labels))
            continue
        if study not in one.cells:
            raise DataError(
                f"no column {study!r} for evaluation.study=; "
                f"{no_column(study, one.cells, key='study')}"
            )
        secret = group_key(stores[number].path)
        found += [keyed_hash(secret, cell) for cell in one.cells[study]]
    return tuple(found)


def _cells(sets: Sequence[LabelledSet]) -> dict[str, list[str]]:
    """Columns of all tables together; of several sources, which of them is a column too."""
    names = dict.fromkeys(name for one in sets for name in one.cells)
    cells = {
        name: [cell for one in sets for cell in one.cells.get(name, [""] * len(one.labels))]
        for name in names
    }
    if len(sets) > 1:
        cells.setdefault(
            SOURCE, [str(number) for number, one in enumerate(sets) for _ in one.labels]
        )
    return cells


def _numbered(names: Sequence[str]) -> tuple[str, ...]:
    """Groups by first appearance: their names are drawn with a store, and must change no number."""
    numbers = {name: f"{number:07d}" for number, name in enumerate(dict.fromkeys(names))}
    return tuple(numbers[name] for name in names)


def _share_out(
    target: Integers,
    groups: Sequence[str] | None,
    keys: Sequence[str],
    parts: Sequence[str] | None,
    test_fraction: float,
    seed: int,
) -> tuple[Integers, Integers, str]:
    if parts is None:
        # Copies of one file stay together even where no patient is known.
        train, test = grouped_stratified_split(
            [int(t) for t in target], groups or keys, [1 - test_fraction, test_fraction], seed
        )
        by = "by patient" if groups is not None else "by image"
        return train, test, f"split made here {by}, {test_fraction:.0%} for the test, seed {seed}"
    lowered = np.array([part.strip().lower() for part in parts])
    known = (*TRAIN_NAMES, *TEST_NAMES)
    train = np.flatnonzero(np.isin(lowered, TRAIN_NAMES))
    test = np.flatnonzero(np.isin(lowered, TEST_NAMES))
    if not len(train) or not len(test):
        raise DataError(_no_parts(parts))
    how = "the table's own split"
    if set(lowered) & set(sources.VALIDATION_NAMES):
        how += ", validation counted as training"
    rest = sorted({part or "empty" for part in parts if part.strip().lower() not in known})
    left = len(parts) - len(train) - len(test)
    if left:
        belong = "1 image belongs" if left == 1 else f"{left:,} images belong"
        how += f" ({belong} to neither part: {', '.join(rest[:5])})"
    return train, test, how


def _no_parts(parts: Sequence[str]) -> str:
    """Why a column is no split, and what can be done with it; numbers are those of folds."""
    held = sorted({part.strip() or "empty" for part in parts}, key=lambda part: (len(part), part))
    shown = ", ".join(held[:_NUM_SHOWN]) + (", ..." if len(held) > _NUM_SHOWN else "")
    text = f"the split column holds {shown}: it must name images as train (or val) and as test"
    instead = f"split={AUTO_SPLIT} makes a split by patient instead"
    if not all(_FOLD.fullmatch(part) for part in held):
        return f"{text}; {instead}"
    return (
        f"{text}. If these numbers are folds, add a column that says test for one of them (fold "
        f"{held[0]}, say) and train for the others, and name it with split=COLUMN; {instead}, and "
        f"evaluation.num_splits= with it several. Pre-training leaves the test fold out by "
        f"data.split_column= and data.held_out=[{held[0]}]"
    )


def _notes(sets: Sequence[LabelledSet], num_unlabelled: int) -> tuple[str, ...]:
    """What the reader should know, once: the report tells split and groups in its own words."""
    told = ("split:", "no groups")
    notes = [note for one in sets for note in one.notes if not note.startswith(told)]
    notes = [note for note in notes if not note.endswith("left out")]
    if num_unlabelled:
        have = "1 image has" if num_unlabelled == 1 else f"{num_unlabelled:,} images have"
        were = "was" if num_unlabelled == 1 else "were"
        notes.append(f"{have} no label, or several, and {were} left out.")
    return tuple(dict.fromkeys(notes))


def _synthetic(
    stores: Sequence[Store] | Sequence[VolumeStore], folders: Sequence[str | Path]
) -> bool:
    origins = [Path(folder) for folder in folders]
    for store in stores:
        origins += [Path(source) for source in store.private_map().sources]
    return any(is_synthetic(origin) for origin in origins if origin.exists())
