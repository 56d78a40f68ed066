"""The panel below the picture, painted into a video's planes: only what has changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import UInt8

from ascnet_cli.outputs.colours import Style
from ascnet_cli.outputs.video import text
from ascnet_cli.outputs.video.colour import Colours, Planes
from ascnet_cli.outputs.video.drawing import (
    DIM,
    GROUND,
    WHITE,
    Picture,
    ground,
    pill,
    pixels,
    remark,
    score_text,
)
from ascnet_cli.outputs.video.layout import Box, Layout
from ascnet_cli.outputs.video.running import Bar, Shown
from ascnet_cli.outputs.video.strip import draw_strip
from ascnet_cli.segments import Detection

Ramp = UInt8[np.ndarray, "n"]

_NOTHING = "no action"
_NEUTRAL = 128  # of U and V


def clock(time_s: float, *, tenths: bool, hours: bool) -> str:
    """A time as `m:ss` or `h:mm:ss`, with or without tenths; cut, not rounded."""
    tenth = int(time_s * 10 + 1e-6)
    seconds, rest = divmod(tenth, 10)
    minutes, seconds = divmod(seconds, 60)
    shown = f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
    return f"{shown}.{rest}" if tenths else shown


def time_texts(duration_s: float) -> tuple[float, float]:
    """How wide the time is with and without the video's length, in sizes of the text."""
    hours = duration_s >= 3600
    longest = clock(duration_s, tenths=True, hours=hours)
    total = " / " + clock(duration_s, tenths=False, hours=hours)
    size_px = 32
    return _cells(longest + total, size_px) / size_px, _cells(longest, size_px) / size_px


class Panel:
    """Paints bar, time and timeline; a canvas that was painted once is only brought up to date.

    Args:
        layout: where everything stands.
        colours: of the video that is written.
        detections: what was found.
        duration_s: what the timeline's length stands for, seconds; more than 0.
        styles: of every label.
    """

    def __init__(
        self,
        layout: Layout,
        colours: Colours,
        detections: Sequence[Detection],
        duration_s: float,
        styles: Mapping[str, Style],
    ) -> None:
        self._layout = layout
        self._colours = colours
        self._duration_s = duration_s
        self._styles = styles
        self._bar = Bar(detections, layout.n_slots)
        self._strip = colours.planes(draw_strip(detections, duration_s, styles, layout))
        self._lumas = self._ramp(WHITE), self._ramp(DIM)
        self._hours = duration_s >= 3600
        self._time = ""
        self._x = -1
        self._painted = False

    def _ramp(self, ink: tuple[int, int, int]) -> Ramp:
        """Luma of text by how much of the pen is in a pixel."""
        share = np.linspace(0, 1, 256)[:, None]
        colours = np.rint(np.array(GROUND) * (1 - share) + np.array(ink) * share).astype(np.uint8)
        luma: Ramp = self._colours.planes(np.stack([colours, colours])).y[0]
        return luma

    def paint(self, canvas: Planes, time_s: float) -> None:
        """Bring the panel of a canvas up to a moment.

        Args:
            canvas: always the same one, or a copy of it.
            time_s: not before the last one.
        """
        if not self._painted:
            panel = self._layout.panel
            self._put(canvas, panel, self._colours.planes(pixels(ground(panel.width, panel.height))))
        if self._bar.advance(time_s) or not self._painted:
            self._paint_bar(canvas, self._bar.shown)
        shown = clock(time_s, tenths=True, hours=self._hours)
        if shown != self._time:
            self._time = shown
            self._paint_time(canvas)
        strip = self._layout.strip
        x = strip.x + round(min(time_s / self._duration_s, 1.0) * (strip.width - 1))
        if x != self._x:
            self._x = x
            self._paint_strip(canvas)
        self._painted = True

    def _paint_bar(self, canvas: Planes, shown: Shown) -> None:
        size_px = self._layout.text_px
        for index, action in enumerate(shown.slots):
            box = self._layout.slot(index)
            size = box.width, box.height
            if action is not None:
                style = self._styles[action.label]
                drawn = pill(action.label, score_text(action.score), style, size, size_px)
            elif shown.n_more and index == len(shown.slots) - 1:
                drawn = remark(f"+{shown.n_more} more", size, size_px)
            elif not index and not any(shown.slots):
                drawn = remark(_NOTHING, size, size_px)
            else:
                drawn = remark("", size, size_px)
            self._put(canvas, box, self._planes_of(drawn))

    def _planes_of(self, drawn: Picture) -> Planes:
        return self._colours.planes(drawn)

    def _paint_time(self, canvas: Planes) -> None:
        box, size_px = self._layout.time, self._layout.text_px
        total = ""
        if self._layout.with_total:
            total = " / " + clock(self._duration_s, tenths=False, hours=self._hours)
        line = np.full((text.line_height(size_px), box.width), self._lumas[0][0], np.uint8)
        x = box.width - _cells(self._time + total, size_px)
        for number, character in enumerate(self._time + total):
            cell = _cell(character, size_px)
            if x >= 0 and x + cell.shape[1] <= box.width:
                line[:, x : x + cell.shape[1]] = self._lumas[number >= len(self._time)][cell]
            x += cell.shape[1]
        top = box.y + (box.height - len(line)) // 2
        canvas.y[top : top + len(line), box.x : box.x + box.width] = line

    def _paint_strip(self, canvas: Planes) -> None:
        strip, line = self._layout.strip, max(round(self._layout.text_px / 14), 1)
        reach = max(line + 1, 3)
        # The playhead stands out above and below: its ground is painted anew with the lanes.
        above, below = strip.y - reach, strip.y + strip.height + reach
        dark, light = self._lumas[0][0], self._lumas[0][255]
        canvas.y[above:below] = dark
        self._put(canvas, strip, self._strip)
        left, right = self._x - line // 2, self._x - line // 2 + line
        canvas.y[strip.y : strip.y + strip.height, max(left - line, 0) : right + line] = dark
        canvas.y[above:below, left:right] = light
        for step in range(reach):  # a notch on top, pointing down
            width = reach - step
            canvas.y[above + step, max(left - width, 0) : right + width] = light
        columns = slice(max(left - line, 0) // 2, (right + line + 1) // 2)
        for plane in (canvas.u, canvas.v):
            plane[strip.y // 2 : (strip.y + strip.height) // 2, columns] = _NEUTRAL

    @staticmethod
    def _put(canvas: Planes, box: Box, drawn: Planes) -> None:
        rows, columns = slice(box.y, box.y + box.height), slice(box.x, box.x + box.width)
        canvas.y[rows, columns] = drawn.y
        rows, columns = (slice(s.start // 2, s.stop // 2) for s in (rows, columns))
        canvas.u[rows, columns], canvas.v[rows, columns] = drawn.u, drawn.v


@lru_cache(maxsize=256)
def _cell(character: str, size_px: int) -> UInt8[np.ndarray, "h w"]:
    """A character of the time; all digits are as wide as the widest, so that nothing jumps."""
    drawn = text.line(character, size_px)
    if not character.isdigit():
        return drawn
    width = max(text.width(digit, size_px) for digit in "0123456789")
    cell = np.zeros((len(drawn), width), np.uint8)
    left = (width - drawn.shape[1]) // 2
    cell[:, left : left + drawn.shape[1]] = drawn
    return cell


def _cells(characters: str, size_px: int) -> int:
    return sum(_cell(character, size_px).shape[1] for character in characters)
