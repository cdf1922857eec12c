"""One self-contained page: everything inline, nothing fetched, no path and no patient in it."""

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from medjepa.evaluation.calibration_sections import CURVE
from medjepa.evaluation.few_shot_section import FEW_SHOT
from medjepa.evaluation.label_efficiency import COARSE_GRID
from medjepa.evaluation.probes import C_GRID
from medjepa.evaluation.results import LabelPoint, Report
from medjepa.evaluation.verdict import (
    MIN_CLASS_PATIENTS,
    MIN_PATIENTS,
    WORTHWHILE,
    interval,
    share,
)
from medjepa.report.cells import written
from medjepa.report.few_shot_figure import few_shot_figure
from medjepa.report.figures import (
    interval_figure,
    label_figure,
    loss_figures,
    map_figure,
    seed_legend,
)
from medjepa.report.reliability_figure import reliability_figure

FIGURES = {CURVE: reliability_figure, FEW_SHOT: few_shot_figure}
"""What is drawn from a section's table, by its key."""

OUTCOME_STYLES = {"helped": "good", "did not help": "bad", "cannot tell": "unsure"}


def template(name: str) -> Template:
    """A page's template; what is filled in is escaped, and what is missing is an error."""
    environment = Environment(
        loader=PackageLoader("medjepa.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def render_html(report: Report) -> str:
    """Fill the page's template."""
    picture = report.embedding_map
    return template("report.html.j2").render(
        share=share,
        interval=interval,
        written=written,
        report=report,
        figures={s.key: FIGURES[s.key](s) for s in report.sections if s.key in FIGURES},
        outcome_style=OUTCOME_STYLES[report.verdict.outcome],
        against={comparison.against: comparison for comparison in report.comparisons},
        by_study=any(row.study is not None for row in report.methods),
        attentive=any(row.attentive is not None for row in report.methods),
        unit="patients" if report.num_test_patients is not None else "images",
        interval_figure=interval_figure(report),
        loss_figures=loss_figures(report.loss_curves),
        seed_legend=seed_legend(report.loss_curves),
        map_figure=map_figure(picture, report.class_names) if picture else "",
        label_figure=label_figure(report.label_efficiency, report.methods),
        label_rows=_label_rows(report),
        num_draws=max((len(point.auc) for point in report.label_efficiency), default=0),
        num_c=len(C_GRID),
        num_coarse_c=len(COARSE_GRID),
        worthwhile=WORTHWHILE,
        min_patients=MIN_PATIENTS,
        min_class_patients=MIN_CLASS_PATIENTS,
    )


def _label_rows(report: Report) -> list[tuple[str, str, list[LabelPoint]]]:
    """Label efficiency as a table: (share of labels, images, one point for each method)."""
    rows = []
    for fraction in sorted({point.fraction for point in report.label_efficiency}):
        points = [point for point in report.label_efficiency if point.fraction == fraction]
        counts = points[0].num_labeled
        count = f"{min(counts)}–{max(counts)}" if min(counts) != max(counts) else f"{counts[0]}"
        rows.append((f"{100 * fraction:g} %", count, points))
    return rows
