"""One picture out of a video, without reading all that comes before it."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import av.container
import av.error
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from jaxtyping import UInt8

from extractors.decode_pyav import check_size, is_repeat, open_container
from extractors.errors import VideoError
from extractors.pictures import Scaler, orientation, upright
from extractors.video import MAX_PIXELS, check_file

# Key frames may lie far apart: whoever wants a picture of about this time does not wait for more frames.
_MOST_FRAMES = 250
# A video that fades in begins black: its first picture worth a look is within so many frames.
_FADING_FRAMES = 100
_LEAST_CONTRAST = 12.0  # standard deviation of the pixels' values, 0 to 255


def still(
    path: Path, *, at_s: float | None = None, short_side: int | None = None, max_pixels: int = MAX_PIXELS
) -> UInt8[np.ndarray, "h w 3"]:
    """A picture of a video, upright and with square pixels.

    Args:
        path: a regular file.
        at_s: the picture shown at about this time, seconds from the first one; None: the first that is
            more than a plain colour.
        short_side: length of the shorter side that it is resized to, pixels; None keeps its size.
        max_pixels: larger pictures are refused.

    Raises:
        VideoError: not a readable video, or nothing in it could be decoded.
    """
    check_file(path)
    container, stream = open_container(path, max_pixels=max_pixels)
    with container:
        base = stream.time_base or Fraction(1, 1000)
        scaler = Scaler(short_side, base)

        def picture(frame: VideoFrame) -> UInt8[np.ndarray, "h w 3"]:
            check_size(frame.width, frame.height, max_pixels)
            try:
                rgb = scaler.rgb(frame, stream.sample_aspect_ratio)
            except av.error.FFmpegError as error:
                raise VideoError("its pictures cannot be converted to RGB") from error
            return upright(rgb, *orientation(frame))

        found = _shown(container, stream, base, at_s) if at_s is not None else None
        if found is not None:
            return picture(found)
        if at_s is not None:
            container.seek(0)
        rgb = None
        for number, frame in enumerate(_frames(container, stream)):
            rgb = picture(frame)
            if number >= _FADING_FRAMES or rgb.std() >= _LEAST_CONTRAST:
                break
    if rgb is None:
        raise VideoError("no frame could be decoded", hint="check with a player that it plays")
    return rgb


def _shown(
    container: av.container.InputContainer, stream: VideoStream, base: Fraction, at_s: float
) -> VideoFrame | None:
    """The frame shown at a time, or a near one before it; None where the file cannot be searched."""
    wanted = (stream.start_time or 0) + round(at_s / base)
    try:
        container.seek(wanted, stream=stream)
    except (av.error.FFmpegError, OSError):
        return None
    latest = None
    for number, frame in enumerate(_frames(container, stream)):
        if frame.pts is None or frame.pts > wanted or number >= _MOST_FRAMES:
            return latest or frame
        latest = frame
    return latest


def _frames(container: av.container.InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Frames from where the file stands; packets that cannot be decoded are passed over."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, IndexError, av.error.FFmpegError, OSError):
            return
        if is_repeat(packet):
            continue
        try:
            decoded = packet.decode()
        except (av.error.FFmpegError, MemoryError):
            continue
        yield from (frame for frame in decoded if isinstance(frame, VideoFrame))
