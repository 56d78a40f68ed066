"""Videos as short pieces of grid frames: what the decoding side hands to the networks' side.

One video after the other is read, put on the 25 fps grid and cut into pieces of one length. A video that
fails ends with its error, and the next one is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Shaped, UInt8

from extractors.errors import VideoError
from extractors.networks import INPUT_PX
from extractors.snippets import Resampler
from extractors.video import DecodeReport, Frame, Limits, VideoReader, open_video


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive grid frames of one video.

    Attributes:
        video: number of the video, counted from 0.
        frames: (t, h, w, 3) 8-bit RGB.
        following: the frame after them, where whole frames are kept and the video goes on.
        last: the video ends with them.
        total_s: the video's duration by its header, seconds, or None.
    """

    video: int
    frames: UInt8[np.ndarray, "t h w 3"]
    following: UInt8[np.ndarray, "h w 3"] | None
    last: bool
    total_s: float | None


@dataclass(frozen=True, slots=True)
class VideoEnd:
    """Nothing more comes of a video.

    Attributes:
        video: its number.
        outcome: what decoding came to, or why it failed.
    """

    video: int
    outcome: DecodeReport | Exception


def centre_crop(
    pictures: Shaped[np.ndarray, "*n h w c"], side: int = INPUT_PX
) -> Shaped[np.ndarray, "*n side side c"]:
    """The middle `side` x `side` pixels of (..., H, W, c) pictures; a view.

    Raises:
        ValueError: the pictures are smaller.
    """
    height, width = pictures.shape[-3:-1]
    if min(height, width) < side:
        raise ValueError(f"cannot cut {side}x{side} out of {width}x{height}")
    top, left = (height - side) // 2, (width - side) // 2
    return pictures[..., top : top + side, left : left + side, :]


def read_videos(
    paths: Iterable[Path],
    *,
    decoder: str,
    limits: Limits,
    length: int,
    whole: bool,
    given_up: Callable[[int], bool] = lambda _video: False,
) -> Iterator[Piece | VideoEnd]:
    """Each video's pieces, then its end.

    Args:
        paths: the files; asked for the next one when the last one has been read.
        decoder: see `open_video`.
        limits: see `open_video`.
        length: grid frames a piece; a video's last one may be shorter.
        whole: keep whole frames, and give each piece the frame after it, as optical flow needs. Otherwise
            frames are cropped at once, which bounds the memory whatever their shape.
        given_up: asked with a video's number after each piece; true if the rest of it need not be read.
    """
    for video, path in enumerate(paths):
        try:
            with open_video(path, decoder=decoder, limits=limits) as reader:
                for piece in _pieces(reader, video, length, whole):
                    yield piece
                    if given_up(video):
                        break
                report = reader.report
        except Exception as error:  # noqa: BLE001 - whatever a damaged file sets off, the next one is read
            yield VideoEnd(video, error)
        else:
            yield VideoEnd(video, report)


def _pieces(reader: VideoReader, video: int, length: int, whole: bool) -> Iterator[Piece]:
    total_s = reader.info.header_duration_s
    held: UInt8[np.ndarray, "t h w 3"] | None = None
    n_held = 0
    for picture in _pictures(reader, whole):
        if held is None:
            held = np.empty((length, *picture.shape), np.uint8)
        elif n_held == length:
            yield Piece(video, held, picture if whole else None, last=False, total_s=total_s)
            held, n_held = np.empty_like(held), 0
        held[n_held] = picture
        n_held += 1
    if held is None:
        raise VideoError("no frame could be decoded", hint="the file is damaged")
    yield Piece(video, held[:n_held], None, last=True, total_s=total_s)


def _pictures(reader: VideoReader, whole: bool) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """Grid frames, all of the first one's size (a stream may change its format), cropped unless `whole`."""

    def duration() -> Iterator[float]:
        yield reader.report.duration_s

    size: tuple[int, ...] | None = None
    for frame in Resampler().resample(reader.frames(), duration()):
        size = size or frame.rgb.shape
        picture = _fitted(frame, size)
        yield picture if whole else centre_crop(picture)


def _fitted(frame: Frame, size: tuple[int, ...]) -> UInt8[np.ndarray, "h w 3"]:
    if frame.rgb.shape == size:
        return frame.rgb
    import cv2

    resized: UInt8[np.ndarray, "h w 3"] = cv2.resize(
        frame.rgb, (size[1], size[0]), interpolation=cv2.INTER_LINEAR
    )
    return resized
