"""Few-shot learning as a curve: AUC over the number of labelled images of each class."""

from markupsafe import Markup

from medjepa.evaluation.bootstrap import Estimate
from medjepa.evaluation.episodes import CLASSIFIERS
from medjepa.evaluation.results import TITLES
from medjepa.evaluation.sections import Section
from medjepa.evaluation.verdict import share
from medjepa.report import svg
from medjepa.report.svg import WIDTH, Frame

KEYS = {title: key for key, title in TITLES.items()}
SHOWN = CLASSIFIERS[0]
"""One classifier, or nobody could tell the lines apart; the table has all."""

AREA = "AUC, mean of episodes"


def few_shot_figure(section: Section) -> Markup:
    """Draw the section `few_shot`: the mean over episodes with its interval over test patients."""
    rows = [dict(zip(section.columns, row, strict=True)) for row in section.rows]
    curves: dict[str, list[tuple[int, Estimate]]] = {}
    for row in rows:
        shots, area = row["shots"], row[AREA]
        assert isinstance(shots, int)
        assert isinstance(area, Estimate)
        if row["classifier"] == SHOWN:
            curves.setdefault(str(row["features"]), []).append((shots, area))
    points = [point for curve in curves.values() for point in curve]
    if not points:
        return Markup("")
    all_shots = sorted({shots for shots, _ in points})
    ends = [area.value if area.low is None else area.low for _, area in points]
    tops = [area.value if area.high is None else area.high for _, area in points]
    height = 330
    frame = Frame(
        left=44,
        top=26,
        right=WIDTH - 26,
        bottom=height - 46,
        low=(all_shots[0], max(0.0, min(ends) - 0.02)),
        high=(max(all_shots[-1], all_shots[0] * 1.01), min(1.0, max(tops) + 0.02)),
        log_x=True,
    )
    parts = [
        svg.text(4, 12, f"AUC, {SHOWN}, mean of episodes, 95 % interval", style="name"),
        svg.y_axis(frame, share, 8),
        svg.x_axis(frame, all_shots, lambda n: f"{n:.0f}", "labelled images of each class"),
    ]
    for title, curve in reversed(curves.items()):
        style = f"m-{KEYS.get(title, 'majority')}"
        line = [(frame.x(shots), frame.y(area.value)) for shots, area in curve]
        parts.append(svg.path(line, f"line {style}"))
        for (_, area), (x, y) in zip(curve, line, strict=True):
            if area.low is not None and area.high is not None:
                low, high = frame.y(area.low), frame.y(area.high)
                parts.append(svg.line(x, low, x, high, f"whisker {style}"))
            parts.append(svg.dot(x, y, 3.5, f"probe-dot {style}"))
    picture = svg.chart(height, "AUC over the number of labelled images of each class", parts)
    names = [(f"m-{KEYS.get(title, 'majority')}", title) for title in curves]
    return picture + svg.legend(names)
