"""Drawings as PNG through matplotlib, which is an extra: `pip install 'ascnet[plots]'`."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, BinaryIO

from ascnet_cli.errors import OptionError
from ascnet_cli.outputs.charts.drawing import ROLES, Drawing, Marker, Pixels, Rect, Shape, Strokes, Text
from ascnet_cli.outputs.charts.svg import clean, outline

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DPI = 96.0  # pixels of a drawing are those of CSS
_FINER = 2.5


def check_raster() -> None:
    """Hold, before any work is done, that `write_png` will work.

    Raises:
        OptionError: matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise OptionError("PNG needs matplotlib", hint="pip install 'ascnet[plots]', or write .svg")


def write_png(drawing: Drawing, file: BinaryIO) -> None:
    """Draw with 240 dots an inch of CSS pixels.

    Args:
        drawing: what to draw.
        file: open for writing.
    """
    # A Figure by itself: pyplot would look for a screen, and keep every figure alive.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(drawing.width / _DPI, drawing.height / _DPI), facecolor=ROLES["paper"])
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, drawing.width), ylim=(drawing.height, 0))
    axes.axis("off")
    for order, shape in enumerate(drawing.shapes):
        _add(axes, shape, order)
    figure.savefig(file, format="png", dpi=_DPI * _FINER, metadata={"Software": "ascnet"})


def _add(axes: Axes, shape: Shape, order: int) -> None:
    from matplotlib.collections import LineCollection
    from matplotlib.patches import Circle, Polygon, Rectangle

    match shape:
        case Rect():
            border = "none" if shape.stroke is None else _colour(shape.stroke)
            axes.add_patch(
                Rectangle(
                    (shape.x, shape.y), shape.width, shape.height,
                    facecolor=_colour(shape.fill), edgecolor=border, linewidth=_pt(1),
                    alpha=shape.opacity, zorder=order,
                )
            )  # fmt: skip
        case Strokes():
            dash = (0, tuple(_pt(length) / _pt(shape.width) for length in shape.dash)) if shape.dash else "-"
            axes.add_collection(
                LineCollection(
                    shape.lines,
                    colors=_colour(shape.stroke), linewidths=_pt(shape.width), linestyles=[dash],
                    alpha=shape.opacity, zorder=order,
                )
            )  # fmt: skip
        case Marker(kind="circle"):
            axes.add_patch(
                Circle((shape.x, shape.y), shape.size, color=_colour(shape.fill), linewidth=0, zorder=order)
            )
        case Marker():
            corners = outline(shape)
            axes.add_patch(
                Polygon(corners, closed=True, color=_colour(shape.fill), linewidth=0, zorder=order)
            )
        case Text():
            axes.text(
                shape.x, shape.y, clean(shape.text).replace("$", r"\$"),
                fontsize=_pt(shape.size), color=_colour(shape.fill),
                ha={"start": "left", "middle": "center", "end": "right"}[shape.anchor], va="baseline",
                fontweight="bold" if shape.bold else "normal", rotation=90 if shape.turned else 0,
                zorder=order,
            )  # fmt: skip


def _pt(pixels: Pixels) -> float:
    return pixels * 72 / _DPI


def _colour(name: str) -> str:
    return ROLES.get(name, name)
