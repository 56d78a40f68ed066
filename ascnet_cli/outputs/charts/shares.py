"""A chart of shares: columns of equal height, each divided among kinds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ascnet_cli.outputs.charts.drawing import INK, MUTED, PAPER, Drawing, Rect, Shape, Text
from ascnet_cli.outputs.charts.lines import Axis, frame
from ascnet_cli.outputs.charts.scale import Scale

WIDTH, HEIGHT = 340.0, 240.0
_LEFT, _RIGHT, _BELOW = 52.0, 8.0, 44.0


@dataclass(frozen=True, slots=True)
class Kind:
    """What a part of a column is.

    Attributes:
        name: of the kind.
        colour: "#rrggbb".
        counts: how many of it there are in each column.
    """

    name: str
    colour: str
    counts: tuple[int, ...]


def share_chart(kinds: Sequence[Kind], *, name: str, x_title: str, y_title: str, label: str) -> Drawing:
    """Columns, numbered from 1, with the shares of each kind from below; an empty column stays empty.

    Args:
        kinds: from below; with equally many columns.
        name: over the chart.
        x_title: what a column is.
        y_title: of what shares are shown.
        label: what the chart shows, in a sentence.

    Raises:
        ValueError: there is no kind, or some have other columns than others.
    """
    if len({len(kind.counts) for kind in kinds}) != 1:
        raise ValueError("all kinds need the same columns, at least one")
    n_columns = len(kinds[0].counts)
    x_scale = Scale(0.5, n_columns + 0.5, _LEFT, WIDTH - _RIGHT)
    y_scale = Scale(0.0, 1.0, HEIGHT - _BELOW, 28.0)
    x_axis = Axis(x_title, ticks=tuple(float(n) for n in range(1, n_columns + 1)))
    shapes: list[Shape] = [*frame(x_scale, y_scale, x_axis, Axis(y_title, ticks=(0.0, 0.25, 0.5, 0.75, 1.0)))]
    shapes.append(Text(_LEFT, 15, name, 12, INK, bold=True))
    wide = x_scale.per_unit * 0.84
    for column in range(n_columns):
        total, below = sum(kind.counts[column] for kind in kinds), 0.0
        for kind in kinds:
            share = kind.counts[column] / total if total else 0.0
            if share:
                top = y_scale(below + share)
                title = f"{kind.name}: {kind.counts[column]} of {total} ({share:.0%})"
                left = x_scale(column + 1) - wide / 2
                high = y_scale(below) - top
                shapes.append(Rect(left, top, wide, high, kind.colour, PAPER, title=title, group="share"))
            below += share
    if not any(any(kind.counts) for kind in kinds):
        shapes.append(Text((_LEFT + WIDTH) / 2, y_scale(0.5) + 4, "nothing found", 12, MUTED, "middle"))
    return Drawing(WIDTH, HEIGHT, tuple(shapes), label)
