"""Columns of the table that may give a label away: where, with what and how an image was taken.

Found by the words in their names. Whether a column is a cause of bias or another name of the
label itself no number can tell (both predict it perfectly), so what the name does not say is not
looked at unless it is asked for.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medjepa.config.columns import no_column
from medjepa.data.table_columns import (
    MISSING,
    group_column,
    path_columns,
    site_of,
    split_column,
)
from medjepa.errors import DataError
from medjepa.evaluation.folds import group_index
from medjepa.evaluation.metrics import Integers

WORDS = frozenset((
    "source", "site", "sites", "hospital", "institution", "institute", "centre", "center",
    "clinic", "department", "country", "scanner", "device", "machine", "manufacturer", "vendor",
    "model", "station", "probe", "transducer", "camera", "microscope", "view", "position",
    "projection", "orientation", "laterality", "protocol", "sequence", "kernel", "contrast",
    "field", "strength", "magnification", "stain", "license", "licence", "resolution", "size",
    "width", "height", "rows", "columns", "fps", "rate", "frames", "duration", "spacing",
    "thickness", "bits", "year", "date", "datetime", "acquired", "acquisition", "ward", "room",
    "operator", "technician", "radiographer", "radiologist", "reader", "exposure", "kvp", "kv",
    "mas", "dose", "software", "coil", "filter", "format", "compression", "codec", "extension",
    "dataset", "database", "collection", "origin", "cohort", "batch", "sex", "gender", "age",
    "race", "ethnicity",
))  # fmt: skip
"""Of columns that say where, with what or of whom an image was taken."""

OTHER = 0
"""Code of the values that a single patient has: nothing can be tested within one of those."""

MOST_VALUES = 12
"""Numbers of which there are more become quarters."""

_MISSING = (*MISSING, "none", "unknown")


@dataclass(frozen=True, eq=False)
class Column:
    """One column as numbers.

    Attributes:
        name: as the table has it.
        codes: (N,) number of each image's value; 0 for values of a single patient, -1 where a
            single patient has none (of several it is a value).
        num_values: how many codes there are, with `OTHER`.
        num_rare: values that only one patient has, all under `OTHER`.
        is_quartered: whether a value is a quarter of the numbers, ages or dates.
    """

    name: str
    codes: Integers
    num_values: int
    num_rare: int
    is_quartered: bool = False

    @property
    def num_common(self) -> int:
        """Values that several patients have."""
        return len(np.unique(self.codes[self.codes > OTHER]))


def coded(name: str, cells: Sequence[str], groups: Sequence[str] | None) -> Column:
    """Number the values of a column.

    Addresses on the web count by their host, numbers, ages and dates with many values by their
    quarter. That nothing is written is a value too, where it is so of several patients.

    Args:
        name: of the column.
        cells: (N,) as the table writes them.
        groups: (N,) patients; None takes every image as its own.
    """
    values = [site_of(cell) for cell in cells]
    known = [value.lower() not in _MISSING for value in values]
    different = sorted({value for value, is_known in zip(values, known, strict=True) if is_known})
    is_quartered = False
    if len(different) > MOST_VALUES and (numbers := numbers_of(values, known)) is not None:
        edges = np.unique(np.quantile(numbers[known], (0.25, 0.5, 0.75)))
        values = [str(quarter) for quarter in np.searchsorted(edges, numbers, side="right")]
        different = sorted(set(values))
        is_quartered = True
    group = group_index(len(cells), groups)
    number, codes, rare = 1, np.full(len(cells), -1, np.int64), 0
    array, is_known = np.asarray(values, dtype=object), np.asarray(known)
    choices = [(array == value) & is_known for value in different]
    if choices and len(np.unique(group[~is_known])) > 1:
        choices.append(~is_known)
    for chosen in choices:
        if len(np.unique(group[chosen])) < 2:
            codes[chosen], rare = OTHER, rare + 1
        else:
            codes[chosen], number = number, number + 1
    return Column(name, codes, number, rare, is_quartered)


def find_columns(
    cells: Mapping[str, Sequence[str]],
    groups: Sequence[str] | None,
    *,
    asked: Sequence[str] | None,
    leave_out: Collection[str],
) -> list[Column]:
    """Columns to look at: those that are asked for, or those whose name says how images were taken.

    Of the latter, columns without two common values, or in which most patients have a value of
    their own, say nothing; of columns that group the images alike, the first is taken.

    Args:
        cells: name -> (N,) values of every column of the table.
        groups: (N,) patients.
        asked: None finds them.
        leave_out: columns that are label, patient or study.

    Raises:
        DataError: a column that is asked for does not exist.
    """
    if asked is not None:
        missing = [name for name in asked if name not in cells]
        if missing:
            raise DataError(
                f"evaluation.shortcut: no column {', '.join(map(repr, missing))}; "
                f"{no_column(missing[0], cells, key='shortcut')}"
            )
        return [coded(name, cells[name], groups) for name in asked]
    names = [*path_columns(cells), group_column(cells), split_column(cells), *leave_out]
    found: list[Column] = []
    for name in cells:
        if name in names or not _words(name) & WORDS:
            continue
        column = coded(name, cells[name], groups)
        common = np.count_nonzero(column.codes > OTHER)
        alike = any(_alike(column, other) for other in found)
        if column.num_common >= 2 and 2 * common >= len(column.codes) and not alike:
            found.append(column)
    return found


def _words(name: str) -> set[str]:
    """The words of a name: of ViewPosition and of view_position {view, position}."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    # kVp is one word, though it is written as two.
    return set(re.findall(r"[a-z]+", f"{apart} {name}".lower()))


def _alike(first: Column, second: Column) -> bool:
    pairs = np.unique(np.stack([first.codes, second.codes]), axis=1).shape[1]
    return bool(pairs == len(np.unique(first.codes)) == len(np.unique(second.codes)))


def numbers_of(values: Sequence[str], known: Sequence[bool]) -> "np.ndarray | None":
    """Values as numbers, NaN where none is known; None if some value is none.

    Dates count in days (of 31 a month), ages with a unit in years, one unit for all others.
    """
    shown = [value for value, is_known in zip(values, known, strict=True) if is_known]
    reader = next((one for one in _READERS if all(one(value) is not None for value in shown)), None)
    if reader is None:
        return None
    found = [reader(v) if is_known else None for v, is_known in zip(values, known, strict=True)]
    return np.array([np.nan if one is None else one for one in found], np.float64)


_AGE_UNITS = {"Y": 1.0, "M": 1 / 12, "W": 1 / 52, "D": 1 / 365}
_YEAR_FIRST = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[T ].*)?")
_DAY_FIRST = re.compile(r"(\d{1,2})[.](\d{1,2})[.](\d{4})(?: .*)?")
_YEAR_LAST = re.compile(r"\d{1,2}[-/]\d{1,2}[-/](\d{4})(?: .*)?")


def _plain_number(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


def _age(value: str) -> float | None:
    """063Y, as DICOM writes it."""
    number = _plain_number(value[:-1]) if value[-1:].upper() in _AGE_UNITS else None
    return None if number is None else number * _AGE_UNITS[value[-1].upper()]


def _date(value: str) -> float | None:
    if found := _YEAR_FIRST.fullmatch(value):
        year, month, day = map(int, found.groups())
    elif found := _DAY_FIRST.fullmatch(value):
        day, month, year = map(int, found.groups())
    elif found := _YEAR_LAST.fullmatch(value):  # day or month first: who knows
        year, month, day = int(found[1]), 1, 1
    else:
        return None
    return float(year * 372 + month * 31 + day)


_READERS = (_plain_number, _age, _date)
