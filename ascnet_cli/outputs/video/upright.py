"""Stored pictures as a person sees them, in 8-bit 4:2:0: upright, square pixels, within one size.

Most videos are stored so already; their numbers are then taken as they are, and never become RGB.
"""

from __future__ import annotations

from fractions import Fraction

import av
import av.error
import av.filter
from av.video.frame import VideoFrame

from ascnet_cli.errors import VideoError
from ascnet_cli.outputs.video.colour import Colours
from extractors.decode_pyav import StoredFrame
from extractors.pictures import displayed_size
from extractors.video import MAX_PIXELS

PIXEL_FORMAT = "yuv420p"
_SCALE_FLAGS = "bicubic+accurate_rnd+full_chroma_int+full_chroma_inp+bitexact"
_MAX_SIDE = 15_000  # pixels; x264 takes 16384, a panel below the picture included
_FULL_RANGE = 2  # AVCOL_RANGE_JPEG
# `orientation` counts quarter turns counter-clockwise; FFmpeg's transpose=2 is one of them, 1 is three.
_TURNS = {0: (), 1: (("transpose", "2"),), 2: (("hflip", ""), ("vflip", "")), 3: (("transpose", "1"),)}


def upright_size(frame: StoredFrame) -> tuple[int, int]:
    """Width and height of a frame as it is to be seen.

    Raises:
        VideoError: with square pixels it would be too large, or too long for an encoder.
    """
    width, height = displayed_size(frame.picture.width, frame.picture.height, frame.pixel_aspect)
    if width * height > MAX_PIXELS or max(width, height) > _MAX_SIDE:
        raise VideoError(
            f"with square pixels its pictures are {width}x{height}, too large to be written",
            hint="scale the video down first",
        )
    return (height, width) if frame.quarter_turns % 2 else (width, height)


class Upright:
    """Turns and converts frames through one filter graph, rebuilt when the incoming picture changes.

    Args:
        size: width and height that pictures must not exceed; those that do are made smaller.
        colours: of the video that is written.
    """

    def __init__(self, size: tuple[int, int], colours: Colours) -> None:
        self._size = size
        self._colours = colours
        self._key: tuple[object, ...] = ()
        self._graph: av.filter.Graph | None = None

    def picture(self, frame: StoredFrame) -> VideoFrame:
        """The frame in 8-bit 4:2:0, limited range; its own picture where that is so already.

        Raises:
            VideoError: it cannot be converted.
        """
        stored = frame.picture
        key = (
            stored.width,
            stored.height,
            stored.format.name,
            stored.colorspace,
            stored.color_range,
            frame.pixel_aspect,
            frame.mirrored,
            frame.quarter_turns,
        )
        try:
            if key != self._key:
                self._graph, self._key = self._build(frame), key
            if self._graph is None:
                return stored
            stored.pts = None
            self._graph.push(stored)
            converted = self._graph.pull()
        except (av.error.FFmpegError, ValueError) as error:
            raise VideoError(f"its pictures ({stored.format.name}) cannot be converted") from error
        if not isinstance(converted, VideoFrame):
            raise VideoError(f"its pictures ({stored.format.name}) cannot be converted")
        return converted

    def _build(self, frame: StoredFrame) -> av.filter.Graph | None:
        stored = frame.picture
        width, height = upright_size(frame)
        shrink = min(Fraction(self._size[0], width), Fraction(self._size[1], height), Fraction(1))
        width, height = max(int(width * shrink), 1), max(int(height * shrink), 1)
        if frame.quarter_turns % 2:
            width, height = height, width
        full = stored.color_range == _FULL_RANGE or stored.format.name.startswith("yuvj")
        same_size = (width, height) == (stored.width, stored.height)
        converted = stored.format.name != PIXEL_FORMAT or full or not same_size
        if not (converted or frame.mirrored or frame.quarter_turns):
            return None
        steps: list[tuple[str, str]] = []
        if converted:
            matrix = self._colours.matrix_name
            scale = f"{width}:{height}:flags={_SCALE_FLAGS}:out_color_matrix={matrix}:out_range=limited"
            if not stored.format.is_rgb:
                # A grey picture, and one that does not say, is of the same matrix as what is written.
                scale += f":in_color_matrix={matrix}:in_range={'full' if full else 'auto'}"
            steps += [("scale", scale), ("format", f"pix_fmts={PIXEL_FORMAT}")]
        if frame.mirrored:
            steps.append(("hflip", ""))
        steps += _TURNS[frame.quarter_turns % 4]
        return _chain(stored, steps)


def _chain(frame: VideoFrame, steps: list[tuple[str, str]]) -> av.filter.Graph:
    graph = av.filter.Graph()
    graph.threads = 1
    last = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 1000)
    )
    for name, arguments in steps:
        following = graph.add(name, arguments or None)
        last.link_to(following)
        last = following
    sink = graph.add("buffersink")
    last.link_to(sink)
    graph.configure()
    return graph
