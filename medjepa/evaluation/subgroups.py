"""Subgroups of the test patients: by sex, by band of age, by view, by site.

Legend: N images.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medjepa.data.table_columns import site_of
from medjepa.evaluation.columns import Column
from medjepa.evaluation.metrics import Integers

AGE_BANDS = (18, 40, 60, 80)
"""Where a band of age begins, in years."""

MIN_SUBGROUP_PATIENTS = 20
"""Subgroups with fewer are shown and marked; the gap leaves them out."""

MOST_SUBGROUPS = 12
_SHOWN = frozenset(("sex", "gender", "age", "race", "ethnicity", "view", "position", "projection",
                    "laterality", "orientation", "contrast", "sequence"))  # fmt: skip
_AGE = re.compile(r"0*(\d{1,3})(?:\.\d+)?\s*([YyMmWwDd]?)")
_YEARS = {"": 1.0, "y": 1.0, "m": 1 / 12, "w": 1 / 52, "d": 1 / 365}


@dataclass(frozen=True)
class Subgrouping:
    """One way to part the images.

    Attributes:
        column: its name.
        names: of the subgroups, as they may be shown: a site is a number.
        codes: (N,) subgroup of each image, -1 for none.
    """

    column: str
    names: tuple[str, ...]
    codes: Integers


def subgroupings(
    columns: Sequence[Column], cells: Mapping[str, Sequence[str]]
) -> list[Subgrouping]:
    """A parting for each column that says how or of whom images were taken, and for the age.

    Args:
        columns: of the table, that may give the label away.
        cells: column -> (N,) what the table says.
    """
    names = [column.name for column in columns]
    names += [name for name in cells if "age" in _words(name) and name not in names]
    found = [parted(name, cells[name]) for name in names if name in cells]
    return [one for one in found if 2 <= len(one.names) <= MOST_SUBGROUPS]


def parted(name: str, cells: Sequence[str]) -> Subgrouping:
    """Part images by a column: ages by band, everything else by value."""
    words = _words(name)
    values = [site_of(cell) for cell in cells]
    if "age" in words:
        years = [_years(value) for value in values]
        bands = [None if year is None else _band(year) for year in years]
        order = [_band(year) for year in (0, *AGE_BANDS)]
        texts = ["" if band is None else band for band in bands]
        different = [band for band in order if band in texts]
        return Subgrouping(name, tuple(different), _codes(texts, different))
    unknown = ("", "nan", "na", "n/a", "null", "none", "unknown")
    texts = ["" if value.lower() in unknown else value for value in values]
    different = sorted(set(texts) - {""})
    shown = different if words & _SHOWN else [f"value {n + 1}" for n in range(len(different))]
    return Subgrouping(name, tuple(shown), _codes(texts, different))


def _codes(texts: Sequence[str], different: Sequence[str]) -> Integers:
    number = {text: n for n, text in enumerate(different)}
    return np.array([number.get(text, -1) for text in texts], np.int64)


def _years(value: str) -> float | None:
    """An age in years: 58, 058Y, 6M, 10D."""
    found = _AGE.fullmatch(value)
    return None if found is None else float(found[1]) * _YEARS[found[2].lower()]


def _band(years: float) -> str:
    place = int(np.searchsorted(AGE_BANDS, years, side="right"))
    edges = (0, *AGE_BANDS)
    if place == len(AGE_BANDS):
        return f"{edges[place]} and over"
    return f"{edges[place]} to {edges[place + 1] - 1}"


def _words(name: str) -> set[str]:
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return set(re.findall(r"[a-z]+", apart.lower()))
