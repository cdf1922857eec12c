"""The reliability curve: how often a predicted chance came true, bin by bin."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from medjepa.evaluation.bootstrap import Estimate
from medjepa.evaluation.calibration_sections import AS_FITTED, TEMPERED
from medjepa.evaluation.sections import Section
from medjepa.evaluation.verdict import share
from medjepa.report import svg
from medjepa.report.svg import WIDTH, Frame

STYLES = {AS_FITTED: "c1", TEMPERED: "c0"}
"""Colour of the chances as the probe gives them, and of those with the temperature."""

_STRIP, _GAP = 20, 8
_COUNT_WIDTH = 7
"""Of a digit, in the chart's units."""


@dataclass(frozen=True, kw_only=True)
class Bin:
    """One row of the section: chances from `low` to `high`, what was predicted, what came true."""

    kind: str
    low: float
    high: float
    predicted: float
    observed: Estimate
    num: int


def reliability_figure(section: Section) -> Markup:
    """Draw the bins of the section `reliability`.

    Above: the share that came true over the mean prediction, with its interval; on the dashed
    diagonal chances mean what they say. Below: where each bin lies, and the images in it.
    """
    bins = [_bin(dict(zip(section.columns, row, strict=True))) for row in section.rows]
    kinds = [kind for kind in STYLES if any(one.kind == kind for one in bins)]
    if not bins:
        return Markup("")
    plot = 346
    height = plot + 44 + len(kinds) * (_STRIP + _GAP) + 22
    frame = Frame(left=44, top=26, right=WIDTH - 16, bottom=plot, low=(0, 0), high=(1, 1))
    parts = [
        svg.text(4, 12, "share that came true, 95 % interval", style="name"),
        svg.y_axis(frame, share),
        svg.x_axis(frame, svg.ticks(0, 1), share, "predicted chance, mean of a bin"),
        svg.line(frame.x(0), frame.y(0), frame.x(1), frame.y(1), "diagonal"),
    ]
    for kind in kinds:
        parts.append(_curve(frame, [one for one in bins if one.kind == kind], STYLES[kind]))
    for place, kind in enumerate(kinds):
        top = plot + 48 + place * (_STRIP + _GAP)
        own = [one for one in bins if one.kind == kind]
        parts.append(_strip(frame, own, STYLES[kind], top))
    middle = (frame.left + frame.right) / 2
    parts.append(svg.text(middle, height - 5, "images in each bin, from its smallest chance to "
                          "its largest", anchor="middle", style="name"))  # fmt: skip
    title = "What came true against the predicted chance, with the images of each bin"
    names = [(STYLES[kind], kind) for kind in kinds]
    return svg.chart(height, title, parts) + svg.legend(names)


def _bin(cells: dict[str, object]) -> Bin:
    observed, num = cells["Observed"], cells["Images"]
    low, high, predicted = cells["From"], cells["To"], cells["Predicted"]
    assert isinstance(observed, Estimate)
    assert isinstance(num, int)
    assert isinstance(low, float)
    assert isinstance(high, float)
    assert isinstance(predicted, float)
    return Bin(
        kind=str(cells["Chances"]),
        low=low,
        high=high,
        predicted=predicted,
        observed=observed,
        num=num,
    )


def _curve(frame: Frame, bins: Sequence[Bin], style: str) -> Markup:
    points = [(frame.x(one.predicted), frame.y(one.observed.value)) for one in bins]
    parts = [svg.path(points, f"line {style}")]
    for one, (x, y) in zip(bins, points, strict=True):
        if one.observed.low is not None and one.observed.high is not None:
            ends = frame.y(one.observed.low), frame.y(one.observed.high)
            parts.append(svg.line(x, ends[0], x, ends[1], f"whisker {style}"))
        parts.append(svg.dot(x, y, 4, f"probe-dot {style}"))
    return Markup("").join(parts)


def _strip(frame: Frame, bins: Sequence[Bin], style: str, top: float) -> Markup:
    parts = []
    for one in bins:
        left, right = frame.x(one.low), frame.x(one.high)
        right = max(right, left + 1.5)  # a bin of equal chances is still there
        corners = [(left, top), (right, top), (right, top + _STRIP), (left, top + _STRIP)]
        parts.append(svg.path(corners, f"bin {style}", closed=True))
        count = f"{one.num:,}"
        if right - left > _COUNT_WIDTH * len(count) + 4:
            middle = (left + right) / 2
            parts.append(svg.text(middle, top + 14, count, anchor="middle", style="tick"))
    return Markup("").join(parts)
