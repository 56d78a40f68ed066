"""A video with its segments drawn in: a bar that names what happens now, and a timeline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ascnet_cli.segments import VideoDetections
from extractors.video import DecodeReport


@dataclass(frozen=True, slots=True)
class AnnotateReport:
    """What writing an annotated clip came to.

    Attributes:
        path: the file that was written.
        width: of its pictures, pixels.
        height: likewise.
        frames: pictures written, one for each of the source.
        duration_s: length, seconds.
        decode: how the source could be read.
        notes: what a person should know, one sentence each; those of `decode` not counted.
    """

    path: Path
    width: int
    height: int
    frames: int
    duration_s: float
    decode: DecodeReport
    notes: tuple[str, ...] = ()


def write_annotated(
    source: Path,
    result: VideoDetections,
    target: Path,
    *,
    labels: Sequence[str] | None = None,
    progress: Callable[[float, float | None], None] | None = None,
) -> AnnotateReport:
    """Write a copy of a video with its segments drawn in."""
    raise NotImplementedError
