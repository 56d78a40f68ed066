"""Decoded pictures as a person sees them: square pixels, resized, RGB, upright."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import av.error
import av.filter
import numpy as np
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame
from jaxtyping import UInt8

from extractors.errors import VideoError
from extractors.video import MAX_ASPECT, MAX_PIXELS

# Exact and repeatable conversion: no approximations that depend on the processor.
_SCALE_FLAGS = "bilinear+accurate_rnd+full_chroma_int+full_chroma_inp+bitexact"


def displayed_size(width: int, height: int, pixel_aspect: Fraction | None) -> tuple[int, int]:
    """Width and height with square pixels: the wider direction of a pixel is stretched.

    An aspect outside [1/4, 4] is taken for a damaged header and ignored.
    """
    if not pixel_aspect or not Fraction(1, 4) <= pixel_aspect <= 4:
        return width, height
    if pixel_aspect >= 1:
        return max(round(width * pixel_aspect), 1), height
    return width, max(round(height / pixel_aspect), 1)


def resized(width: int, height: int, short_side: int | None) -> tuple[int, int]:
    """Width and height after the shorter side has been made `short_side` pixels long.

    Raises:
        VideoError: the picture is so long and narrow that it would be blown up out of all proportion.
    """
    if short_side is None:
        return width, height
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise VideoError(
            f"a picture of {width}x{height} is too long and narrow: its longer side may be {MAX_ASPECT} times"
            " the shorter one",
            hint="crop the video first, or cut it into several",
        )
    scale = Fraction(short_side, min(width, height))
    return max(round(width * scale), short_side), max(round(height * scale), short_side)


class Scaler:
    """Resizes and converts to RGB through one filter graph, rebuilt when the incoming picture changes."""

    def __init__(self, short_side: int | None, time_base: Fraction) -> None:
        self._short_side = short_side
        self._time_base = time_base
        self._key: tuple[object, ...] = ()
        self._graph: av.filter.Graph | None = None

    def rgb(self, frame: VideoFrame, pixel_aspect: Fraction | None) -> UInt8[np.ndarray, "h w 3"]:
        """A frame in 8-bit RGB at the final size, as it was stored: not yet turned upright.

        Raises:
            VideoError: it cannot be converted.
        """
        key = (
            frame.width,
            frame.height,
            frame.format.name,
            frame.colorspace,
            frame.color_range,
            pixel_aspect,
        )
        if self._graph is None or key != self._key:
            self._graph, self._key = self._build(frame, pixel_aspect), key
        frame.pts = None
        self._graph.push(frame)
        scaled = self._graph.pull()
        if not isinstance(scaled, VideoFrame):
            raise VideoError("the picture could not be converted to RGB")
        pixels: UInt8[np.ndarray, "h w 3"] = scaled.to_ndarray()
        return pixels

    def _build(self, frame: VideoFrame, pixel_aspect: Fraction | None) -> av.filter.Graph:
        width, height = displayed_size(frame.width, frame.height, pixel_aspect)
        width, height = resized(width, height, self._short_side)
        if width * height > MAX_PIXELS:
            raise VideoError(
                f"a picture of {frame.width}x{frame.height} would be too large at {width}x{height}"
            )
        graph = av.filter.Graph()
        graph.threads = 1
        source = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=self._time_base
        )
        scale = graph.add("scale", f"{width}:{height}:flags={_SCALE_FLAGS}")
        pixel_format = graph.add("format", "pix_fmts=rgb24")
        sink = graph.add("buffersink")
        source.link_to(scale)
        scale.link_to(pixel_format)
        pixel_format.link_to(sink)
        graph.configure()
        return graph


def orientation(frame: VideoFrame) -> tuple[bool, int]:
    """How a decoded picture must be turned to stand upright: (mirror left to right, quarter turns).

    The display matrix rotates about the origin, and a negative determinant mirrors. Quarter turns are
    counter-clockwise, as `numpy.rot90` counts, and come after the mirroring.
    """
    every: Any = frame.side_data  # typed as if its keys were strings alone
    side_data = every.get(SideDataType.DISPLAYMATRIX)
    if side_data is None:
        return False, 0
    # 3 x 3, row by row; 16.16 fixed point in the four numbers that turn and mirror.
    a, b, _, c, d = (int(v) for v in np.frombuffer(bytes(side_data), dtype="<i4")[:5])
    mirrored = a * d - b * c < 0
    if mirrored:  # take the mirroring of the decoded picture out: what is left turns it
        a, b = -a, -b
    degrees = -np.degrees(np.arctan2(b, a))
    return mirrored, round(degrees / 90) % 4


def upright(
    rgb: UInt8[np.ndarray, "h w 3"], mirrored: bool, quarter_turns: int
) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Apply what `orientation` found; always C-contiguous."""
    if mirrored:
        rgb = rgb[:, ::-1]
    if quarter_turns:
        rgb = np.rot90(rgb, quarter_turns)
    return np.ascontiguousarray(rgb)
