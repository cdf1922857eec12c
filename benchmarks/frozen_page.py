"""The frozen table as table.json, table.csv and one page."""

import csv
import json
from pathlib import Path
from typing import Any

from frozen_rows import DIFFERENCE, Row, columns_of
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PackageLoader, StrictUndefined

from medjepa.evaluation.bootstrap import Estimate
from medjepa.report.cells import cell_text

FIELDS = (
    "set", "stage", "protocol", "method", "metric", "value", "low", "high", "num_images",
    "num_patients", "seed", "seeds_of_training", "verdict",
)  # fmt: skip

SIGNED = ("Drop", "Behind", "difference", f"AUC, {DIFFERENCE}")
"""Beginnings of the metrics that are differences."""


def write_table_files(
    out: Path, rows: list[Row], stages: list[dict[str, Any]], *, length: str, seed: int
) -> None:
    """Write the three files into `out`; each is there as a whole or not at all.

    Args:
        out: a folder.
        rows: of `frozen_rows.rows_of`.
        stages: name, title, verdict, cost and failure of each, in the page's order.
        length: of each pre-training, in words.
        seed: of everything.
    """
    seconds = {
        kind: sum(stage[kind] or 0 for stage in stages)
        for kind in ("wall_seconds", "processor_seconds")
    }
    whole = {"pretraining": length, "seed": seed, **seconds, "stages": stages, "rows": rows}
    _write(out / "table.json", json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False))
    unfinished = out / "table.csv.unfinished"
    with unfinished.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, FIELDS)
        table.writeheader()
        table.writerows({**row, "seeds_of_training": _several(row)} for row in rows)
    unfinished.replace(out / "table.csv")
    _write(out / "index.html", _page(rows, stages, length=length, seed=seed, seconds=seconds))


def _several(row: Row) -> str:
    return "|".join(str(one) for one in row["seeds_of_training"])


def _page(
    rows: list[Row],
    stages: list[dict[str, Any]],
    *,
    length: str,
    seed: int,
    seconds: dict[str, float],
) -> str:
    environment = Environment(
        # The style sheet is the reports' own.
        loader=ChoiceLoader(
            [FileSystemLoader(Path(__file__).parent), PackageLoader("medjepa.report")]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shown = []
    for stage in stages:
        own = [row for row in rows if row["stage"] == stage["stage"]]
        heads, body = columns_of(own)
        shown.append({**stage, "heads": heads, "body": _written(heads, body), "rows": own})
    return environment.get_template("frozen_page.html.j2").render(
        stages=shown, length=length, seed=seed, seconds=seconds, minutes=_minutes
    )


def _written(
    heads: list[str], body: dict[str, dict[str, Row]]
) -> list[tuple[str, list[tuple[str, str]]]]:
    """Each method with its cells: number and interval."""
    written = []
    for method, cells in body.items():
        line = []
        for head in heads:
            row = cells.get(head)
            if row is None:
                line.append(("", ""))
            else:
                signed = row["metric"].startswith(SIGNED)
                line.append(cell_text(_estimate(row), sign=signed))
        written.append((method, line))
    return written


def _estimate(row: Row) -> Estimate | None:
    if row["value"] is None:
        return None
    return Estimate(value=row["value"], low=row["low"], high=row["high"], standard_error=None)


def _minutes(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds / 60:.1f}"


def _write(path: Path, text: str) -> None:
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)
