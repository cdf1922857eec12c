"""The curve over labels: each method's AUC, the band of its draws, intervals over patients."""

from markupsafe import Markup

from medjepa.evaluation.classify_results import MAJORITY, TITLES, ClassifyReport
from medjepa.evaluation.verdict import share
from medjepa.report import svg
from medjepa.report.svg import WIDTH, Frame


def curve_figure(report: ClassifyReport) -> Markup:
    """AUC over the share of labelled patients; empty where one share was measured."""
    shown = [
        method
        for method in TITLES
        if method != MAJORITY and any(row.method == method for row in report.rows)
    ]
    fractions = sorted(report.fractions)
    values = [
        value
        for row in report.rows
        if row.method in shown
        for value in (*row.per_draw["auc"], row.scores["auc"].low, row.scores["auc"].high)
        if value is not None and value == value
    ]
    if len(fractions) < 2 or not values:
        return Markup("")
    height = 330
    low = max(0.0, min(values) - 0.02)
    frame = Frame(
        left=44,
        top=10,
        right=WIDTH - 26,
        bottom=height - 46,
        low=(fractions[0], low),
        high=(fractions[-1], 1.0),
        log_x=True,
    )
    parts = [svg.y_axis(frame, share, 8)]
    parts.append(
        svg.x_axis(
            frame, fractions, lambda f: f"{100 * f:g} %", "labelled patients of the training part"
        )
    )
    curves = {
        method: [row for f in fractions if (row := report.row(method, f)) is not None]
        for method in reversed(shown)
    }
    for method, rows in curves.items():
        upper = [(frame.x(row.fraction), frame.y(max(row.per_draw["auc"]))) for row in rows]
        lower = [(frame.x(row.fraction), frame.y(min(row.per_draw["auc"]))) for row in rows]
        parts.append(svg.path([*upper, *reversed(lower)], f"band m-{method}", closed=True))
    for place, (method, rows) in enumerate(curves.items()):
        line = [(frame.x(row.fraction), frame.y(row.scores["auc"].value)) for row in rows]
        parts.append(svg.path(line, f"line m-{method}"))
        # Beside one another, or intervals of several methods hide each other.
        shift = 4 * (place - (len(curves) - 1) / 2)
        for (x, y), row in zip(line, rows, strict=True):
            auc = row.scores["auc"]
            if auc.low is not None and auc.high is not None:
                ends = frame.y(auc.low), frame.y(auc.high)
                parts.append(svg.line(x + shift, ends[0], x + shift, ends[1], f"m-{method} knn"))
            parts.append(svg.dot(x, y, 3.5, f"m-{method} probe-dot"))
    picture = svg.chart(height, "AUC over the share of labelled patients", parts)
    return picture + svg.legend([(f"m-{method}", TITLES[method]) for method in shown])
