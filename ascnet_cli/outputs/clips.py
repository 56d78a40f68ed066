"""One file for each segment of a video."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ascnet_cli.segments import Detection, VideoDetections


@dataclass(frozen=True, slots=True)
class Clip:
    """One segment as a file of its own.

    Attributes:
        path: the file.
        detection: what it shows.
        start_s: where its first picture stands in the source, seconds.
        end_s: where its last picture ends in the source, seconds.
    """

    path: Path
    detection: Detection
    start_s: float
    end_s: float


def clip_names(results: Sequence[VideoDetections]) -> Mapping[str, tuple[str, ...]]:
    """A file name for each segment of each video: by the video's name, in the order of its detections.

    Names of one call never collide, not on a file system that ignores case either. A batch whose clips share
    a folder asks once for all its videos and gives each video's names to `write_clips`.
    """
    raise NotImplementedError


def write_clips(
    source: Path,
    result: VideoDetections,
    folder: Path,
    *,
    copy: bool = False,
    names: Sequence[str] | None = None,
    progress: Callable[[float, float | None], None] | None = None,
) -> tuple[Clip, ...]:
    """Write one file for each segment of a video."""
    raise NotImplementedError
