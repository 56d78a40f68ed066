"""Pictures of clips on one time grid and in one size, and their encoding as H.264."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream
from jaxtyping import UInt8

from ascnet_cli.datasets.stitch_plan import VideoPlan
from ascnet_cli.errors import VideoError
from extractors.decode_pyav import probe
from extractors.snippets import Resampler
from extractors.video import MAX_PIXELS, check_file, open_video
from weights.atomic import replacing

Picture = UInt8[np.ndarray, "h w 3"]

# One thread, and nothing of today in the file: the same pictures give the same bytes with the same encoder.
# x264's code for AVX-512 reads beyond its data (1 of 100 encodings of the same pictures came out otherwise):
# `cpu-independent` does without it, and gave one result in 300.
ENCODER = {
    "crf": "20",
    "preset": "medium",
    "threads": "1",
    "flags": "+bitexact",
    "x264-params": "cpu-independent=1",
}


def covering_side(width: int, height: int, size: tuple[int, int]) -> int:
    """How long the shorter side must be for a picture to cover another size, pixels.

    Args:
        width: of the picture, in square pixels.
        height: likewise.
        size: width and height to cover.
    """
    scale = max(Fraction(size[0], width), Fraction(size[1], height))
    return math.ceil(min(width, height) * scale)


def centre(rgb: Picture, size: tuple[int, int]) -> UInt8[np.ndarray, "h2 w2 3"]:
    """The middle of a picture.

    Args:
        rgb: (H, W, 3), at least as large as `size`.
        size: width and height.

    Raises:
        VideoError: it is smaller.
    """
    (height, width), (out_width, out_height) = rgb.shape[:2], size
    if width < out_width or height < out_height:
        raise VideoError(
            f"its pictures change their shape on the way and no longer cover {out_width}x{out_height}",
            hint="re-encode it at one size",
        )
    top, left = (height - out_height) // 2, (width - out_width) // 2
    return np.ascontiguousarray(rgb[top : top + out_height, left : left + out_width])


def pictures(path: Path, fps: int, size: tuple[int, int]) -> Iterator[Picture]:
    """All pictures of a clip at a constant rate: those nearest in time, scaled to cover a size and cropped.

    Args:
        path: a video file.
        fps: pictures a second.
        size: their width and height.

    Raises:
        VideoError: it cannot be read, is too damaged, or changes its shape on the way.
    """
    check_file(path)
    info = probe(path, max_pixels=MAX_PIXELS).info
    with open_video(path, short_side=covering_side(info.width, info.height, size)) as reader:
        end_s = iter(lambda: reader.report.duration_s, None)
        for frame in Resampler(fps).resample(reader.frames(), end_s):
            yield centre(frame.rgb, size)


def count(path: Path, fps: int, size: tuple[int, int]) -> int:
    """How many pictures `pictures` gives; reads the whole clip, so that what is wrong with it is known.

    Raises:
        VideoError: as `pictures`.
    """
    return sum(1 for _ in pictures(path, fps, size))


def write_video(
    video: VideoPlan, path: Path, size: tuple[int, int], report: Callable[[float, float | None], None]
) -> None:
    """Make one planned video; complete once it is there.

    Args:
        video: what it shows.
        path: the .mp4 file.
        size: width and height of its pictures, even.
        report: told the seconds that are written, and of how many.

    Raises:
        VideoError: a clip cannot be read any more, or has become shorter.
        OutputError: the file cannot be written.
        StorageError: the disk is full.
    """
    with (
        replacing(path) as file,
        av.open(file, "w", format="mp4", options={"fflags": "+bitexact"}) as container,
    ):
        stream = container.add_stream("libx264", rate=video.fps, options=ENCODER)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.time_base = Fraction(1, video.fps)
        for index, picture in enumerate(_shown(video, size)):
            _encode(container, stream, picture, index)
            report((index + 1) / video.fps, video.n_frames / video.fps)
        container.mux(stream.encode())


def _encode(
    container: av.container.OutputContainer, stream: VideoStream, picture: Picture, index: int
) -> None:
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    frame.pts = index
    container.mux(stream.encode(frame))


def _shown(video: VideoPlan, size: tuple[int, int]) -> Iterable[Picture]:
    for piece in video.pieces:
        n_shown = 0
        found = pictures(piece.clip.path, video.fps, size)
        for picture in islice(found, piece.first_frame, piece.first_frame + piece.n_frames):
            n_shown += 1
            yield picture
        if n_shown < piece.n_frames:
            raise VideoError(
                f"{piece.clip.path}: has become shorter while it was used", hint="run the same command again"
            )
