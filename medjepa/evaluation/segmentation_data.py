"""Volumes with label maps, shared out by patients: who is trained on, who is tested.

Legend: N cases, in the order of the stores.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medjepa.data.labels import AUTO_SPLIT
from medjepa.data.splits import check_no_group_crosses, grouped_stratified_split
from medjepa.errors import ConfigError, DataError
from medjepa.evaluation.folds import draw_labels
from medjepa.evaluation.metrics import Integers
from medjepa.evaluation.protocol import Task

ALL_FOLDS, DEFAULT_FOLD = "all", ("test",)
TEST_NAMES = ("test", "testing")
TEST_FRACTION = 0.3
"""Of the patients, where no table says who is tested."""


@dataclass(frozen=True, kw_only=True)
class Cases:
    """The cases that have labels.

    Attributes:
        keys: (N,) content hash of each image.
        patients: (N,) number of each case's patient, by first appearance.
        known: whether patients are known; else each case counts as its own.
        parts: (N,) value of the split column; "" for a case that belongs to no part.
        split: how the parts came about, in words.
    """

    keys: tuple[str, ...]
    patients: Integers
    known: bool
    parts: tuple[str, ...]
    split: str

    def folds(self, asked: Sequence[str]) -> tuple[str, ...]:
        """The parts that are tested in turn; "all" is each that there is.

        Raises:
            ConfigError: one of them is no part.
        """
        there = sorted({part for part in self.parts if part}, key=_natural)
        if list(asked) == [ALL_FOLDS]:
            return tuple(there)
        if tuple(asked) == DEFAULT_FOLD:  # a table may spell it in its own way
            asked = [part for part in there if part.lower() in TEST_NAMES] or asked
        if missing := [fold for fold in asked if fold not in there]:
            raise ConfigError(
                f"fold={','.join(missing)}: no case is in this part; the split column holds "
                f"{', '.join(there[:12]) or 'nothing'}. fold= is who is tested, split= the column"
            )
        return tuple(dict.fromkeys(asked))

    def task(self, fold: str, fraction: float = 1.0, *, seed: int = 0) -> Task:
        """Who is trained on and who is tested; patients on both sides are an error.

        Args:
            fold: the part that is tested; the cases of all other parts are for training.
            fraction: share of the training patients whose labels are used.
            seed: of the choice of patients; with one seed smaller shares lie within larger ones.

        Raises:
            DataError: a patient is on both sides, or one side is empty.
        """
        parts = np.asarray(self.parts, dtype=object)
        test = np.flatnonzero(parts == fold)
        train = np.flatnonzero((parts != fold) & (parts != ""))
        if not len(train) or not len(test):
            raise DataError(
                f"fold {fold}: {len(train)} cases to train on and {len(test)} to test; "
                "both are needed"
            )
        groups = tuple(str(patient) for patient in self.patients)
        both = [*train, *test]
        check_no_group_crosses(
            [groups[i] for i in both], ["training"] * len(train) + ["test"] * len(test)
        )
        if fraction < 1:
            chosen = draw_labels(
                np.zeros(len(train), np.int64),
                [groups[i] for i in train],
                fraction,
                rng=np.random.default_rng(seed),
            )
            train = train[chosen]
        return Task(
            label="segmentation",
            target=np.zeros(len(parts), np.int64),
            class_names=("labelled",),
            groups=groups if self.known else None,
            train=train,
            test=test,
        )


def share_out(
    keys: Sequence[str],
    groups: Sequence[str],
    parts: Sequence[str] | None,
    *,
    column: str | None,
    seed: int = 0,
) -> Cases:
    """Number the patients, and make a split by patient where no table gives one.

    Args:
        keys: (N,) content hashes; copies of one file stay together where no patient is known.
        groups: (N,) patients, "" where unknown.
        parts: (N,) values of the table's split column, or None.
        column: its name, for the report.
        seed: of a split that is made here.
    """
    known = any(groups)
    names = [group or f"file {key}" for group, key in zip(groups, keys, strict=True)]
    number = {name: place for place, name in enumerate(dict.fromkeys(names))}
    patients = np.asarray([number[name] for name in names], np.int64)
    if parts is None:
        sides = grouped_stratified_split(
            ["case"] * len(keys), names, [1 - TEST_FRACTION, TEST_FRACTION], seed
        )
        made = np.empty(len(keys), dtype=object)
        made[sides[0]], made[sides[1]] = "train", "test"
        parts = [str(part) for part in made]
        how = f"split made here by patient, {TEST_FRACTION:.0%} for the test, seed {seed}"
    else:
        how = f"column “{column}” of the table"
    return Cases(
        keys=tuple(keys),
        patients=patients,
        known=known,
        parts=tuple(part.strip() for part in parts),
        split=how,
    )


def split_asked(column: str | None) -> str | None:
    """The split column that was asked for; None where a split is to be made here."""
    return None if column == AUTO_SPLIT else column


def _natural(part: str) -> tuple[int, float, str]:
    """Numbers by value before names."""
    try:
        return (0, float(part), part)
    except ValueError:
        return (1, 0.0, part)
