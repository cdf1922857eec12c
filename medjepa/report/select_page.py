"""The page, the file and the terminal's table of `medjepa select`."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from markupsafe import Markup
from rich.console import Console, Group
from rich.padding import Padding
from rich.text import Text

from medjepa.data.files import write_atomic
from medjepa.evaluation.choice import Choice
from medjepa.evaluation.choice_sections import ARROWS, sections_of
from medjepa.evaluation.label_free import SCORES, Score
from medjepa.report import svg
from medjepa.report.cells import number, written
from medjepa.report.html import template
from medjepa.report.svg import Frame
from medjepa.report.terminal import section_table

STYLES = {"agree": "good", "disagree": "bad", "cannot tell": "unsure"}
_COLOURS = {"good": "green", "bad": "red", "unsure": "yellow"}
_MARKS = {True: "✓", False: "!", None: "?"}
_WIDTH, _MOST_LETTERS = 460, 24


def write_choice(choice: Choice, out: Path) -> Path:
    """Write select.json and index.html into `out`, which is made; returns the page."""
    out.mkdir(parents=True, exist_ok=True)
    numbers = json.dumps(choice.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
    write_atomic(out / "select.json", (numbers + "\n").encode())
    page = template("select.html.j2").render(
        choice=choice,
        outcome_style=STYLES[choice.outcome],
        sections=sections_of(choice),
        figures=[figure(choice, score) for score in SCORES],
        scores=SCORES,
        written=written,
    )
    write_atomic(out / "index.html", page.encode())
    return out / "index.html"


def show_choice(choice: Choice, console: Console) -> None:
    """Print headline, warnings and tables."""
    headline, _, rest = choice.headline.partition(":")
    colour = _COLOURS[STYLES[choice.outcome]]
    parts = [Text.assemble((headline, f"bold {colour}"), ":", rest)]
    parts += [Text(f"{_MARKS[check.passed]} {check.text}") for check in choice.checks]
    tables = [section_table(section) for section in sections_of(choice)]
    parts_below = [Text(f"! {warning}", style="yellow") for warning in choice.warnings]
    console.print(Padding(Group(*parts, *tables, *parts_below), (1, 0)), highlight=False)


def figure(choice: Choice, score: Score) -> tuple[str, Markup]:
    """(title, chart) of one score: against the probe's AUC, or by checkpoint with intervals."""
    title = f"{score.title} ({ARROWS[score.higher_is_better]} is better)"
    known = [
        row for row in choice.rows if row.scores[score.key].value == row.scores[score.key].value
    ]
    if len(known) < 2:
        return title, Markup("")
    if choice.label is not None:
        return title, _scatter(choice, score)
    return title, _dots(choice, score)


def _scatter(choice: Choice, score: Score) -> Markup:
    """Every checkpoint's score (across) and AUC (up), with the AUC's interval."""
    points = [
        (row.scores[score.key].value, row.probe["auc"], row.collapsed)
        for row in choice.rows
        if row.probe is not None
    ]
    points = [point for point in points if point[0] == point[0]]
    ends = [
        end for _, auc, _ in points for end in (auc.value, auc.low, auc.high) if end is not None
    ]
    left, right = _padded([x for x, _, _ in points])
    bottom, top = _padded(ends)
    frame = Frame(
        left=52, top=10, right=_WIDTH - 20, bottom=200, low=(left, bottom), high=(right, top)
    )
    across = svg.ticks(left, right)
    parts = [
        svg.y_axis(frame, number),
        svg.x_axis(frame, across, exactly(across), score.title),
    ]
    for x, auc, collapsed in points:
        style = "m-gradients" if collapsed else "m-pretrained"
        if auc.low is not None and auc.high is not None:
            ends_at = frame.y(auc.low), frame.y(auc.high)
            parts.append(svg.line(frame.x(x), ends_at[0], frame.x(x), ends_at[1], f"{style} knn"))
        parts.append(svg.dot(frame.x(x), frame.y(auc.value), 4, f"{style} probe-dot"))
    return svg.chart(244, f"{score.title} against the probe's AUC", parts)


def _dots(choice: Choice, score: Score) -> Markup:
    """A line for each checkpoint: its score with its interval."""
    rows = [
        row for row in choice.rows if row.scores[score.key].value == row.scores[score.key].value
    ]
    found = [row.scores[score.key] for row in rows]
    ends = [end for one in found for end in (one.value, one.low, one.high) if end is not None]
    low, high = _padded(ends)
    bottom = 10 + 22 * len(rows)
    frame = Frame(left=190, top=8, right=_WIDTH - 26, bottom=bottom, low=(low, 0), high=(high, 1))
    parts = [
        svg.line(frame.x(value), frame.top, frame.x(value), frame.bottom, "grid")
        for value in svg.ticks(low, high, 4)
    ]
    across = svg.ticks(low, high, 4)
    parts.append(svg.x_axis(frame, across, exactly(across), score.title))
    for place, (row, one) in enumerate(zip(rows, found, strict=True)):
        y = frame.top + 22 * place + 12
        name = row.name if len(row.name) <= _MOST_LETTERS else f"…{row.name[1 - _MOST_LETTERS :]}"
        style = "m-gradients" if row.collapsed else "m-pretrained"
        parts.append(svg.text(180, y + 4, name, anchor="end", style="label"))
        if one.low is not None and one.high is not None:
            parts.append(svg.line(frame.x(one.low), y, frame.x(one.high), y, f"{style} probe"))
        parts.append(svg.dot(frame.x(one.value), y, 4, f"{style} probe-dot"))
    return svg.chart(bottom + 44, f"{score.title} of each checkpoint", parts)


def exactly(values: Sequence[float]) -> Callable[[float], str]:
    """Writes an axis's numbers: with three decimals, or as many as tell them from each other."""
    decimals = next(
        (d for d in range(3, 9) if all(abs(round(v, d) - v) <= 1e-3 * abs(v) for v in values)), 9
    )
    if decimals == 3:
        return number

    def write(value: float) -> str:
        text = f"{abs(value):.{decimals}f}"
        return ("−" if value < 0 else "") + (text[1:] if text.startswith("0") else text)

    return write


def _padded(values: list[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or 0.05 * abs(high) or 0.05
    return low - room, high + room
