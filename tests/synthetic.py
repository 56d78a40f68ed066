"""Tiny videos whose every frame says which one it is, made in a few milliseconds each.

A frame shows its number as eight large grey blocks (dark 0, light 1; two rows of four, lowest bit first)
above a row of four coloured blocks, so that what comes out of a decoder can be read back: which frame it
is, whether it stands upright, whether red is still red.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import av
import imageio_ffmpeg
import numpy as np

SIZE = (96, 72)  # width, height
FPS = 25
_DARK, _LIGHT = 40, 215
_PATCHES = ((200, 40, 40), (40, 170, 60), (50, 60, 200), (200, 190, 60))  # red, green, blue, yellow
_X264 = {"preset": "ultrafast", "crf": "18", "threads": "1"}
_VPX = {"deadline": "realtime", "cpu-used": "8", "crf": "20", "b": "0", "threads": "1"}


@dataclass(frozen=True)
class Codec:
    """An encoder with settings that are fast."""

    name: str
    pix_fmt: str = "yuv420p"
    options: tuple[tuple[str, str], ...] = ()


H264 = Codec("libx264", options=(*_X264.items(), ("bf", "0")))
H264_B = Codec("libx264", options=(*_X264.items(), ("bf", "3"), ("b-adapt", "0"), ("b-pyramid", "normal")))
MPEG4 = Codec("mpeg4", options=(("qscale", "2"),))
MPEG4_B = Codec("mpeg4", options=(("bf", "2"), ("b_strategy", "0"), ("qscale", "2")))
MPEG2 = Codec("mpeg2video", options=(("bf", "2"), ("b_strategy", "0"), ("qscale", "2")))
VP8 = Codec("libvpx", options=tuple(_VPX.items()))
VP9 = Codec("libvpx-vp9", options=(*_VPX.items(), ("row-mt", "0")))
MJPEG = Codec("mjpeg", "yuvj420p", options=(("qscale", "2"),))
FFV1 = Codec("ffv1", options=(("slices", "4"),))


def picture(index: int, width: int = SIZE[0], height: int = SIZE[1]) -> np.ndarray[Any, Any]:
    """(height, width, 3) uint8: frame number `index` (0 to 255)."""
    cells = np.zeros((3, 4, 3), np.uint8)
    for bit in range(8):
        cells[bit // 4, bit % 4] = _LIGHT if index >> bit & 1 else _DARK
    cells[2] = _PATCHES
    rows = np.arange(height) * 3 // height
    columns = np.arange(width) * 4 // width
    return cells[rows][:, columns]


def _cells(rgb: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """(3, 4, 3): the mean colour in the middle of each block."""
    height, width = rgb.shape[:2]
    cells = np.empty((3, 4, 3))
    for row in range(3):
        for column in range(4):
            y, x = (2 * row + 1) * height // 6, (2 * column + 1) * width // 8
            dy, dx = max(height // 12, 1), max(width // 16, 1)
            cells[row, column] = rgb[y - dy : y + dy, x - dx : x + dx].mean(axis=(0, 1))
    return cells


def read_index(rgb: np.ndarray[Any, Any]) -> int:
    """Which frame this is.

    Raises:
        ValueError: the picture does not show a number.
    """
    grey = _cells(rgb)[:2].mean(axis=-1).reshape(8)
    if np.any(np.abs(grey - (_DARK + _LIGHT) / 2) < 25):
        raise ValueError(f"no number can be read: {grey.round()}")
    return int(sum(1 << bit for bit in range(8) if grey[bit] > (_DARK + _LIGHT) / 2))


def colours_are_right(rgb: np.ndarray[Any, Any], tolerance: float = 30) -> bool:
    """Whether the row of coloured blocks stands where it was drawn, in its colours."""
    return bool(np.all(np.abs(_cells(rgb)[2] - np.array(_PATCHES)) < tolerance))


def make_video(
    path: Path,
    *,
    n_frames: int = 30,
    codec: Codec = H264,
    fps: Fraction | float = FPS,
    times_s: Sequence[Fraction | float] | None = None,
    time_base: Fraction | None = None,
    size: tuple[int, int] = SIZE,
    pix_fmt: str | None = None,
    pixel_aspect: Fraction | None = None,
    pictures: Iterable[np.ndarray[Any, Any]] | None = None,
    container: str | None = None,
    container_options: dict[str, str] | None = None,
    audio_s: float = 0.0,
    n_videos: int = 1,
    bit_exact: bool = True,
) -> Path:
    """Write a video.

    Args:
        path: where to; the ending chooses the container unless `container` does.
        n_frames: number of frames where neither `times_s` nor `pictures` says it.
        codec: which encoder.
        fps: frame rate where `times_s` is not given.
        times_s: when each frame is presented, seconds.
        time_base: of the pts; 1 / fps, or 1 / 1000 with `times_s`.
        size: width and height.
        pix_fmt: instead of the codec's.
        pixel_aspect: sample aspect ratio.
        pictures: RGB frames instead of the numbered ones.
        container: FFmpeg's name of the format.
        container_options: for the muxer, e.g. movflags.
        audio_s: seconds of silence to add (AAC, or Vorbis-free formats only).
        n_videos: video streams; the second and later show their numbers counted down from 255.
        bit_exact: leave encoder versions out of the file.
    """
    if times_s is not None:
        time_base = time_base or Fraction(1, 1000)
        pts = [round(Fraction(t) / time_base) for t in times_s]
        rate = Fraction(1 / time_base) if codec.name in ("mpeg4", "mpeg2video") else Fraction(fps)
    else:
        rate = Fraction(fps).limit_denominator(1001)
        time_base = time_base or 1 / rate
        pts = [round(k / rate / time_base) for k in range(n_frames)]
    shown = list(pictures) if pictures is not None else [picture(k, *size) for k in range(len(pts))]
    options = dict(container_options or {})
    if bit_exact:
        options["fflags"] = "+bitexact"
    with av.open(f"file:{path}", "w", format=container, options=options) as output:
        streams = []
        for _ in range(n_videos):
            stream = output.add_stream(codec.name, rate=rate)
            stream.width, stream.height = size
            stream.pix_fmt = pix_fmt or codec.pix_fmt
            stream.codec_context.time_base = time_base
            stream.options = dict(codec.options)
            if pixel_aspect is not None:
                stream.codec_context.sample_aspect_ratio = pixel_aspect
            streams.append(stream)
        sound = output.add_stream("aac", rate=8000, layout="mono") if audio_s else None
        for which, stream in enumerate(streams):
            for number, (stamp, rgb) in enumerate(zip(pts, shown, strict=False)):
                image = rgb if which == 0 else picture(255 - number, *size)
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.pts, frame.time_base = stamp, time_base
                output.mux(stream.encode(frame))
            output.mux(stream.encode())
        if sound is not None:
            _silence(output, sound, audio_s)
    return path


def _silence(output: Any, stream: Any, seconds: float) -> None:
    for start in range(0, int(seconds * 8000), 1024):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 8000, start, Fraction(1, 8000)
        output.mux(stream.encode(frame))
    output.mux(stream.encode())


def make_growing(path: Path, sizes: Sequence[tuple[int, int]], frames_each: int = 10) -> Path:
    """Write an MJPEG stream at 25 fps whose pictures change their size on the way."""
    stamps = count()
    with av.open(f"file:{path}", "w") as output:
        stream = output.add_stream(MJPEG.name, rate=FPS)
        stream.width, stream.height = sizes[0]
        stream.pix_fmt = MJPEG.pix_fmt
        for size in sizes:
            encoder = av.CodecContext.create(MJPEG.name, "w")
            encoder.width, encoder.height = size
            encoder.pix_fmt, encoder.time_base = MJPEG.pix_fmt, Fraction(1, FPS)
            encoder.options = dict(MJPEG.options)
            for number in range(frames_each):
                stamp = next(stamps)
                frame = av.VideoFrame.from_ndarray(picture(stamp, *size), format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, FPS)
                for packet in encoder.encode(frame):
                    packet.stream, packet.time_base = stream, Fraction(1, FPS)
                    packet.pts = packet.dts = stamp
                    output.mux(packet)
    return path


def make_audio(path: Path, seconds: float = 1.0) -> Path:
    """Write a file that has sound alone."""
    with av.open(f"file:{path}", "w") as output:
        _silence(output, output.add_stream("aac", rate=8000, layout="mono"), seconds)
    return path


@cache
def ffmpeg_exe() -> str:
    return str(imageio_ffmpeg.get_ffmpeg_exe())


def ffmpeg(*arguments: str | Path) -> None:
    """Run the ffmpeg binary that imageio-ffmpeg brings."""
    command = [ffmpeg_exe(), "-nostdin", "-v", "error", "-y", *map(str, arguments)]
    subprocess.run(command, check=True, timeout=60)


def remux(source: Path, target: Path, *, before: Sequence[str] = (), after: Sequence[str] = ()) -> Path:
    """Copy the packets into another container, with ffmpeg's options for its input and its output."""
    ffmpeg(*before, "-i", source, "-map", "0", "-c", "copy", *after, target)
    return target


def packet_spans(path: Path) -> list[tuple[int, int]]:
    """Position and size of each packet of the first video stream, in the order of storage."""
    with av.open(f"file:{path}") as container:
        packets = container.demux(container.streams.video[0])
        return [(packet.pos, packet.size) for packet in packets if packet.size]


def boxes(data: bytes | bytearray, start: int = 0, end: int | None = None) -> list[tuple[bytes, int, int]]:
    """The boxes of an mp4 file between two positions: (kind, start of the box, end of the box)."""
    found = []
    position, stop = start, len(data) if end is None else end
    while position + 8 <= stop:
        length = int.from_bytes(data[position : position + 4], "big")
        found.append((bytes(data[position + 4 : position + 8]), position, position + length))
        position += max(length, 8)
    return found


def box(data: bytes | bytearray, *kinds: bytes) -> tuple[int, int]:
    """Start and end of the first box along a path such as moov, trak, mdia, mdhd."""
    inner, end = 0, len(data)
    for kind in kinds:
        start, end = next((a, b) for k, a, b in boxes(data, inner, end) if k == kind)
        inner = start + 8
    return inner - 8, end
