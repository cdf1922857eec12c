"""Put a report on disk: results.json with every number, index.html for people."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

from medjepa.data.files import PRIVATE_FILE_MODE, write_atomic
from medjepa.evaluation.results import Report
from medjepa.evaluation.study_level import as_csv
from medjepa.report.html import render_html


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

    Each file is complete or not there: it is written under another name first.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    numbers = json.dumps(report.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
    written = Written(page=folder / "index.html", numbers=folder / "results.json")
    for path, text in ((written.numbers, numbers + "\n"), (written.page, render_html(report))):
        temporary = path.with_name(f".{path.name}.tmp")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    if not report.studies:
        return written
    studies = folder / "study_predictions.csv"
    table = as_csv(report.studies, report.class_names)
    write_atomic(studies, table.encode(), mode=PRIVATE_FILE_MODE)
    return replace(written, studies=studies)
