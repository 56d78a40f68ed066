"""Charts of bars: numbers of several series, a group of horizontal bars a category."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ascnet_cli.outputs.charts.drawing import (
    GRID,
    INK,
    MUTED,
    Drawing,
    Pixels,
    Rect,
    Shape,
    Strokes,
    Text,
    fitted,
    text_width,
)
from ascnet_cli.outputs.charts.looks import Look, legend
from ascnet_cli.outputs.charts.scale import Scale, nice_top, number

WIDTH = 460.0
_SIZE = 12.0
_WIDEST_NAMES, _VALUES = 150.0, 40.0
_GROUP_GAP, _AXIS = 10.0, 42.0


@dataclass(frozen=True, slots=True)
class Bars:
    """One series.

    Attributes:
        name: in the legend.
        look: of which the colour is used.
        values: for each category the numbers to choose from, the first of which is drawn; none: no bar.
    """

    name: str
    look: Look
    values: tuple[tuple[float, ...], ...]


def bar_chart(
    categories: Sequence[str],
    series: Sequence[Bars],
    *,
    title: str,
    label: str,
    width: Pixels = WIDTH,
    top_value: float | None = None,
    named: bool = True,
) -> Drawing:
    """Horizontal bars, grouped by category.

    A bar has its numbers as `data-values` and the chart its scale as `data-per-unit`, from which a page can
    draw another of the numbers.

    Args:
        categories: names, from above.
        series: in each group from above.
        title: of the axis.
        label: what the chart shows, in a sentence.
        width: pixels.
        top_value: the end of the axis; None: a round number above all numbers.
        named: with a legend above.

    Raises:
        ValueError: a series has not a number for each category.
    """
    if any(len(one.values) != len(categories) for one in series):
        raise ValueError("each series needs its numbers for each category")
    top: tuple[Shape, ...] = ()
    above: Pixels = 0
    if named:
        top, above = legend([(one.name, one.look) for one in series], x=4, y=2, width=width - 8, lines=False)
        above += 6
    names = min(max((text_width(name, _SIZE) for name in categories), default=0.0), _WIDEST_NAMES) + 10
    highest = max((v for one in series for values in one.values for v in values), default=0.0)
    lowest = min((v for one in series for values in one.values for v in values), default=0.0)
    scale = Scale(min(lowest, 0.0), top_value or nice_top(highest), names, width - _VALUES)
    thick = 14.0 if len(series) <= 3 else 9.0
    pitch = thick * len(series) + _GROUP_GAP
    bottom = above + 4 + pitch * len(categories)
    shapes: list[Shape] = [*top, *_axis(scale, above, bottom, title)]
    for place, name in enumerate(categories):
        y = above + 4 + place * pitch + _GROUP_GAP / 2
        shown = fitted(name, _WIDEST_NAMES, _SIZE)
        middle = y + thick * len(series) / 2 + 4
        shapes.append(Text(names - 8, middle, shown, _SIZE, INK, "end", title=name if shown != name else ""))
        for number_, one in enumerate(series):
            shapes += _bar(one, place, f"{one.name}, {name}", scale, y + number_ * thick, thick)
    return Drawing(width, bottom + _AXIS, tuple(shapes), label, {"per-unit": f"{scale.per_unit:.4f}"})


def _axis(scale: Scale, top: Pixels, bottom: Pixels, title: str) -> Iterator[Shape]:
    for value in scale.ticks(5):
        yield Strokes((((scale(value), top), (scale(value), bottom)),), GRID)
        yield Text(scale(value), bottom + 15, number(value), 11, MUTED, "middle")
    yield Strokes((((scale(0.0), top), (scale(0.0), bottom)),), MUTED)
    yield Text((scale.begin + scale.end) / 2, bottom + 34, title, _SIZE, INK, "middle")


def _bar(one: Bars, place: int, name: str, scale: Scale, y: Pixels, thick: Pixels) -> Iterator[Shape]:
    values = one.values[place]
    if not values:
        return
    value, zero = values[0], scale(0.0)
    choices = {"values": json.dumps([round(v, 4) for v in values])} if len(values) > 1 else {}
    left, right = min(zero, scale(value)), max(zero, scale(value))
    title = f"{name}: {value:.3f}"
    yield Rect(left, y + 1, right - left, thick - 2, one.look.colour, title=title, group="bar", data=choices)
    size = 10.5 if thick > 10 else 8.5
    yield Text(
        right + 4, y + thick / 2 + size * 0.36, f"{value:.3f}", size, MUTED, group="value", data=choices
    )
