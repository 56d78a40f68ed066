"""A chart of lines: one number over another, a line a series."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ascnet_cli.outputs.charts.drawing import (
    GRID,
    INK,
    MUTED,
    Drawing,
    Marker,
    Pixels,
    Point,
    Shape,
    Strokes,
    Text,
)
from ascnet_cli.outputs.charts.looks import Look, legend
from ascnet_cli.outputs.charts.scale import Scale, nice_top, number

WIDTH, HEIGHT = 460.0, 300.0
MOST_POINTS = 400  # of one line: more than there are pixels tells nothing
_LEFT, _RIGHT, _BELOW, _ABOVE = 52.0, 14.0, 44.0, 10.0
_MOST_MARKERS = 24


@dataclass(frozen=True, slots=True)
class Line:
    """One series.

    Attributes:
        name: in the legend.
        look: of the line.
        points: x rising; where y is not finite the line is broken.
        width: pixels.
        opacity: 0 to 1.
    """

    name: str
    look: Look
    points: tuple[tuple[float, float], ...]
    width: float = 2.0
    opacity: float = 1.0


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis.

    Attributes:
        title: what is measured.
        low: the first number; None: of the data.
        high: the last number; None: a round one above the data.
        ticks: where numbers stand; None: at round ones.
    """

    title: str
    low: float | None = None
    high: float | None = None
    ticks: tuple[float, ...] | None = None


def line_chart(
    lines: Sequence[Line],
    x_axis: Axis,
    y_axis: Axis,
    *,
    label: str,
    width: Pixels = WIDTH,
    height: Pixels = HEIGHT,
    named: bool = True,
    at: tuple[float, str] | None = None,
) -> Drawing:
    """Lines over two axes.

    Args:
        lines: later ones over earlier ones.
        x_axis: below.
        y_axis: on the left.
        label: what the chart shows, in a sentence.
        width: pixels.
        height: pixels, without the legend.
        named: with a legend above.
        at: an x to be marked, and a word for it.
    """
    top: tuple[Shape, ...] = ()
    above: Pixels = 0
    if named:
        top, above = legend(
            [(line.name, line.look) for line in lines],
            x=_LEFT, y=2, width=width - _LEFT - _RIGHT, lines=True,
        )  # fmt: skip
    x_scale, y_scale = _scales(lines, x_axis, y_axis, width, above + _ABOVE, height + above - _BELOW)
    shapes = [*top, *frame(x_scale, y_scale, x_axis, y_axis)]
    if at is not None and x_scale.low <= at[0] <= x_scale.high:
        shapes += _mark(at, x_scale, y_scale)
    for line in lines:
        shapes += _line(line, x_scale, y_scale)
    return Drawing(width, height + above, tuple(shapes), label)


def _scales(
    lines: Sequence[Line], x_axis: Axis, y_axis: Axis, width: Pixels, top: Pixels, bottom: Pixels
) -> tuple[Scale, Scale]:
    xs = [x for line in lines for x, _ in line.points] or [0.0, 1.0]
    ys = [y for line in lines for _, y in line.points if math.isfinite(y)] or [0.0]
    x_low = min(xs) if x_axis.low is None else x_axis.low
    x_high = max(xs) if x_axis.high is None else x_axis.high
    if not x_low < x_high:
        x_low, x_high = x_low - 0.5, x_high + 0.5
    y_low = min(0.0, *ys) if y_axis.low is None else y_axis.low
    y_high = max(nice_top(max(ys)), y_low + 1e-9) if y_axis.high is None else y_axis.high
    return Scale(x_low, x_high, _LEFT, width - _RIGHT), Scale(y_low, y_high, float(bottom), float(top))


def frame(x_scale: Scale, y_scale: Scale, x_axis: Axis, y_axis: Axis) -> Iterator[Shape]:
    """Grid, numbers and titles of two axes."""
    for y in y_axis.ticks or y_scale.ticks():
        yield Strokes((((x_scale.begin, y_scale(y)), (x_scale.end, y_scale(y))),), GRID)
        yield Text(x_scale.begin - 6, y_scale(y) + 4, number(y), 11, MUTED, "end")
    yield Strokes((((x_scale.begin, y_scale.begin), (x_scale.end, y_scale.begin)),), MUTED)
    for x in x_axis.ticks or x_scale.ticks(7):
        yield Strokes((((x_scale(x), y_scale.begin), (x_scale(x), y_scale.begin + 4)),), MUTED)
        yield Text(x_scale(x), y_scale.begin + 17, number(x), 11, MUTED, "middle")
    yield Text((x_scale.begin + x_scale.end) / 2, y_scale.begin + 36, x_axis.title, 12, INK, "middle")
    yield Text(13, (y_scale.begin + y_scale.end) / 2, y_axis.title, 12, INK, "middle", turned=True)


def _mark(at: tuple[float, str], x_scale: Scale, y_scale: Scale) -> Iterator[Shape]:
    x = x_scale(at[0])
    yield Strokes((((x, y_scale.begin), (x, y_scale.end)),), MUTED, 1.0, (3, 3))
    on_left = x > (x_scale.begin + x_scale.end) / 2
    yield Text(x + (-5 if on_left else 5), y_scale.begin - 6, at[1], 11, MUTED, "end" if on_left else "start")


def _line(line: Line, x_scale: Scale, y_scale: Scale) -> Iterator[Shape]:
    runs = _runs(line.points)
    placed = tuple(tuple((x_scale(x), y_scale(y)) for x, y in thinned(run)) for run in runs)
    drawn = tuple(run for run in placed if len(run) > 1)
    if drawn:
        yield Strokes(
            drawn, line.look.colour, line.width, line.look.dash, line.opacity, title=line.name, group="line"
        )
    n_points = sum(map(len, runs))
    for run in runs:
        if n_points <= _MOST_MARKERS or len(run) == 1:
            for x, y in run:
                title = f"{line.name}: {y:.3f} at {number(x)}"
                yield Marker(
                    x_scale(x), y_scale(y), line.look.marker, line.look.colour, 1.5 + line.width, title
                )


def _runs(points: Sequence[Point]) -> list[tuple[Point, ...]]:
    """The stretches of points between those that are not finite."""
    runs: list[list[Point]] = [[]]
    for x, y in points:
        if math.isfinite(y):
            runs[-1].append((x, y))
        elif runs[-1]:
            runs.append([])
    return [tuple(run) for run in runs if run]


def thinned(points: Sequence[Point], n_most: int = MOST_POINTS) -> tuple[Point, ...]:
    """At most so many points that look the same: of each of equal stretches the lowest and the highest.

    The first and the last point stay.
    """
    if len(points) <= n_most:
        return tuple(points)
    inner = points[1:-1]
    n_parts = (n_most - 2) // 2
    kept = [points[0]]
    for part in range(n_parts):
        stretch = inner[part * len(inner) // n_parts : (part + 1) * len(inner) // n_parts]
        low, high = min(stretch, key=lambda p: p[1]), max(stretch, key=lambda p: p[1])
        kept += sorted({low, high})
    return (*kept, points[-1])
