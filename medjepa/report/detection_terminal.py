"""A detection study for the terminal: its sentence and its table."""

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from medjepa.evaluation.bootstrap import Estimate
from medjepa.evaluation.detection_results import AP_50, MEAN_AP, PRETRAINED, DetectionReport
from medjepa.evaluation.gain import fraction_name
from medjepa.evaluation.verdict import interval, share

_COLOURS = {"helped": "green", "did not help": "red", "cannot tell": "yellow"}
_MARKS = {True: "✓", False: "!", None: "?"}


def show(report: DetectionReport, console: Console) -> None:
    """Print verdict, checks, table and warnings."""
    parts: list[RenderableType] = []
    for verdict in (report.verdict, *report.further):
        headline, _, rest = verdict.sentence.partition(":")
        parts.append(Text.assemble((headline, f"bold {_COLOURS[verdict.outcome]}"), ":", rest))
    parts += [Text(f"{_MARKS[check.passed]} {check.text}") for check in report.checks]
    parts.append(_table(report))
    parts += [Text(f"! {warning}", style="yellow") for warning in report.warnings]
    console.print(Padding(Group(*parts), (1, 0)), highlight=False)


def _table(report: DetectionReport) -> Table:
    table = Table(
        title=escape(f"{report.num_cases:,} images tested; {report.split}; {report.budget}"),
        title_justify="left",
        caption_justify="left",
        box=SIMPLE_HEAD,
        caption=(
            f"95 % intervals: bootstrap over patients, {report.num_resamples:,} resamples. "
            "Difference: pre-trained minus this row, paired."
        ),
    )
    for header in ("network", "mAP@[.5:.95]", "difference", "mAP@.5", "found at 1 false/image"):
        table.add_column(escape(header), overflow="fold")
    gains = {
        (c.against, c.fraction): c.difference for c in report.comparisons if c.metric == MEAN_AP
    }
    one = report.rates.index(1.0)
    for fraction in report.fractions:
        if len(report.fractions) > 1:
            table.add_section()
            table.add_row(f"[bold]{fraction_name(fraction)}[/bold]")
        for row in (row for row in report.rows if row.fraction == fraction):
            gain = gains.get((row.method, fraction))
            table.add_row(
                escape(row.title),
                _number(row.scores[MEAN_AP]),
                "" if gain is None else _number(gain, sign=True),
                _number(row.scores[AP_50]),
                _number(row.sensitivities[one]),
                style="bold" if row.method == PRETRAINED else "",
            )
    return table


def _number(estimate: Estimate, *, sign: bool = False) -> str:
    return f"{share(estimate.value, sign=sign)}\n[dim]{escape(interval(estimate, sign=sign))}[/dim]"
