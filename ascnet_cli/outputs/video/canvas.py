"""One picture in memory that is painted over and over: the source's frame, and what stays around it."""

from __future__ import annotations

from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from jaxtyping import UInt8

from ascnet_cli.outputs.video.colour import BLACK, Colours, Planes
from ascnet_cli.outputs.video.layout import Box
from ascnet_cli.outputs.video.upright import PIXEL_FORMAT, Upright
from extractors.decode_pyav import StoredFrame


class Canvas:
    """A picture of even size with a place for the source's frames.

    Args:
        size: width and height, even.
        place: what is kept for frames; smaller ones stand in its middle.
        picture: width and height of the source's first frame; later ones are not shown larger.
        colours: of the source.
    """

    def __init__(self, size: tuple[int, int], place: Box, picture: tuple[int, int], colours: Colours) -> None:
        self.frame = VideoFrame(*size, PIXEL_FORMAT)
        self._place = place
        self._upright = Upright(picture, colours)
        self._shown: tuple[int, int] | None = None

    def planes(self) -> Planes:
        """The picture's own memory, to paint into; to be asked for again after each frame was encoded."""
        self.frame.make_writable()
        return Planes(*_views(self.frame))

    def show(self, frame: StoredFrame) -> None:
        """Put a frame of the source in its place.

        Raises:
            VideoError: it cannot be converted.
        """
        picture = self._upright.picture(frame)
        canvas, size = self.planes(), (picture.width, picture.height)
        place = self._place
        if size != self._shown:
            self._shown = size
            for plane, value, part in zip((canvas.y, canvas.u, canvas.v), BLACK, (1, 2, 2), strict=True):
                plane[place.y // part : (place.y + place.height) // part] = value
        # Colour differences have half the pixels: frames stand at even places.
        x = place.x + (place.width - size[0]) // 4 * 2
        y = place.y + (place.height - size[1]) // 4 * 2
        for to, part, source in zip((canvas.y, canvas.u, canvas.v), (1, 2, 2), _views(picture), strict=True):
            rows, columns = source.shape
            top, left = y // part, x // part
            to[top : top + rows, left : left + columns] = source
            if part == 1:
                _close(to, top, left, rows, columns)


def _close(luma: UInt8[np.ndarray, "h w"], top: int, left: int, rows: int, columns: int) -> None:
    """Repeat the last row and column of a frame of odd size, whose colours have room for it."""
    if columns % 2:
        luma[top : top + rows, left + columns] = luma[top : top + rows, left + columns - 1]
    if rows % 2:
        end = left + columns + columns % 2
        luma[top + rows, left:end] = luma[top + rows - 1, left:end]


def _views(frame: VideoFrame) -> list[UInt8[np.ndarray, "h w"]]:
    views = []
    for number, plane in enumerate(frame.planes):
        part = 2 if number else 1
        rows, columns = -(-frame.height // part), -(-frame.width // part)
        memory: Any = plane  # a buffer, which its type does not say
        flat = np.frombuffer(memory, np.uint8)
        views.append(flat[: rows * plane.line_size].reshape(rows, plane.line_size)[:, :columns])
    return views
