"""What is in an SVG, for tests that compare it with the numbers it was made from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree

from ascnet_cli.outputs.charts.drawing import Drawing
from ascnet_cli.outputs.charts.svg import to_svg

_NAMESPACE = "{http://www.w3.org/2000/svg}"


def parsed(drawing: Drawing) -> ElementTree.Element:
    return ElementTree.fromstring(to_svg(drawing))


def of_class(svg: ElementTree.Element, name: str, group: str) -> list[ElementTree.Element]:
    """Elements of a kind in a group."""
    return [e for e in svg.iter(_NAMESPACE + name) if group in e.get("class", "").split()]


def elements(svg: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return list(svg.iter(_NAMESPACE + name))


def title(element: ElementTree.Element) -> str:
    return element.findtext(f"{_NAMESPACE}title") or ""


def texts(svg: ElementTree.Element) -> list[str]:
    return ["".join(e.itertext()) for e in elements(svg, "text")]


def box(rect: ElementTree.Element) -> tuple[float, float, float, float]:
    """Left, top, right, bottom."""
    x, y, width, height = (float(rect.get(key)) for key in ("x", "y", "width", "height"))
    return x, y, x + width, y + height


def points(path: ElementTree.Element) -> list[list[tuple[float, float]]]:
    """The corners of each line of a path."""
    lines = path.get("d").split("M")[1:]
    return [[tuple(map(float, point.split())) for point in re.split("L", line)] for line in lines]


def everything_inside(svg: ElementTree.Element) -> Iterator[ElementTree.Element]:
    """Rectangles, circles and lines that reach out of the picture; there should be none."""
    _, _, width, height = map(float, svg.get("viewBox").split())
    for rect in elements(svg, "rect"):
        left, top, right, bottom = box(rect)
        if left < -0.01 or top < -0.01 or right > width + 0.01 or bottom > height + 0.01:
            yield rect
    for path in elements(svg, "path"):
        if any(not (0 <= x <= width and 0 <= y <= height) for line in points(path) for x, y in line):
            yield path
