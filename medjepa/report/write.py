"""Put a report on disk: results.json with every number, index.html for people."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from medjepa.data.files import PRIVATE_FILE_MODE, PUBLIC_FILE_MODE, write_atomic
from medjepa.evaluation.results import Report
from medjepa.evaluation.study_level import as_csv
from medjepa.report.html import render_html

PAGE, NUMBERS, STUDIES = "index.html", "results.json", "study_predictions.csv"


@dataclass(frozen=True, kw_only=True)
class Written:
    """Where the report lies."""

    page: Path
    numbers: Path
    studies: Path | None = None


def write_report(report: Report, folder: str | Path) -> Written:
    """Write `index.html` and `results.json` into `folder`, which is made if it is missing.

    Where the report has predictions of studies, they are `study_predictions.csv`, for their owner
    alone: a pseudonym is a person.
    """
    folder = Path(folder)
    tables = {STUDIES: as_csv(report.studies, report.class_names)} if report.studies else {}
    write_files(folder, render_html(report), report.to_dict(), tables, mode=PRIVATE_FILE_MODE)
    studies = folder / STUDIES if report.studies else None
    return Written(page=folder / PAGE, numbers=folder / NUMBERS, studies=studies)


def write_files(
    folder: Path,
    page: str,
    numbers: object,
    tables: Mapping[str, str],
    *,
    mode: int = PUBLIC_FILE_MODE,
) -> None:
    """Write a page, its numbers and its tables into a folder, which is made if it is missing.

    Each file is complete or not there; the page comes last. `mode` is that of the tables, by name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(numbers, indent=1, ensure_ascii=False, allow_nan=False)
    write_atomic(folder / NUMBERS, (text + "\n").encode())
    for name, table in tables.items():
        write_atomic(folder / name, table.encode(), mode=mode)
    write_atomic(folder / PAGE, page.encode())
