"""The page of a segmentation study, its numbers, and a table of its cases."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from medjepa.evaluation.bootstrap import Estimate
from medjepa.evaluation.gain import fraction_name
from medjepa.evaluation.segmentation_report import ShownCase
from medjepa.evaluation.segmentation_results import (
    FOREGROUND,
    METRICS,
    PRETRAINED,
    SCRATCH,
    SegmentationReport,
    SegmentationRow,
    StructureResult,
)
from medjepa.evaluation.segmentation_verdict import WORTHWHILE
from medjepa.evaluation.verdict import MIN_PATIENTS, interval, share
from medjepa.report.cells import span
from medjepa.report.html import OUTCOME_STYLES, template
from medjepa.report.segmentation_figures import (
    difference_figure,
    distribution_figure,
    label_figure,
)
from medjepa.report.segmentation_pictures import picture, plane_name, structure_legend
from medjepa.report.write import NUMBERS, PAGE, write_files

CASES = "cases.csv"


@dataclass(frozen=True, kw_only=True)
class WrittenStudy:
    """Where the page, the numbers and the table of cases lie."""

    page: Path
    numbers: Path
    cases: Path


def write_study(
    report: SegmentationReport, shown: Sequence[ShownCase], folder: str | Path
) -> WrittenStudy:
    """Write `index.html`, `results.json` and `cases.csv`, each complete or not there."""
    folder, tables = Path(folder), {CASES: case_table(report)}
    write_files(folder, render_study(report, shown), report.to_dict(), tables)
    return WrittenStudy(page=folder / PAGE, numbers=folder / NUMBERS, cases=folder / CASES)


def case_table(report: SegmentationReport) -> str:
    """Every number of every case as CSV; cases and patients are numbers, an empty cell is none."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    names = ("method", "labels", "fold", "seed", "case", "patient", "structure")
    table.writerow([*names, *METRICS, "voxels_true", "voxels_predicted"])
    for part in report.parts:
        for case in part.cases:
            for score in case.structures:
                which = (part.method, part.fraction, part.fold, part.seed, case.case, case.patient)
                numbers = [getattr(score, metric) for metric in METRICS]
                cells = [f"{number:.6g}" if number == number else "" for number in numbers]
                sizes = (score.num_truth, score.num_predicted)
                table.writerow([*which, score.structure, *cells, *sizes])
    return text.getvalue()


def render_study(report: SegmentationReport, shown: Sequence[ShownCase]) -> str:
    """Fill the page's template; no path and no name of a patient is in it."""
    by_fraction = {
        fraction: [row for row in report.rows if row.fraction == fraction]
        for fraction in report.fractions
    }
    return template("segmentation.html.j2").render(
        report=report,
        share=share,
        interval=interval,
        distance=distance,
        outcome_style=OUTCOME_STYLES[report.verdict.outcome],
        by_fraction=by_fraction,
        label=fraction_name,
        gain=_gains(report),
        structure_rows=lambda rows: _structure_rows(report, rows),
        distribution_figure=distribution_figure,
        difference_figures=_difference_figures(by_fraction),
        label_figure=label_figure(report.rows),
        shown=[_shown(report, one) for one in shown],
        structure_legend=structure_legend(report.structures),
        pretrained=PRETRAINED,
        unit="patients" if report.patients_known else "cases",
        worthwhile=WORTHWHILE,
        min_patients=MIN_PATIENTS,
        span=span,
    )


def distance(estimate: Estimate) -> Markup:
    """Write a distance with its interval: 1.23 [1.10, 1.37]."""
    if estimate.value != estimate.value:
        return Markup("–")
    if estimate.low is None or estimate.high is None:
        return Markup("{:.2f} <small>[no interval]</small>").format(estimate.value)
    return Markup("{:.2f} <small>[{:.2f}, {:.2f}]</small>").format(
        estimate.value, estimate.low, estimate.high
    )


def _gains(report: SegmentationReport) -> dict[tuple[str, float], Estimate]:
    return {
        (c.against, c.fraction): c.difference
        for c in report.comparisons
        if (c.structure, c.metric) == (FOREGROUND, "dice")
    }


def _structure_rows(
    report: SegmentationReport, rows: Sequence[SegmentationRow]
) -> list[tuple[str, list[tuple[SegmentationRow, StructureResult]]]]:
    """Structure by structure: (name, one result for each method)."""
    return [
        (name, [(row, row.structures[place]) for row in rows])
        for place, name in enumerate(report.structures)
    ]


def _difference_figures(
    by_fraction: Mapping[float, Sequence[SegmentationRow]],
) -> list[tuple[str, Markup]]:
    found = []
    for fraction, rows in by_fraction.items():
        at = {row.method: row for row in rows}
        if PRETRAINED in at and SCRATCH in at:
            figure = difference_figure(at[PRETRAINED], at[SCRATCH])
            found.append((fraction_name(fraction), figure))
    return [(name, figure) for name, figure in found if figure]


def _shown(report: SegmentationReport, one: ShownCase) -> tuple[str, str, list[tuple[str, Markup]]]:
    """(rank, its numbers, planes with their names)."""
    numbers = ", ".join(f"{s.structure} {share(s.dice)}" for s in one.case.structures)
    pictures = [
        (plane_name(plane), picture(plane, report.values, f"{one.rank} case {plane_name(plane)}"))
        for plane in one.planes
    ]
    return one.rank, f"case {one.case.case}: Dice {numbers}", pictures
