"""The page of a study of classifiers, its numbers, and a table of its predictions."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medjepa.data.files import PRIVATE_FILE_MODE
from medjepa.evaluation.classify_results import PRETRAINED, ClassifyReport
from medjepa.evaluation.gain import fraction_name
from medjepa.evaluation.verdict import (
    MIN_CLASS_PATIENTS,
    MIN_PATIENTS,
    WORTHWHILE,
    interval,
    share,
)
from medjepa.report.cells import span
from medjepa.report.classify_figures import curve_figure
from medjepa.report.html import OUTCOME_STYLES, template
from medjepa.report.write import NUMBERS, PAGE, write_files

PREDICTIONS = "predictions.csv"


@dataclass(frozen=True, kw_only=True)
class WrittenClassification:
    """Where the page, the numbers and the table of predictions lie."""

    page: Path
    numbers: Path
    predictions: Path


def write_classification(report: ClassifyReport, folder: str | Path) -> WrittenClassification:
    """Write `index.html`, `results.json` and `predictions.csv`, each complete or not there.

    The predictions are for their owner alone: a pseudonym is a person.
    """
    folder, tables = Path(folder), {PREDICTIONS: as_csv(report)}
    write_files(
        folder, render_classification(report), report.to_dict(), tables, mode=PRIVATE_FILE_MODE
    )
    return WrittenClassification(
        page=folder / PAGE, numbers=folder / NUMBERS, predictions=folder / PREDICTIONS
    )


def as_csv(report: ClassifyReport) -> str:
    """The table: method, labels, study, label, prediction, p_CLASS ..., n_images, n_draws."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    shares = [f"p_{name}" for name in report.class_names]
    table.writerow(
        ["method", "labels", "study", "label", "prediction", *shares, "n_images", "n_draws"]
    )
    for (method, fraction), predictions in report.predictions.items():
        for one in predictions:
            best = report.class_names[int(np.argmax(one.scores))]
            scores = [f"{score:.6f}" for score in one.scores]
            table.writerow(
                [method, fraction, one.study, one.label, best, *scores, one.num_clips,
                 one.num_splits]
            )  # fmt: skip
    return text.getvalue()


def render_classification(report: ClassifyReport) -> str:
    """Fill the page's template; no path and no name of a patient is in it."""
    first = report.verdicts[0].outcome if report.verdicts else "cannot tell"
    return template("classify.html.j2").render(
        report=report,
        share=share,
        interval=interval,
        outcome_style=OUTCOME_STYLES[first],
        by_fraction={
            fraction: [row for row in report.rows if row.fraction == fraction]
            for fraction in report.fractions
        },
        label=fraction_name,
        gain={
            (d.against, d.fraction): d.difference for d in report.differences if d.metric == "auc"
        },
        figure=curve_figure(report),
        pretrained=PRETRAINED,
        unit="patients" if report.num_test_patients is not None else "images",
        span=span,
        worthwhile=WORTHWHILE,
        min_patients=MIN_PATIENTS,
        min_class_patients=MIN_CLASS_PATIENTS,
    )
