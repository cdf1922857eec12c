"""The page of a detection study, its numbers, and a table of its classes."""

import base64
import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from medjepa.evaluation.bootstrap import Estimate
from medjepa.evaluation.detection_results import (
    AP_50,
    MEAN_AP,
    PRETRAINED,
    DetectionReport,
    DetectionRow,
)
from medjepa.evaluation.detection_study import WORTHWHILE
from medjepa.evaluation.detection_task import ShownImage
from medjepa.evaluation.gain import fraction_name
from medjepa.evaluation.verdict import MIN_PATIENTS, interval, share
from medjepa.report import svg
from medjepa.report.html import OUTCOME_STYLES, template
from medjepa.report.svg import WIDTH, Frame
from medjepa.report.write import NUMBERS, PAGE, write_files

CLASSES = "classes.csv"
SHOWN_SCORE = 0.3
"""Found boxes with a lower score are not drawn; fixed, not chosen on the test."""
_JPEG_QUALITY = 88


@dataclass(frozen=True, kw_only=True)
class WrittenDetection:
    """Where the page, the numbers and the table of classes lie."""

    page: Path
    numbers: Path
    classes: Path


def write_detection(
    report: DetectionReport, shown: Sequence[ShownImage], folder: str | Path
) -> WrittenDetection:
    """Write `index.html`, `results.json` and `classes.csv`, each complete or not there."""
    folder, tables = Path(folder), {CLASSES: class_table(report)}
    write_files(folder, render_detection(report, shown), report.to_dict(), tables)
    return WrittenDetection(page=folder / PAGE, numbers=folder / NUMBERS, classes=folder / CLASSES)


def class_table(report: DetectionReport) -> str:
    """Average precision of every class under every method as CSV."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("method", "labels", "class", "true_boxes", "metric", "value", "low", "high"))
    for row in report.rows:
        for one in row.classes:
            for metric, own in one.scores.items():
                numbers = [own.value, own.low, own.high]
                cells = [f"{n:.6g}" if n is not None and n == n else "" for n in numbers]
                table.writerow((row.method, row.fraction, one.name, one.num_truth, metric, *cells))
    return text.getvalue()


def render_detection(report: DetectionReport, shown: Sequence[ShownImage]) -> str:
    """Fill the page's template; no path and no name of a patient is in it."""
    gains = {(c.against, c.fraction, c.metric): c.difference for c in report.comparisons}
    return template("detection.html.j2").render(
        report=report,
        share=share,
        cell=cell,
        outcome_style=OUTCOME_STYLES[report.verdict.outcome],
        by_fraction={
            fraction: [row for row in report.rows if row.fraction == fraction]
            for fraction in report.fractions
        },
        label=fraction_name,
        gains=gains,
        mean_ap=MEAN_AP,
        ap50=AP_50,
        froc=froc_figure(report),
        pictures=[(one.case.case, box_picture(one, report.class_names)) for one in shown],
        pretrained=PRETRAINED,
        unit="patients" if report.patients_known else "images",
        worthwhile=WORTHWHILE,
        min_patients=MIN_PATIENTS,
        shown_score=SHOWN_SCORE,
    )


def cell(estimate: Estimate, *, sign: bool = False) -> Markup:
    """Write a share with its interval."""
    if estimate.value != estimate.value:
        return Markup("–")
    return Markup("{} <small>{}</small>").format(
        share(estimate.value, sign=sign), interval(estimate, sign=sign)
    )


def froc_figure(report: DetectionReport) -> Markup:
    """Sensitivity over false positives an image, at the largest share of labels."""
    rows = [row for row in report.rows if row.fraction == report.fractions[0]]
    count = len(report.rates)
    frame = Frame(left=60, top=12, right=WIDTH - 22, bottom=250, low=(0, 0), high=(count - 1, 1))
    parts = [svg.y_axis(frame, share)]
    for place, rate in enumerate(report.rates):
        name = f"1/{round(1 / rate)}" if rate < 1 else f"{rate:g}"
        parts.append(svg.text(frame.x(place), frame.bottom + 18, name, anchor="middle"))
    middle = (frame.left + frame.right) / 2
    parts.append(svg.text(middle, frame.bottom + 38, "false positives an image", anchor="middle"))
    for row in rows:
        parts += _curve(row, frame)
    chart = svg.chart(300, "Sensitivity over false positives an image (FROC)", parts)
    return chart + svg.legend([(f"m-{row.method}", row.title) for row in rows])


def _curve(row: DetectionRow, frame: Frame) -> list[Markup]:
    parts = []
    points = [(frame.x(p), frame.y(one.value)) for p, one in enumerate(row.sensitivities)]
    if all(y == y for _, y in points):
        parts.append(svg.path(points, f"line m-{row.method}"))
    for (x, y), one in zip(points, row.sensitivities, strict=True):
        if one.low is not None and one.high is not None:
            parts.append(svg.line(x, frame.y(one.low), x, frame.y(one.high), f"m-{row.method} knn"))
        if y == y:
            parts.append(svg.dot(x, y, 3.5, f"m-{row.method} probe-dot"))
    return parts


def box_picture(one: ShownImage, class_names: Sequence[str]) -> Markup:
    """One image with its true boxes in green and the found ones in orange."""
    height, width = one.size
    parts = []
    for box, label in zip(one.case.truth, one.case.truth_labels, strict=True):
        parts.append(_rectangle(box, "box-truth", class_names[label]))
    found = zip(one.case.found, one.case.found_labels, one.case.scores, strict=True)
    for box, label, score in found:
        if score >= SHOWN_SCORE:
            parts.append(_rectangle(box, "box-found", f"{class_names[label]} {share(score)}"))
    title = f"image {one.case.case}: {len(one.case.truth)} true boxes"
    return Markup(
        '<svg viewBox="0 0 {} {}" role="img" aria-label="{}" class="plane"><image '
        'href="data:image/jpeg;base64,{}" width="{}" height="{}" preserveAspectRatio="none"/>{}'
        "</svg>"
    ).format(width, height, title, _jpeg(one.image), width, height, Markup("").join(parts))


def _rectangle(box: Sequence[float], style: str, title: str) -> Markup:
    x0, y0, x1, y1 = box
    return Markup(
        '<rect x="{:g}" y="{:g}" width="{:g}" height="{:g}" class="{}"><title>{}</title></rect>'
    ).format(x0, y0, x1 - x0, y1 - y0, style, title)


def _jpeg(pixels: NDArray[np.uint8]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return base64.b64encode(buffer.getvalue()).decode()
