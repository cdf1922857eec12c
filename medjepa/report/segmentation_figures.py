"""The figures of a segmentation study: every patient, every difference, the curve over labels."""

from collections.abc import Sequence

from markupsafe import Markup

from medjepa.evaluation.segmentation_results import PRETRAINED, SegmentationRow
from medjepa.evaluation.verdict import share
from medjepa.report import svg
from medjepa.report.svg import WIDTH, Frame

_ROW_HEIGHT = 62
_DOT = 3.2
_BINS = 70


def distribution_figure(rows: Sequence[SegmentationRow]) -> Markup:
    """Mean Dice of every patient, one row for each method; below it quartiles, mean, interval."""
    values = [v for row in rows for v in row.patients if v == v]
    if not values:
        return Markup("")
    low = max(0.0, min(values) - 0.02)
    height = _ROW_HEIGHT * len(rows) + 52
    frame = Frame(
        left=150, top=6, right=WIDTH - 22, bottom=height - 46, low=(low, 0), high=(1.0, 1)
    )
    marks = svg.ticks(low, 1.0)
    parts = [svg.line(frame.x(v), frame.top, frame.x(v), frame.bottom, "grid") for v in marks]
    parts.append(svg.x_axis(frame, marks, share, "mean Dice of a patient"))
    for place, row in enumerate(rows):
        base = frame.top + _ROW_HEIGHT * place
        style = "strong" if row.method == PRETRAINED else "label"
        first, second = two_lines(row.title)
        shift = 4 if not second else -3
        parts.append(svg.text(140, base + 28 + shift, first, anchor="end", style=style))
        if second:
            parts.append(svg.text(140, base + 40, second, anchor="end", style=style))
        points = _swarm([v for v in row.patients if v == v], frame, base + 40)
        parts.append(svg.dots(points, f"dots patients m-{row.method}"))
        parts.append(_box(row, frame, base + 50))
    return svg.chart(height, "Mean Dice of every patient under each method", parts)


def _swarm(values: Sequence[float], frame: Frame, base: float) -> list[tuple[float, float]]:
    """Dots that stand on each other where values are nearly equal."""
    width = (frame.right - frame.left) / _BINS
    bins: dict[int, list[float]] = {}
    for value in sorted(values):
        bins.setdefault(int((frame.x(value) - frame.left) // width), []).append(value)
    most = max(len(members) for members in bins.values())
    step = min(2 * _DOT, (_ROW_HEIGHT - 26) / max(most, 1))
    return [
        (frame.left + (number + 0.5) * width, base - step * level)
        for number, members in bins.items()
        for level, _ in enumerate(members)
    ]


def _box(row: SegmentationRow, frame: Frame, y: float) -> Markup:
    """The middle half of the patients thin, the mean with its interval thick."""
    quartiles, dice = row.foreground.quartiles["dice"], row.foreground.scores["dice"]
    parts = []
    if quartiles:
        style = f"m-{row.method} knn"
        parts.append(svg.line(frame.x(quartiles[1]), y, frame.x(quartiles[3]), y, style))
    if dice.low is not None and dice.high is not None:
        style = f"m-{row.method} probe"
        parts.append(svg.line(frame.x(dice.low), y, frame.x(dice.high), y, style))
    if dice.value == dice.value:
        parts.append(svg.dot(frame.x(dice.value), y, 4, f"m-{row.method} probe-dot"))
    return Markup("").join(parts)


def difference_figure(ours: SegmentationRow, theirs: SegmentationRow) -> Markup:
    """Pre-trained minus another method for every patient, the greatest gain first."""
    pairs = zip(ours.patients, theirs.patients, strict=True)
    gains = sorted((a - b for a, b in pairs if a == a and b == b), reverse=True)
    if not gains:
        return Markup("")
    height = 260
    edge = max(0.01, *(abs(g) for g in gains))
    low, high = min(0.0, min(gains)) - 0.05 * edge, max(0.0, max(gains)) + 0.05 * edge
    frame = Frame(
        left=52,
        top=10,
        right=WIDTH - 20,
        bottom=height - 40,
        low=(0, low),
        high=(len(gains), high),
    )
    parts = [svg.y_axis(frame, lambda v: share(v, sign=True), 6)]
    zero = frame.y(0)
    width = (frame.right - frame.left) / len(gains)
    for place, gain in enumerate(gains):
        left, right = frame.left + place * width, frame.left + (place + 0.86) * width
        corners = [(left, zero), (right, zero), (right, frame.y(gain)), (left, frame.y(gain))]
        style = f"bar m-{ours.method if gain > 0 else theirs.method}"
        parts.append(svg.path(corners, style, closed=True))
    parts.append(svg.line(frame.left, zero, frame.right, zero, "axis"))
    better = sum(gain > 0 for gain in gains)
    note = f"{better} of {len(gains)} patients have the higher Dice after pre-training"
    middle = (frame.left + frame.right) / 2
    parts.append(svg.text(middle, height - 12, note, anchor="middle", style="name"))
    return svg.chart(height, "Difference of every patient's mean Dice", parts)


def label_figure(rows: Sequence[SegmentationRow]) -> Markup:
    """Mean Dice over the share of the labels with its interval; nothing for a single share."""
    fractions = sorted({row.fraction for row in rows})
    if len(fractions) < 2:
        return Markup("")
    methods = list(dict.fromkeys(row.method for row in rows))
    ends = [
        v
        for row in rows
        for v in (row.foreground.scores["dice"].low, row.foreground.scores["dice"].value)
        if v is not None and v == v
    ]
    if not ends:
        return Markup("")
    height = 300
    frame = Frame(
        left=44,
        top=10,
        right=WIDTH - 26,
        bottom=height - 46,
        low=(fractions[0], max(0.0, min(ends) - 0.02)),
        high=(fractions[-1], 1.0),
        log_x=True,
    )
    parts = [svg.y_axis(frame, share, 7)]
    parts.append(
        svg.x_axis(frame, fractions, lambda f: f"{100 * f:g} %", "patients with labels, of all")
    )
    for method in reversed(methods):
        own = sorted((r for r in rows if r.method == method), key=lambda r: r.fraction)
        dice = [row.foreground.scores["dice"] for row in own]
        line = [(frame.x(r.fraction), frame.y(d.value)) for r, d in zip(own, dice, strict=True)]
        parts.append(svg.path(line, f"line m-{method}"))
        for (x, y), one in zip(line, dice, strict=True):
            if one.low is not None and one.high is not None:
                parts.append(svg.line(x, frame.y(one.low), x, frame.y(one.high), f"m-{method} knn"))
            parts.append(svg.dot(x, y, 3.5, f"m-{method} probe-dot"))
    titles = {row.method: row.title for row in rows}
    return svg.chart(height, "Mean Dice over the share of labels", parts) + svg.legend(
        [(f"m-{method}", titles[method]) for method in methods]
    )


def two_lines(title: str) -> tuple[str, str]:
    """Break a title near its middle, so that the names leave room for the chart."""
    words = title.split()
    if len(words) < 2:
        return title, ""
    cut = min(
        range(1, len(words)),
        key=lambda i: abs(len(" ".join(words[:i])) - len(" ".join(words[i:]))),
    )
    return " ".join(words[:cut]), " ".join(words[cut:])
