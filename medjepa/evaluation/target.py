"""What is predicted where it is not one class of several: findings, grades, numbers, survival.

Legend: N images, K columns of values.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from medjepa.config.evaluation import EvaluationConfig
from medjepa.data.labels import LabelledSet
from medjepa.data.table_columns import MISSING
from medjepa.errors import ConfigError, DataError
from medjepa.evaluation.metrics import Floats, Integers

Kind = Literal["multilabel", "ordinal", "regression", "survival"]

NO_FINDING = ("no finding", "no findings", "none", "normal", "negative")
"""Entries of a column `A|B` that say that there is nothing; they are no finding of their own."""

SEPARATORS = re.compile(r"[|;]")
_YES = ("1", "1.0", "true", "yes", "positive", "present", "y")
_NO = ("0", "0.0", "false", "no", "negative", "absent", "n")
_EMPTY_IT = "leave the cell empty where the value is not known"
_NUM_NAMED = 8
_NUM_STRATA = 5


@dataclass(frozen=True, kw_only=True, eq=False)
class Target:
    """Values to be predicted for every image.

    Attributes:
        kind: of what.
        label: how the report calls it.
        names: findings of a multi-label target; levels of an ordinal one; else the columns.
        values: (N, K), NaN where missing. Multi-label: K findings, 0 or 1. Ordinal: one column,
            the place of the level. Regression: one number. Survival: time, and 1 for an event.
    """

    kind: Kind
    label: str
    names: tuple[str, ...]
    values: Floats

    @property
    def known(self) -> np.ndarray:
        """(N,) images that have any value (for survival both)."""
        there = ~np.isnan(self.values)
        return np.asarray(there.any(1) if self.kind == "multilabel" else there.all(1))

    @property
    def strata(self) -> Integers:
        """(N,) what a split evens out: rarest finding, level, fifth of the numbers, event."""
        values = self.values
        if self.kind == "multilabel":
            counts = np.nansum(values, axis=0)
            order = np.where(values == 1, counts[None], np.inf)
            rarest = order.argmin(1)
            found = np.where((values == 1).any(1), rarest, values.shape[1])
            return np.asarray(found, np.int64)
        if self.kind == "ordinal":
            return np.nan_to_num(values[:, 0]).astype(np.int64)
        if self.kind == "survival":
            return np.nan_to_num(values[:, 1]).astype(np.int64)
        edges = np.nanquantile(values[:, 0], np.linspace(0, 1, _NUM_STRATA + 1)[1:-1])
        return np.searchsorted(edges, values[:, 0]).astype(np.int64)


@dataclass(frozen=True, kw_only=True)
class TargetRule:
    """How columns of a table become a target; takes the place of a rule for classes.

    Attributes:
        kind: of what.
        columns: of the table: one, several findings, or time and event.
        levels: of an ordinal target, from low to high; empty for numbers in their own order.
        notes: what the reader should know of how it was chosen.
    """

    kind: Kind
    columns: tuple[str, ...]
    levels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        wanted = {"ordinal": 1, "regression": 1, "survival": 2}.get(self.kind)
        if wanted is not None and len(self.columns) != wanted:
            raise ConfigError(
                f"evaluation.target={self.kind}: label= names {len(self.columns)} column(s), "
                f"{wanted} needed" + (" (label=[time,event])" if self.kind == "survival" else "")
            )

    @property
    def label(self) -> str:
        """How the report calls the target."""
        return ", ".join(self.columns)

    def applied(self, sets: Sequence[LabelledSet], label: str) -> list[LabelledSet]:
        """The same images without those that have no value; their label is what a split evens out.

        Raises:
            DataError: a value cannot be read.
        """
        joined = {name: [cell for one in sets for cell in one.cells[name]] for name in self.columns}
        target = self.read(joined)
        keep, strata = target.known, target.strata
        if not keep.any():
            raise DataError(f"label {label!r}: no image has a value")
        found, start = [], 0
        for one in sets:
            end = start + len(one.labels)
            places = [int(i) for i in np.flatnonzero(keep[start:end])]
            labels = [f"{strata[start + i]}" for i in places]
            notes = list(one.notes)
            if left := len(one.labels) - len(places):
                have, were = ("image has", "was") if left == 1 else ("images have", "were")
                notes.append(f"{left:,} {have} no value of {self.label} and {were} set aside.")
            found.append(_kept(one, places, labels, notes))
            start = end
        return found

    def read(self, cells: Mapping[str, Sequence[str]]) -> Target:
        """Values of every image, from its cells of each column.

        Raises:
            DataError: a value cannot be read.
        """
        reader = {
            "multilabel": self._findings,
            "ordinal": self._grades,
            "regression": self._numbers,
            "survival": self._times,
        }[self.kind]
        names, values = reader([list(cells[name]) for name in self.columns])
        return Target(kind=self.kind, label=self.label, names=names, values=values)

    def _findings(self, columns: list[list[str]]) -> tuple[tuple[str, ...], Floats]:
        if len(columns) > 1:
            yes_or_no = [
                [_flag(cell, name) for cell in cells]
                for name, cells in zip(self.columns, columns, strict=True)
            ]
            return self.columns, np.array(yes_or_no, np.float64).T
        listed = [
            None if _missing(cell) else [part.strip() for part in SEPARATORS.split(cell)]
            for cell in columns[0]
        ]
        names = sorted({part for parts in listed for part in parts or ()})
        names = [name for name in names if name and name.lower() not in NO_FINDING]
        if not names:
            raise DataError(
                f"label {self.label!r}: no finding is named; evaluation.target=multilabel takes a "
                "column of findings joined by | or ; or several columns of 0 and 1: label=[a,b]"
            )
        values = [
            [np.nan if parts is None else float(name in parts) for name in names]
            for parts in listed
        ]
        return tuple(names), np.array(values, np.float64).reshape(len(listed), len(names))

    def _grades(self, columns: list[list[str]]) -> tuple[tuple[str, ...], Floats]:
        cells, name = columns[0], self.columns[0]
        there = dict.fromkeys(cell.strip() for cell in cells if not _missing(cell))
        if self.levels:
            if unknown := [cell for cell in there if cell not in self.levels]:
                raise DataError(
                    f"label {name!r}: {', '.join(unknown[:_NUM_NAMED])} not in evaluation.levels"
                )
            place = {level: float(i) for i, level in enumerate(self.levels)}
            values = [np.nan if _missing(cell) else place[cell.strip()] for cell in cells]
            return self.levels, np.array(values)[:, None]
        numbers = np.array(
            [_number(cell, name, "evaluation.levels=[low,...,high]") for cell in cells]
        )
        levels = np.unique(numbers[~np.isnan(numbers)])
        if not 2 <= len(levels) <= 50:
            raise DataError(
                f"label {name!r}: {len(levels)} different levels; an ordinal target has 2 to 50 "
                "(evaluation.target=regression takes any numbers)"
            )
        placed = np.where(np.isnan(numbers), np.nan, np.searchsorted(levels, numbers))
        return tuple(f"{level:g}" for level in levels), placed[:, None]

    def _numbers(self, columns: list[list[str]]) -> tuple[tuple[str, ...], Floats]:
        cells, name = columns[0], self.columns[0]
        values = np.array([_number(cell, name, "another column") for cell in cells])
        return self.columns, values[:, None]

    def _times(self, columns: list[list[str]]) -> tuple[tuple[str, ...], Floats]:
        time = np.array([_number(cell, self.columns[0], "another column") for cell in columns[0]])
        event = np.array([_flag(cell, self.columns[1]) for cell in columns[1]])
        if (time < 0).any():
            raise DataError(f"label {self.columns[0]!r}: a time is below 0")
        both = np.stack([time, event], axis=1)
        both[np.isnan(both).any(1)] = np.nan
        return self.columns, both


def target_rule(label: str | Sequence[str], settings: EvaluationConfig) -> TargetRule | None:
    """What `evaluation.target` asks of the label's columns; None for classes of one column.

    Several columns without a word on what they are can only be findings, and the report says so.
    """
    columns = (label,) if isinstance(label, str) else tuple(label)
    if settings.target != "classes":
        return TargetRule(kind=settings.target, columns=columns, levels=settings.levels)
    if len(columns) < 2:
        return None
    note = "Several label columns and no evaluation.target: taken as findings (multilabel)."
    return TargetRule(kind="multilabel", columns=columns, notes=(note,))


def _kept(one: LabelledSet, places: list[int], labels: list[str], notes: list[str]) -> LabelledSet:
    return replace(
        one,
        indices=np.asarray(one.indices)[places],
        labels=labels,
        class_names=sorted(set(labels)),
        groups=None if one.groups is None else [one.groups[place] for place in places],
        split=None if one.split is None else [one.split[place] for place in places],
        notes=notes,
        cells={name: [cells[place] for place in places] for name, cells in one.cells.items()},
    )


def _missing(cell: str) -> bool:
    return cell.strip().lower() in MISSING


def _flag(cell: str, name: str) -> float:
    text = cell.strip().lower()
    if text in _YES:
        return 1.0
    if text in _NO:
        return 0.0
    if text in MISSING or text in ("unknown", "-1", "-1.0"):  # CheXpert: -1 is "uncertain"
        return np.nan
    raise DataError(f"label {name!r}: {cell!r} is neither 0 nor 1; {_EMPTY_IT}")


def _number(cell: str, name: str, instead: str) -> float:
    if _missing(cell):
        return np.nan
    try:
        value = float(cell)
    except ValueError as error:
        comma = " (a decimal comma: write a point)" if "," in cell else ""
        raise DataError(
            f"label {name!r}: {cell!r} is no number{comma}; {_EMPTY_IT}, or name {instead}"
        ) from error
    if not np.isfinite(value):
        raise DataError(f"label {name!r}: {cell!r} is no finite number; {_EMPTY_IT}")
    return value
