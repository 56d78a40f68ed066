"""Damaged videos by number: the same seed gives the same bytes."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from tests import synthetic
from tests.synthetic import Codec, make_video

KINDS = ("flip", "zero", "truncate", "insert", "duplicate")
_LENGTHS = (1, 4, 16, 64, 400, 2000)  # bytes
_HEAD = 3000  # bytes at either end, where containers keep their indexes
HEVC = Codec(
    "libx265", options=(("preset", "ultrafast"), ("x265-params", "log-level=none:pools=none:frame-threads=1"))
)
SOURCES: dict[str, tuple[str, Codec]] = {
    "h264.mp4": ("mp4", synthetic.H264_B),
    "mpeg4.mp4": ("mp4", synthetic.MPEG4_B),
    "hevc.mp4": ("mp4", HEVC),
    "h264.mkv": ("matroska", synthetic.H264_B),
    "vp9.mkv": ("matroska", synthetic.VP9),
    "mjpeg.mkv": ("matroska", synthetic.MJPEG),
    "mpeg4.avi": ("avi", synthetic.MPEG4_B),
    "mjpeg.avi": ("avi", synthetic.MJPEG),
    "h264.avi": ("avi", synthetic.H264_B),
    "vp8.webm": ("webm", synthetic.VP8),
    "vp9.webm": ("webm", synthetic.VP9),
}


@dataclass(frozen=True)
class Case:
    """One damaged file.

    Attributes:
        seed: its number.
        source: which video it was.
        kind: what was done to it.
        data: its bytes.
    """

    seed: int
    source: str
    kind: str
    data: bytes

    @property
    def name(self) -> str:
        """A file name that says all."""
        stem, ending = self.source.rsplit(".", 1)
        return f"{self.seed:06}-{stem}-{self.kind}.{ending}"


def make_sources(folder: Path) -> dict[str, bytes]:
    """The whole videos: 40 numbered frames each; the mp4 files have their index in front."""
    made = {}
    for name, (container, codec) in SOURCES.items():
        path = folder / name
        options = {"movflags": "faststart"} if container == "mp4" else None
        sound = 1.0 if name == "h264.mp4" else 0.0
        make_video(
            path, n_frames=40, codec=codec, container=container, container_options=options, audio_s=sound
        )
        made[name] = path.read_bytes()
    return made


def case(seed: int, sources: dict[str, bytes]) -> Case:
    """Damaged file number `seed`: sources and kinds in turn, the rest drawn."""
    draw = random.Random(seed)  # noqa: S311 - repeatable, not secret
    names = sorted(sources)
    name = names[seed % len(names)]
    kind = KINDS[seed // len(names) % len(KINDS)]
    data = bytearray(sources[name])
    for _ in range(draw.choice((1, 1, 1, 3))):
        _damage(data, kind, draw)
    return Case(seed, name, kind, bytes(data))


def _damage(data: bytearray, kind: str, draw: random.Random) -> None:
    at, length = _place(len(data), draw), draw.choice(_LENGTHS)
    end = min(at + length, len(data))
    if kind == "flip":
        for place in range(at, end):
            data[place] ^= draw.randrange(1, 256)
    elif kind == "zero":
        data[at:end] = bytes(end - at)
    elif kind == "truncate":
        del data[max(at, 1) :]
    elif kind == "insert":
        data[at:at] = draw.randbytes(length)
    else:
        data[at:at] = data[at:end]


def _place(size: int, draw: random.Random) -> int:
    """A position: a third each near the beginning, near the end, and anywhere."""
    where = draw.randrange(3)
    if where == 0:
        return draw.randrange(min(_HEAD, size))
    if where == 1:
        return size - 1 - draw.randrange(min(_HEAD, size))
    return draw.randrange(size)
