"""The same table for the terminal."""

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from medjepa.evaluation.bootstrap import Estimate
from medjepa.evaluation.results import PRETRAINED, Report, Shortcut
from medjepa.evaluation.sections import Section
from medjepa.evaluation.verdict import interval, share
from medjepa.report.cells import written

_COLOURS = {"helped": "green", "did not help": "red", "cannot tell": "yellow"}


def show(report: Report, console: Console) -> None:
    """Print verdict, checks, table and warnings."""
    console.print(render(report), highlight=False)


def render(report: Report) -> RenderableType:
    """Lay the report out for a terminal of any width."""
    parts: list[RenderableType] = []
    if report.synthetic:
        parts.append(Text("Synthetic data: these images are generated, not of patients."))
    colour = _COLOURS[report.verdict.outcome]
    headline, _, rest = report.verdict.sentence.partition(":")
    parts.append(Text.assemble((headline, f"bold {colour}"), ":", rest))
    if report.verdict.baseline:
        parts.append(Text(report.verdict.baseline))
    parts += [Text(f"{_mark(check.passed)} {check.text}") for check in report.checks]
    if report.methods:
        parts.append(_table(report))
    else:
        parts.append(Text(f"{_title(report)}."))
    parts += [Text(_shortcut(one)) for one in report.shortcuts]
    parts += [section_table(one) for one in report.sections]
    parts += [Text(f"! {warning}", style="yellow") for warning in report.warnings]
    return Padding(Group(*parts), (1, 0))


def _shortcut(one: Shortcut) -> str:
    """What a column has to do with the label, in a line."""
    told = one.embedding.get(PRETRAINED)
    within = one.within.get(PRETRAINED)
    line = (
        f"{'?' if one.separable else '!'} {one.column} alone predicts the label with AUC "
        f"{share(one.alone.value)} {interval(one.alone)}"
    )
    if told is not None:
        line += f"; the embedding predicts it with AUC {share(told.value)} {interval(told)}"
    if within is not None:
        line += f"; within one value of it the label: AUC {share(within.value)} {interval(within)}"
    return line + ("." if one.separable else "; the label cannot be separated from it.")


def _mark(passed: bool | None) -> str:
    return {True: "✓", False: "!", None: "?"}[passed]


def _table(report: Report) -> Table:
    table = Table(
        title=_title(report), title_justify="left", caption_justify="left", box=SIMPLE_HEAD
    )
    table.caption = (
        "95 % intervals: percentile bootstrap over "
        f"{'images' if report.num_test_patients is None else 'patients'}"
        f", {report.num_resamples:,} resamples. Difference: pre-trained minus this row, paired."
    )
    if report.num_test_patients is None:
        table.caption += " No groups: intervals too narrow."
    by_study = any(row.study is not None for row in report.methods)
    attentive = any(row.attentive is not None for row in report.methods)
    headers = ["features", "AUC", "difference", "balanced accuracy", "AUC, kNN"]
    headers += ["AUC by study"] * by_study + ["AUC, attentive"] * attentive
    for header in headers:
        table.add_column(header, overflow="fold")
    against = {comparison.against: comparison.difference for comparison in report.comparisons}
    for row in report.methods:
        difference = against.get(row.key)
        table.add_row(
            escape(row.title),
            _number(row.probe.auc),
            "" if difference is None else _number(difference, sign=True),
            _number(row.probe.balanced_accuracy),
            _number(row.knn.auc),
            *["" if row.study is None else _number(row.study.auc)] * by_study,
            *["" if row.attentive is None else _number(row.attentive.auc)] * attentive,
            style="bold" if row.key == PRETRAINED else "",
        )
        spread = row.probe.spread("auc")
        if spread is not None:
            table.add_row(f"  between {len(row.seeds)} seeds", f"± {share(spread)}", style="dim")
    return table


def section_table(section: Section) -> Table:
    """One section's table, with its note below."""
    table = Table(
        title=escape(section.title),
        caption=escape(section.note),
        title_justify="left",
        caption_justify="left",
        box=SIMPLE_HEAD,
    )
    for name in section.columns:
        table.add_column(escape(name), overflow="fold")
    for row in written(section):
        table.add_row(
            *[
                escape(value) + (f"\n[dim]{escape(ends)}[/dim]" if ends else "")
                for value, ends in row
            ]
        )
    return table


def _number(estimate: Estimate, *, sign: bool = False) -> str:
    return f"{share(estimate.value, sign=sign)}\n[dim]{escape(interval(estimate, sign=sign))}[/dim]"


def _title(report: Report) -> str:
    tested = f"{report.num_test:,} test images"
    if report.num_test_patients is not None:
        tested += f" of {report.num_test_patients:,} patients"
    return escape(
        f"label {report.label}: {report.num_train:,} training images, {tested}; {report.split}"
    )
