"""A further part of a report: a titled table, shown alike on the page, in the terminal, in JSON."""

from dataclasses import dataclass

from medjepa.evaluation.bootstrap import Estimate

Cell = str | int | float | Estimate | None
"""What stands in a table: words, a count, a number without an interval, one with it, or nothing."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """One topic's table.

    Attributes:
        key: of `results.json`, unique in a report.
        title: what the reader sees.
        note: how the numbers came about and what n, interval and unit are; below the table.
        columns: heads of the table.
        rows: cells, as many in each row as there are columns.
        figure: SVG of our own making (`medjepa.report.svg`), for the page only; "" for none.
        signed: columns whose numbers are differences and bear their sign.
        warnings: what the reader of the whole report has to be warned of.
    """

    key: str
    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    figure: str = ""
    signed: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        uneven = [row for row in self.rows if len(row) != len(self.columns)]
        assert not uneven, f"section {self.key}: {uneven[0]} does not fit {self.columns}"
        assert set(self.signed) <= set(self.columns), f"section {self.key}: {self.signed}"
