"""A segmentation study for the terminal: its sentence and its table."""

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from medjepa.evaluation.bootstrap import Estimate
from medjepa.evaluation.gain import fraction_name
from medjepa.evaluation.segmentation_results import (
    FOREGROUND,
    PRETRAINED,
    SegmentationReport,
    SegmentationRow,
)
from medjepa.evaluation.verdict import interval, share
from medjepa.report.segmentation_figures import two_lines

_COLOURS = {"helped": "green", "did not help": "red", "cannot tell": "yellow"}
_MARKS = {True: "✓", False: "!", None: "?"}


def show(report: SegmentationReport, console: Console) -> None:
    """Print verdict, checks, table and warnings."""
    console.print(render(report), highlight=False)


def render(report: SegmentationReport) -> RenderableType:
    """Lay the report out for a terminal of any width."""
    parts: list[RenderableType] = []
    for verdict in (report.verdict, *report.further):
        headline, _, rest = verdict.sentence.partition(":")
        parts.append(Text.assemble((headline, f"bold {_COLOURS[verdict.outcome]}"), ":", rest))
        if verdict.baseline:
            parts.append(Text(verdict.baseline))
    parts += [Text(f"{_MARKS[check.passed]} {check.text}") for check in report.checks]
    parts.append(_table(report))
    parts += [Text(f"! {warning}", style="yellow") for warning in report.warnings]
    return Padding(Group(*parts), (1, 0))


def _table(report: SegmentationReport) -> Table:
    patients = f" of {report.num_patients:,} patients" if report.patients_known else ""
    table = Table(
        title=escape(
            f"{report.num_cases:,} cases{patients} tested; {report.split}; {report.budget}"
        ),
        title_justify="left",
        caption_justify="left",
        box=SIMPLE_HEAD,
    )
    table.caption = (
        f"95 % intervals: bootstrap over patients, {report.num_resamples:,} resamples. "
        "Difference: pre-trained minus this row, paired. Without background."
    )
    for header in ("network", "mean Dice", "difference", "95 % distance"):
        table.add_column(header, overflow="fold")
    gains = {
        (c.against, c.fraction): c.difference
        for c in report.comparisons
        if (c.structure, c.metric) == (FOREGROUND, "dice")
    }
    for fraction in report.fractions:
        rows = [row for row in report.rows if row.fraction == fraction]
        if len(report.fractions) > 1:
            table.add_section()
            table.add_row(f"[bold]{fraction_name(fraction)}[/bold]\n[dim]{_cases(rows[0])}[/dim]")
        for row in rows:
            gain = gains.get((row.method, fraction))
            table.add_row(
                "\n".join(escape(line) for line in two_lines(row.title) if line),
                _number(row.foreground.scores["dice"]),
                "" if gain is None else _number(gain, sign=True),
                _distance(row, report.distance_unit),
                style="bold" if row.method == PRETRAINED else "",
            )
            if row.seed_spread is not None:
                spread = f"± {share(row.seed_spread)}"
                table.add_row(f"  {len(row.seeds)} seeds", spread, style="dim")
    return table


def _cases(row: SegmentationRow) -> str:
    few, many = min(row.num_labels), max(row.num_labels)
    return f"{few:,} cases" if few == many else f"{few:,}–{many:,} cases"


def _number(estimate: Estimate, *, sign: bool = False) -> str:
    return f"{share(estimate.value, sign=sign)}\n[dim]{escape(interval(estimate, sign=sign))}[/dim]"


def _distance(row: SegmentationRow, unit: str) -> str:
    one = row.foreground.scores["hd95"]
    if one.value != one.value:
        return "–"
    ends = (
        "no interval" if one.low is None or one.high is None else f"{one.low:.2f}, {one.high:.2f}"
    )
    short = "mm" if unit == "mm" else "px" if unit.startswith("pixels") else "vx"
    return f"{one.value:.2f} {short}\n[dim]{escape(f'[{ends}]')}[/dim]"
