"""The timeline: all segments of a video in lanes, drawn once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PIL import Image

from ascnet_cli.outputs.colours import Style, rgb
from ascnet_cli.outputs.video import text
from ascnet_cli.outputs.video.drawing import TRACK, Picture, fill, ground, pixels, write
from ascnet_cli.outputs.video.layout import Layout
from ascnet_cli.segments import Detection

_LEAST_PX = 2  # a segment is at least that long
_LABEL_SHARE = 0.7  # of a lane's height
_LEAST_LABEL_PX = 12  # smaller letters are left out


def lanes_of(detections: Sequence[Detection], n_lanes: int) -> list[int]:
    """Which lane each segment is in: one for each class where they suffice, by first appearance.

    Where there are more classes than lanes, segments that overlap are in different lanes as far as these
    go; the lane that is free for longest comes last, so that a class's neighbours stay together.

    Args:
        detections: in any order.
        n_lanes: how many there are.
    """
    order = sorted(range(len(detections)), key=lambda k: (detections[k].segment, detections[k].label))
    first: dict[str, int] = {}
    for index in order:
        first.setdefault(detections[index].label, len(first))
    if len(first) <= n_lanes:
        return [first[found.label] for found in detections]
    lanes, free_from_s = [0] * len(detections), [0.0] * n_lanes
    for index in order:
        segment = detections[index].segment
        fitting = [lane for lane in range(n_lanes) if free_from_s[lane] <= segment.start_s]
        lane = fitting[0] if fitting else min(range(n_lanes), key=free_from_s.__getitem__)
        free_from_s[lane] = max(free_from_s[lane], segment.end_s)
        lanes[index] = lane
    return lanes


def draw_strip(
    detections: Sequence[Detection], duration_s: float, styles: Mapping[str, Style], layout: Layout
) -> Picture:
    """The lanes with all segments, as large as `layout.strip`.

    Args:
        detections: in any order; where two are in each other's way the better one is on top.
        duration_s: what the strip's length stands for, seconds.
        styles: of every label.
        layout: where the lanes are.
    """
    strip = layout.strip
    image = ground(strip.width, strip.height)
    for number in range(layout.n_lanes):
        top, bottom = _lane(layout, number)
        image.paste(TRACK, (0, top, strip.width, bottom))
    placed = zip(detections, lanes_of(detections, layout.n_lanes), strict=True)
    for found, lane in sorted(placed, key=lambda pair: pair[0].score):
        top, bottom = _lane(layout, lane)
        left = min(_x(found.segment.start_s, duration_s, strip.width), strip.width - _LEAST_PX)
        right = max(_x(found.segment.end_s, duration_s, strip.width), left + _LEAST_PX)
        _draw_segment(image, (left, top, right, bottom), found.label, styles[found.label], layout.text_px)
    return pixels(image)


def _draw_segment(
    image: Image.Image, box: tuple[int, int, int, int], label: str, style: Style, text_px: int
) -> None:
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    image.paste(fill(style, (width, height), text_px // 2), (left, top))
    size_px = round(_LABEL_SHARE * height)
    room = width - size_px
    if size_px < _LEAST_LABEL_PX or room < 2 * size_px:
        return
    words = text.shortened(label, size_px, room)
    if len(words) < min(len(label), 4):  # a letter and an ellipsis say nothing
        return
    x = left + size_px // 2
    if style.pattern:
        words_px = text.width(words, size_px)
        image.paste(rgb(style.colour), (x - size_px // 4, top, x + words_px + size_px // 4, bottom))
    # The line's own box is higher than the lane: its letters stand in the middle of it.
    line = Image.new("RGB", (text.width(words, size_px), height), rgb(style.colour))
    write(line, (0, (height - text.line_height(size_px)) // 2), words, size_px, rgb(style.ink))
    image.paste(line, (x, top))


def _lane(layout: Layout, number: int) -> tuple[int, int]:
    top, bottom = layout.lane(number)
    return top - layout.strip.y, bottom - layout.strip.y


def _x(time_s: float, duration_s: float, width: int) -> int:
    return round(min(max(time_s / duration_s, 0.0), 1.0) * width)
