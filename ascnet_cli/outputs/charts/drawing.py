"""Shapes in a rectangle of pixels: what a chart comes to before it is SVG or PNG.

A colour is "#rrggbb", or one of the `ROLES`, which a page shows in its own light or dark colours. x goes to
the right, y down, from the upper left corner.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Literal, TypeAlias

Pixels: TypeAlias = float | int
Point: TypeAlias = tuple[Pixels, Pixels]
MarkerKind = Literal["circle", "square", "triangle", "diamond", "nabla", "plus"]
MARKERS: tuple[MarkerKind, ...] = ("circle", "square", "triangle", "diamond", "nabla", "plus")

INK, MUTED, GRID, BAND, PAPER = "ink", "muted", "grid", "band", "paper"
ROLES: Mapping[str, str] = MappingProxyType(
    {INK: "#1a1d21", MUTED: "#5a626c", GRID: "#d9dde2", BAND: "#f1f3f5", PAPER: "#ffffff"}
)

_WIDE = 1.0  # of the type size
_NARROW = {"i": 0.28, "j": 0.28, "l": 0.28, ".": 0.32, ",": 0.32, " ": 0.32, "t": 0.4, "f": 0.36, "r": 0.42}
_LOWER, _UPPER = 0.62, 0.7


@dataclass(frozen=True, slots=True)
class Rect:
    """A rectangle.

    Attributes:
        x: left side.
        y: upper side.
        width: at least 0.
        height: at least 0.
        fill: its colour.
        stroke: of its border; None: without.
        opacity: 0 to 1.
        title: what hovering tells.
        group: a word for pages to find it by.
        data: more for pages; names as in `data-NAME`.
    """

    x: Pixels
    y: Pixels
    width: Pixels
    height: Pixels
    fill: str
    stroke: str | None = None
    opacity: Pixels = 1.0
    title: str = ""
    group: str = ""
    data: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.width < 0 or self.height < 0:
            raise ValueError(f"a rectangle of {self.width} x {self.height}")


@dataclass(frozen=True, slots=True)
class Strokes:
    """Lines of one kind, each through two points or more.

    Attributes:
        lines: their points.
        stroke: colour.
        width: pixels.
        dash: lengths of dashes and gaps; empty: solid.
        opacity: 0 to 1.
        title: what hovering tells.
        group: a word for pages to find them by.
    """

    lines: tuple[tuple[Point, ...], ...]
    stroke: str
    width: Pixels = 1.0
    dash: tuple[Pixels, ...] = ()
    opacity: Pixels = 1.0
    title: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class Marker:
    """A sign at a point.

    Attributes:
        x: of its middle.
        y: of its middle.
        kind: one of `MARKERS`.
        fill: colour.
        size: half its width, pixels.
        title: what hovering tells.
    """

    x: Pixels
    y: Pixels
    kind: MarkerKind
    fill: str
    size: Pixels = 4.0
    title: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """One line of text.

    Attributes:
        x: of its anchor.
        y: of its base line.
        text: what it says.
        size: of the type, pixels.
        fill: colour.
        anchor: which part of the text is at `x`.
        bold: thick.
        turned: written upwards.
        title: what hovering tells.
        group: a word for pages to find it by.
        data: more for pages.
    """

    x: Pixels
    y: Pixels
    text: str
    size: Pixels = 12.0
    fill: str = INK
    anchor: Literal["start", "middle", "end"] = "start"
    bold: bool = False
    turned: bool = False
    title: str = ""
    group: str = ""
    data: Mapping[str, str] = field(default_factory=dict)


Shape: TypeAlias = Rect | Strokes | Marker | Text


@dataclass(frozen=True, slots=True)
class Drawing:
    """Shapes, later ones over earlier ones.

    Attributes:
        width: pixels.
        height: pixels.
        shapes: what is in it.
        label: what it shows, in a sentence, for those who do not see it.
        data: more for pages.
    """

    width: Pixels
    height: Pixels
    shapes: tuple[Shape, ...]
    label: str
    data: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (self.width > 0 and self.height > 0):
            raise ValueError(f"a drawing of {self.width} x {self.height}")


def text_width(text: str, size: Pixels) -> float:
    """About how many pixels a line of a common sans serif type takes; rather too many than too few."""
    return size * math.fsum(map(_em, text))


@cache
def _em(character: str) -> float:
    if unicodedata.east_asian_width(character) in "WF":
        return _WIDE
    if character in "mwMW@%":
        return 0.88
    return _NARROW.get(character, _UPPER if character.isupper() else _LOWER)


def fitted(text: str, width: Pixels, size: Pixels) -> str:
    """The text, or as much of both its ends as there is room for, with an ellipsis between."""
    if text_width(text, size) <= width:
        return text
    few, many = 0, len(text)  # characters that fit for certain, and that do not
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (middle, many) if text_width(_ends(text, middle), size) <= width else (few, middle)
    return _ends(text, few)


def _ends(text: str, n_kept: int) -> str:
    head = (n_kept + 1) // 2
    return text[:head] + "…" + text[len(text) - (n_kept - head) :]
