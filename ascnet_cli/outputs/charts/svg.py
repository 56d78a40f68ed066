"""Drawings as SVG: complete files, and the same inside a page.

Colours are presentation attributes, which a page's style sheet overrides by class; nothing has a `style`
attribute, which a content security policy would refuse.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.sax.saxutils import escape, quoteattr

from ascnet_cli.outputs.charts.drawing import (
    ROLES,
    Drawing,
    Marker,
    Pixels,
    Point,
    Rect,
    Shape,
    Strokes,
    Text,
)
from ascnet_cli.outputs.text import utf8

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif"
_NAMESPACE = "http://www.w3.org/2000/svg"
# What XML 1.0 cannot hold, escaped or not.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TURN = "rotate(-90 {} {})"


def to_svg(drawing: Drawing, *, alone: bool = True) -> str:
    """A drawing as text.

    Args:
        drawing: what to draw.
        alone: for a file of its own, with a background; otherwise for inside a page.
    """
    size = f"{_n(drawing.width)} {_n(drawing.height)}"
    head = {
        "viewBox": f"0 0 {size}",
        "role": "img",
        "aria-label": drawing.label,
        "font-family": FONT,
        **_data(drawing.data),
    }
    if alone:
        head |= {
            "xmlns": _NAMESPACE,
            "data-generator": "ascnet",
            "width": _n(drawing.width),
            "height": _n(drawing.height),
        }
    lines = [f"<svg{_attributes(head)}>"]
    if alone:
        lines.append(_shape(Rect(0, 0, drawing.width, drawing.height, "paper")))
    lines += [_shape(shape) for shape in drawing.shapes]
    return "\n".join([*lines, "</svg>"]) + "\n"


def clean(text: str) -> str:
    """The text with a replacement for what XML cannot hold."""
    return _FORBIDDEN.sub("\ufffd", utf8(text))


def _shape(shape: Shape) -> str:
    match shape:
        case Rect():
            return _rect(shape)
        case Strokes():
            return _strokes(shape)
        case Marker():
            return _marker(shape)
        case Text():
            return _text(shape)


def _rect(rect: Rect) -> str:
    attributes = {
        "x": _n(rect.x), "y": _n(rect.y), "width": _n(rect.width), "height": _n(rect.height),
        **_paint("fill", rect.fill),
        **({} if rect.stroke is None else _paint("stroke", rect.stroke)),
        **({} if rect.opacity == 1 else {"opacity": _n(rect.opacity)}),
        **_data(rect.data),
    }  # fmt: skip
    return _element("rect", attributes, _classes(rect.fill, rect.stroke, group=rect.group), title=rect.title)


def _strokes(strokes: Strokes) -> str:
    path = "".join("M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in line) for line in strokes.lines)
    attributes = {
        "d": path,
        "fill": "none",
        **_paint("stroke", strokes.stroke),
        "stroke-width": _n(strokes.width),
        **({"stroke-dasharray": " ".join(map(_n, strokes.dash))} if strokes.dash else {}),
        **({} if strokes.opacity == 1 else {"opacity": _n(strokes.opacity)}),
        "stroke-linejoin": "round",
    }
    return _element(
        "path", attributes, _classes(None, strokes.stroke, group=strokes.group), title=strokes.title
    )


def _marker(marker: Marker) -> str:
    if marker.kind == "circle":
        attributes = {"cx": _n(marker.x), "cy": _n(marker.y), "r": _n(marker.size)}
        return _element(
            "circle", {**attributes, **_paint("fill", marker.fill)}, _classes(marker.fill), title=marker.title
        )
    points = " ".join(f"{_n(x)},{_n(y)}" for x, y in outline(marker))
    return _element(
        "polygon",
        {"points": points, **_paint("fill", marker.fill)},
        _classes(marker.fill),
        title=marker.title,
    )


def outline(marker: Marker) -> tuple[Point, ...]:
    """Corners of a marker that is no circle, about as large as one of its size."""
    shapes: Mapping[str, tuple[Point, ...]] = {
        "square": ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
        "triangle": ((0, -1.2), (1.1, 0.9), (-1.1, 0.9)),
        "nabla": ((0, 1.2), (1.1, -0.9), (-1.1, -0.9)),
        "diamond": ((0, -1.3), (1.1, 0), (0, 1.3), (-1.1, 0)),
        "plus": (
            (-0.4, -1.2), (0.4, -1.2), (0.4, -0.4), (1.2, -0.4), (1.2, 0.4), (0.4, 0.4),
            (0.4, 1.2), (-0.4, 1.2), (-0.4, 0.4), (-1.2, 0.4), (-1.2, -0.4), (-0.4, -0.4),
        ),
    }  # fmt: skip
    return tuple((marker.x + marker.size * x, marker.y + marker.size * y) for x, y in shapes[marker.kind])


def _text(text: Text) -> str:
    attributes = {
        "x": _n(text.x),
        "y": _n(text.y),
        "font-size": _n(text.size),
        **_paint("fill", text.fill),
        **({} if text.anchor == "start" else {"text-anchor": text.anchor}),
        **({"font-weight": "600"} if text.bold else {}),
        **({"transform": _TURN.format(_n(text.x), _n(text.y))} if text.turned else {}),
        **_data(text.data),
    }
    return _element(
        "text", attributes, _classes(text.fill, group=text.group), text=text.text, title=text.title
    )


def _paint(what: str, colour: str) -> dict[str, str]:
    return {what: ROLES.get(colour, colour)}


def _classes(*painted: str | None, group: str = "") -> str:
    """Classes by which a page gives roles its own colours: `fill-ink`, `stroke-grid`."""
    kinds = [
        f"{what}-{role}" for what, role in zip(("fill", "stroke"), painted, strict=False) if role in ROLES
    ]
    return " ".join([*kinds, group] if group else kinds)


def _data(data: Mapping[str, str]) -> dict[str, str]:
    return {f"data-{name}": value for name, value in data.items()}


def _element(
    name: str, attributes: Mapping[str, str], classes: str, *, text: str = "", title: str = ""
) -> str:
    shown = {**attributes, "class": classes} if classes else attributes
    inside = (f"<title>{escape(clean(title))}</title>" if title else "") + escape(clean(text))
    return f"<{name}{_attributes(shown)}>{inside}</{name}>" if inside else f"<{name}{_attributes(shown)}/>"


def _attributes(values: Mapping[str, str]) -> str:
    return "".join(f" {name}={quoteattr(clean(value))}" for name, value in values.items())


def _n(value: Pixels) -> str:
    """A number in at most two decimals: a hundredth of a pixel."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if value % 1 else str(int(value))
