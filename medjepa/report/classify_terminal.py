"""A study of classifiers for the terminal: its sentences and its table."""

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from medjepa.evaluation.bootstrap import Estimate
from medjepa.evaluation.classify_results import PRETRAINED, ClassifyReport
from medjepa.evaluation.verdict import interval, share

_COLOURS = {"helped": "green", "did not help": "red", "cannot tell": "yellow"}
_MARKS = {True: "✓", False: "!", None: "?"}


def show(report: ClassifyReport, console: Console) -> None:
    """Print verdicts, checks, table and warnings."""
    console.print(render(report), highlight=False)


def render(report: ClassifyReport) -> RenderableType:
    """Lay the report out for a terminal of any width."""
    parts: list[RenderableType] = []
    for verdict in report.verdicts:
        headline, _, rest = verdict.sentence.partition(":")
        parts.append(Text.assemble((headline, f"bold {_COLOURS[verdict.outcome]}"), ":", rest))
        if verdict.baseline:
            parts.append(Text(verdict.baseline))
    parts += [Text(one.sentence) for one in report.equivalences]
    parts += [Text(f"{_MARKS[check.passed]} {check.text}") for check in report.checks]
    parts.append(_table(report))
    parts += [Text(f"! {warning}", style="yellow") for warning in report.warnings]
    return Padding(Group(*parts), (1, 0))


def _table(report: ClassifyReport) -> Table:
    patients = report.num_test_patients
    of = "" if patients is None else f" of {patients:,} patients"
    table = Table(
        title=escape(f"{report.num_test:,} test images{of}; {report.split}; {report.budget}"),
        title_justify="left",
        caption_justify="left",
        box=SIMPLE_HEAD,
    )
    table.caption = (
        f"95 % intervals: bootstrap over test {'images' if patients is None else 'patients'}, "
        f"{report.num_resamples:,} resamples. ±: spread over draws, not in the interval. "
        "Difference: pre-trained minus this row, paired."
    )
    for header in ("method", "AUC", "difference", "balanced accuracy"):
        table.add_column(header, overflow="fold")
    gains = {(d.against, d.fraction): d.difference for d in report.differences if d.metric == "auc"}
    for fraction in report.fractions:
        rows = [row for row in report.rows if row.fraction == fraction]
        table.add_section()
        table.add_row(f"[bold]{100 * fraction:g} % of the labels[/bold]")
        for row in rows:
            gain, spread = gains.get((row.method, fraction)), row.spread["auc"]
            draws = (
                "" if spread is None else f"\n[dim]{row.num_draws} draws ± {share(spread)}[/dim]"
            )
            table.add_row(
                escape(row.title),
                _number(row.scores["auc"]) + draws,
                "" if gain is None else _number(gain, sign=True),
                _number(row.scores["balanced_accuracy"]),
                style="bold" if row.method == PRETRAINED else "",
            )
    return table


def _number(estimate: Estimate, *, sign: bool = False) -> str:
    return f"{share(estimate.value, sign=sign)}\n[dim]{escape(interval(estimate, sign=sign))}[/dim]"
