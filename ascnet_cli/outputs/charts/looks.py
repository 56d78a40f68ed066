"""How the series of a chart are told apart: by colour, by dashes, and by markers, each enough alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ascnet_cli.outputs.charts.drawing import (
    MARKERS,
    Drawing,
    Marker,
    MarkerKind,
    Pixels,
    Rect,
    Shape,
    Strokes,
    Text,
    fitted,
    text_width,
)
from ascnet_cli.outputs.colours import PALETTE

_COLOURS = PALETTE[:6]  # the seventh, yellow, is too pale for a line on white
_DASHES: tuple[tuple[Pixels, ...], ...] = ((), (7, 3), (2, 2.5), (9, 3, 2, 3), (4, 4))
_SIZE = 12.0
_ROW = 20.0
_SAMPLE = 30.0
_GAP = 16.0


@dataclass(frozen=True, slots=True)
class Look:
    """How one series is drawn.

    Attributes:
        colour: "#rrggbb".
        dash: of its lines.
        marker: at its points.
    """

    colour: str
    dash: tuple[Pixels, ...]
    marker: MarkerKind


def look(number: int) -> Look:
    """The look of the series with this number, from 0; the first thirty differ in colour or dashes."""
    return Look(
        _COLOURS[number % len(_COLOURS)], _DASHES[number % len(_DASHES)], MARKERS[number % len(MARKERS)]
    )


def legend(
    entries: Sequence[tuple[str, Look]], *, x: Pixels, y: Pixels, width: Pixels, lines: bool
) -> tuple[tuple[Shape, ...], Pixels]:
    """Names beside samples, in as many rows as it takes.

    Args:
        entries: name and look.
        x: left side.
        y: upper side.
        width: there is.
        lines: samples are lines with markers; otherwise squares.

    Returns:
        The shapes, and the height they take.
    """
    before = _SAMPLE if lines else 14.0
    shapes: list[Shape] = []
    left, top = x, y
    for name, style in entries:
        shown = fitted(name, width - before - 8, _SIZE)
        wide = before + 6 + text_width(shown, _SIZE)
        if left > x and left + wide > x + width:
            left, top = x, top + _ROW
        shapes += _sample(style, left, top + _ROW / 2, lines=lines)
        shapes.append(
            Text(left + before + 6, top + _ROW / 2 + 4, shown, _SIZE, title=name if shown != name else "")
        )
        left += wide + _GAP
    return tuple(shapes), (top - y + _ROW if entries else 0.0)


def sample(style: Look, *, lines: bool) -> Drawing:
    """A sample by itself, for a legend in the text of a page."""
    width = _SAMPLE if lines else 12.0
    return Drawing(width, 14.0, tuple(_sample(style, 0.0, 7.0, lines=lines)), "")


def _sample(style: Look, left: Pixels, middle: Pixels, *, lines: bool) -> Iterator[Shape]:
    if not lines:
        yield Rect(left, middle - 6, 12, 12, style.colour)
        return
    yield Strokes((((left, middle), (left + _SAMPLE, middle)),), style.colour, 2.0, style.dash)
    yield Marker(left + _SAMPLE / 2, middle, style.marker, style.colour)
