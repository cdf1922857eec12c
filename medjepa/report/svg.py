"""Small charts as SVG text; colours come from the page's style sheet and follow light and dark."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH = 460
"""Of every chart, in its own units: wide enough for a column, and still legible on a phone."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The plotting area inside a chart, and the two scales that map numbers into it."""

    left: float
    top: float
    right: float
    bottom: float
    low: tuple[float, float]
    high: tuple[float, float]
    log_x: bool = False

    def x(self, value: float) -> float:
        """Place along the horizontal axis."""
        share = (self._x(value) - self._x(self.low[0])) / (
            self._x(self.high[0]) - self._x(self.low[0])
        )
        return self.left + share * (self.right - self.left)

    def y(self, value: float) -> float:
        """Place along the vertical axis, which points up."""
        share = (value - self.low[1]) / (self.high[1] - self.low[1])
        return self.bottom - share * (self.bottom - self.top)

    def _x(self, value: float) -> float:
        return math.log(value) if self.log_x else value


def chart(height: float, title: str, parts: Iterable[Markup], width: float = WIDTH) -> Markup:
    """Wrap parts into one picture with a name for screen readers."""
    body = Markup("").join(parts)
    return Markup(
        '<svg viewBox="0 0 {:g} {:g}" role="img" aria-label="{}"><title>{}</title>{}</svg>'
    ).format(width, height, title, title, body)


def text(x: float, y: float, content: str, *, anchor: str = "start", style: str = "") -> Markup:
    """Write one line."""
    return Markup('<text x="{}" y="{}" text-anchor="{}" class="{}">{}</text>').format(
        number(x), number(y), anchor, style, content
    )


def line(x1: float, y1: float, x2: float, y2: float, style: str) -> Markup:
    """Draw a straight line."""
    return Markup('<line x1="{}" y1="{}" x2="{}" y2="{}" class="{}"/>').format(
        number(x1), number(y1), number(x2), number(y2), style
    )


def path(points: Sequence[tuple[float, float]], style: str, *, closed: bool = False) -> Markup:
    """Draw a line through points, or fill the area that they enclose."""
    steps = " ".join(f"{number(x)},{number(y)}" for x, y in points)
    if closed:
        return Markup('<polygon points="{}" class="{}"/>').format(steps, style)
    return Markup('<polyline points="{}" class="{}"/>').format(steps, style)


def dots(points: Sequence[tuple[float, float]], style: str) -> Markup:
    """Draw many equal dots as one path: a line of no length has round ends, and costs few bytes."""
    steps = "".join(f"M{number(x)} {number(y)}h0" for x, y in points)
    return Markup('<path d="{}" class="{}"/>').format(steps, style)


def dot(x: float, y: float, radius: float, style: str) -> Markup:
    """Draw one dot."""
    return Markup('<circle cx="{}" cy="{}" r="{}" class="{}"/>').format(
        number(x), number(y), number(radius), style
    )


def y_axis(frame: Frame, write: Callable[[float], str], count: int = 5) -> Markup:
    """Draw horizontal grid lines with their values."""
    parts = []
    for value in ticks(frame.low[1], frame.high[1], count):
        y = frame.y(value)
        parts.append(line(frame.left, y, frame.right, y, "grid"))
        parts.append(text(frame.left - 6, y + 4, write(value), anchor="end", style="tick"))
    return Markup("").join(parts)


def x_axis(
    frame: Frame, values: Sequence[float], write: Callable[[float], str], name: str
) -> Markup:
    """Draw the base line with its values and its name."""
    parts = [line(frame.left, frame.bottom, frame.right, frame.bottom, "axis")]
    for value in values:
        x = frame.x(value)
        parts.append(line(x, frame.bottom, x, frame.bottom + 4, "axis"))
        parts.append(text(x, frame.bottom + 17, write(value), anchor="middle", style="tick"))
    middle = (frame.left + frame.right) / 2
    parts.append(text(middle, frame.bottom + 35, name, anchor="middle", style="name"))
    return Markup("").join(parts)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers between `low` and `high`, about `count` of them."""
    if not high > low:
        return [low]
    rough = (high - low) / count
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * s for s in (1, 2, 2.5, 5, 10) if power * s >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [step * i for i in range(first, math.floor(high / step + 1e-9) + 1)]


def number(value: float) -> str:
    """Write a coordinate: a tenth of a unit is finer than anyone sees."""
    return f"{value:.1f}".removesuffix(".0")


def legend(entries: Sequence[tuple[str, str]]) -> Markup:
    """Name the colours, as HTML that wraps; (style, what it means)."""
    items = Markup("").join(
        Markup('<span class="key"><i class="{}"></i>{}</span>').format(style, escape(name))
        for style, name in entries
    )
    return Markup('<p class="legend">{}</p>').format(items)
