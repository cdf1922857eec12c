"""The figures of the page: intervals, losses, map, label efficiency."""

from collections.abc import Sequence

from markupsafe import Markup

from medjepa.evaluation.results import (
    MAJORITY,
    PRETRAINED,
    EmbeddingMap,
    LabelPoint,
    LossCurve,
    MethodResult,
    Report,
)
from medjepa.evaluation.verdict import share
from medjepa.report import svg
from medjepa.report.svg import WIDTH, Frame

NUM_COLOURS = 8
"""Colours of classes and seeds; more of them start again from the first."""


def interval_figure(report: Report) -> Markup:
    """AUC of every kind of features with its 95 % interval, linear probe above kNN."""
    rows = [row for row in report.methods if row.key != MAJORITY]
    ends = [value for row in rows for value in _span(row) if value is not None]
    if not ends:
        return Markup("")
    low = max(0.0, min(ends) - 0.02)
    height = 44 * len(rows) + 58
    frame = Frame(
        left=150, top=8, right=WIDTH - 26, bottom=height - 46, low=(low, 0), high=(1.0, 1)
    )
    parts = [
        svg.line(frame.x(value), frame.top, frame.x(value), frame.bottom, "grid")
        for value in svg.ticks(low, 1.0)
    ]
    parts.append(svg.x_axis(frame, svg.ticks(low, 1.0), share, "macro AUC, 95 % interval"))
    for place, row in enumerate(rows):
        y = frame.top + 44 * place + 22
        style = "strong" if row.key == PRETRAINED else "label"
        for offset, line in enumerate(_two_lines(row.title)):
            shift = 15 * offset + (4 if " " not in row.title else -3)
            parts.append(svg.text(140, y + shift, line, anchor="end", style=style))
        for scores, shift, weight in ((row.probe, -6, "probe"), (row.knn, 8, "knn")):
            auc = scores.auc
            if auc.value != auc.value:
                continue
            if auc.low is not None and auc.high is not None:
                x = frame.x(auc.low), frame.x(auc.high)
                parts.append(svg.line(x[0], y + shift, x[1], y + shift, f"m-{row.key} {weight}"))
            radius = 5 if weight == "probe" else 3.5
            parts.append(
                svg.dot(frame.x(auc.value), y + shift, radius, f"m-{row.key} {weight}-dot")
            )
    return svg.chart(height, "AUC of each kind of features with its 95 % interval", parts)


def loss_figures(curves: Sequence[LossCurve]) -> list[tuple[str, Markup]]:
    """One small chart for each loss, a line for each seed: (name, chart)."""
    if not curves:
        return []
    names = {
        "total_loss": "total loss",
        "prediction_loss": "prediction",
        "regularization_loss": "SIGReg",
    }
    return [(title, _loss_chart(curves, key, title)) for key, title in names.items()]


def _loss_chart(curves: Sequence[LossCurve], key: str, title: str) -> Markup:
    width, height = 300, 220
    values = [value for curve in curves for value in getattr(curve, key)]
    low, high = min(0.0, *values), max(values)
    last = max(curve.step[-1] for curve in curves)
    frame = Frame(
        left=52,
        top=10,
        right=width - 20,
        bottom=height - 44,
        low=(0, low),
        high=(max(last, 1), high if high > low else low + 1),
    )
    parts = [svg.y_axis(frame, lambda v: f"{v:.3g}", 4)]
    parts.append(svg.x_axis(frame, svg.ticks(0, last, 4), lambda v: f"{v:,.0f}", "step"))
    for place, curve in enumerate(curves):
        points = list(zip(curve.step, getattr(curve, key), strict=True))
        thinned = points[:: max(1, len(points) // 300)] + points[-1:]
        line = [(frame.x(step), frame.y(value)) for step, value in thinned]
        parts.append(svg.path(line, f"line c{place % NUM_COLOURS}"))
    return svg.chart(height, f"{title} over the steps of pre-training", parts, width)


def seed_legend(curves: Sequence[LossCurve]) -> Markup:
    """Which colour is which seed."""
    return svg.legend(
        [(f"c{i % NUM_COLOURS}", f"seed {curve.seed}") for i, curve in enumerate(curves)]
    )


def map_figure(picture: EmbeddingMap, class_names: Sequence[str]) -> Markup:
    """Test images in the plane, coloured by class."""
    height = 400
    frame = Frame(left=12, top=12, right=WIDTH - 12, bottom=height - 12, low=(0, 0), high=(1, 1))
    parts = []
    for index in range(len(class_names)):
        points = [
            (frame.x(x), frame.y(y))
            for (x, y), label in zip(picture.place, picture.label, strict=True)
            if label == index
        ]
        if points:
            size = "small" if len(picture.place) > 1000 else "large"
            parts.append(svg.dots(points, f"dots {size} c{index % NUM_COLOURS}"))
    title = f"{picture.method} of the test images' embeddings"
    names = [(f"c{i % NUM_COLOURS}", name) for i, name in enumerate(class_names)]
    return svg.chart(height, title, parts) + svg.legend(names)


def label_figure(points: Sequence[LabelPoint], methods: Sequence[MethodResult]) -> Markup:
    """AUC over the share of labelled patients: mean of the draws, and the band they span."""
    shown = [row for row in methods if any(point.method == row.key for point in points)]
    values = [value for point in points for value in point.auc if value == value]
    if not values:
        return Markup("")
    fractions = sorted({point.fraction for point in points})
    height = 330
    low = max(0.0, min(values) - 0.02)
    frame = Frame(
        left=44,
        top=10,
        right=WIDTH - 26,
        bottom=height - 46,
        low=(fractions[0], low),
        high=(max(fractions[-1], fractions[0] * 1.01), 1.0),
        log_x=True,
    )
    parts = [svg.y_axis(frame, share, 8)]
    parts.append(svg.x_axis(frame, fractions, _percent, "labelled patients of the training part"))
    for row in reversed(shown):
        own = sorted((p for p in points if p.method == row.key), key=lambda p: p.fraction)
        upper = [(frame.x(p.fraction), frame.y(max(p.auc))) for p in own]
        lower = [(frame.x(p.fraction), frame.y(min(p.auc))) for p in own]
        parts.append(svg.path([*upper, *reversed(lower)], f"band m-{row.key}", closed=True))
    for row in reversed(shown):
        own = sorted((p for p in points if p.method == row.key), key=lambda p: p.fraction)
        line = [(frame.x(p.fraction), frame.y(p.mean)) for p in own]
        parts.append(svg.path(line, f"line m-{row.key}"))
        parts.extend(svg.dot(x, y, 3.5, f"m-{row.key} probe-dot") for x, y in line)
    picture = svg.chart(height, "AUC over the share of labelled patients", parts)
    return picture + svg.legend([(f"m-{row.key}", row.title) for row in shown])


def _percent(fraction: float) -> str:
    return f"{100 * fraction:g} %"


def _span(row: MethodResult) -> tuple[float | None, ...]:
    values = (row.probe.auc.value, row.knn.auc.value)
    ends = (row.probe.auc.low, row.knn.auc.low)
    return tuple(v for v in (*values, *ends) if v is not None and v == v)


def _two_lines(title: str) -> list[str]:
    """Break a title near its middle, so that the names leave room for the chart."""
    words = title.split()
    if len(words) < 2:
        return [title]
    cut = min(
        range(1, len(words)),
        key=lambda i: abs(len(" ".join(words[:i])) - len(" ".join(words[i:]))),
    )
    return [" ".join(words[:cut]), " ".join(words[cut:])]
