"""Cells of a table in words, alike on the page and in the terminal."""

from collections.abc import Sequence

from medjepa.evaluation.bootstrap import Estimate
from medjepa.evaluation.sections import Cell, Section
from medjepa.evaluation.verdict import interval, share

Written = tuple[str, str]
"""A value, and its interval ("" where it can have none)."""


def written(section: Section) -> list[list[Written]]:
    """The rows of a section."""
    return [
        [
            (p_text(cell), "")
            if isinstance(cell, float) and _is_p_value(name)
            else cell_text(cell, sign=name in section.signed)
            for cell, name in zip(row, section.columns, strict=True)
        ]
        for row in section.rows
    ]


def p_text(p_value: float | None) -> str:
    """A p-value: below .001 it says no more, as its assumptions do not hold so far."""
    return "< .001" if p_value is not None and p_value < 0.001 else share(p_value)


def _is_p_value(column: str) -> bool:
    return column == "p" or column.startswith("p, ")


def cell_text(cell: Cell, *, sign: bool = False) -> Written:
    """One cell; a number that does not exist is a dash."""
    if isinstance(cell, Estimate):
        ends = [abs(end) for end in (cell.low, cell.high) if end is not None]
        if abs(cell.value) < 0.0005 <= max(ends, default=0.0) < 1:
            return share(cell.value, sign=sign), interval(cell, sign=sign)  # as its interval is
        return number(cell.value, sign=sign), interval(cell, sign=sign)
    if cell is None:
        return "–", ""
    if isinstance(cell, str):
        return cell, ""
    if isinstance(cell, int):
        return f"{cell:,}", ""
    return number(cell, sign=sign), ""


def number(value: float, *, sign: bool = False) -> str:
    """Three decimals as tables have them, or three digits where that would show nothing."""
    if value != 0 and (abs(value) < 0.0005 or abs(value) >= 1000):
        return f"{value:{'+' if sign else ''}.3g}".replace("-", "−")
    return share(value, sign=sign)


def span(values: Sequence[float]) -> str:
    """Write 12, or 12–15 where networks differ."""
    low, high = min(values), max(values)
    return f"{low:,.0f}" if round(low) == round(high) else f"{low:,.0f}–{high:,.0f}"
