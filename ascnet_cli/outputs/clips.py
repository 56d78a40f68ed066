"""One file for each segment of a video: cut exactly by encoding again, or copied from key frame on.

The video is read once for all segments; only where more than `OPEN_AT_ONCE` of them overlap, once more for
each further lot.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ascnet_cli.outputs.clip_cutter import Cutter
from ascnet_cli.outputs.clip_lots import lots_of
from ascnet_cli.outputs.clip_names import clip_names
from ascnet_cli.outputs.video.file import check_apart
from ascnet_cli.outputs.video.source import Source
from ascnet_cli.segments import Detection, VideoDetections
from weights import atomic

__all__ = ["Clip", "clip_names", "write_clips"]

OPEN_AT_ONCE = 8  # files; each holds an encoder with the pictures that it looks ahead


@dataclass(frozen=True, slots=True)
class Clip:
    """One segment as a file of its own.

    Attributes:
        path: the file.
        detection: what it shows.
        start_s: where it begins in the source, seconds; its first picture's start, or within that picture
            where none begins in the segment.
        end_s: where it ends in the source, seconds; with the segment, but where pictures were copied.
    """

    path: Path
    detection: Detection
    start_s: float
    end_s: float


def write_clips(
    source: Path,
    result: VideoDetections,
    folder: Path,
    *,
    copy: bool = False,
    names: Sequence[str] | None = None,
    progress: Callable[[float, float | None], None] | None = None,
) -> tuple[Clip, ...]:
    """Write one file for each segment; each is whole once it is there.

    A clip has the pictures that are first shown at or after the segment's start and before its end; where
    there is none, the one that is shown then. Sound is cut along, to the packet: a player that honours the
    file's edit list begins it with the picture.

    Args:
        source: the video.
        result: what was found in it.
        folder: where the files go; it must exist.
        copy: copy packets instead of encoding again: fast and without loss, but a clip then begins at the key
            frame before its segment, and may end some pictures late. What was cut is in the clips.
        names: a file name for each detection, from `clip_names` for all videos whose clips go to this folder;
            None: from this video alone.
        progress: told the seconds that are read, and of how many (None where that is not known).

    Returns:
        In the order of the detections.

    Raises:
        VideoError: the source cannot be read or is too damaged; the message does not name it.
        OptionError: `copy`, and an mp4 cannot carry the video as it is.
        OutputError: the folder is missing or cannot be written to, or a clip would replace the source.
        StorageError: the disk is full.
        ValueError: not as many names as detections, or one that is there twice or leaves the folder.
    """
    names = clip_names([result])[result.video] if names is None else names
    if len(names) != len(result.detections):
        raise ValueError(f"{len(names)} names for {len(result.detections)} segments")
    if len(set(names)) < len(names) or any(Path(name).name != name for name in names):
        raise ValueError("each segment needs a name of its own, in the folder itself")
    paths = [folder / name for name in names]
    atomic.check_writable(folder / "clip.mp4")
    for path in paths:
        check_apart(source, path)
    if copy:
        from ascnet_cli.outputs.clips_copy import copy_segments

        spans = copy_segments(source, [found.segment for found in result.detections], paths, progress)
    else:
        spans = _cut_segments(source, result, paths, progress)
    return tuple(
        Clip(path, found, *span) for path, found, span in zip(paths, result.detections, spans, strict=True)
    )


def _cut_segments(
    source: Path,
    result: VideoDetections,
    paths: Sequence[Path],
    progress: Callable[[float, float | None], None] | None,
) -> list[tuple[float, float]]:
    segments = [found.segment for found in result.detections]
    spans = [(0.0, 0.0)] * len(segments)
    lots = lots_of(segments, OPEN_AT_ONCE)
    ends_s = [max(segments[index].end_s for index in lot) for lot in lots]
    for number, lot in enumerate(lots):
        done_s = sum(ends_s[:number])
        with Source(source) as video, Cutter(video, segments, lot, paths) as cutter:
            for shown in video.pictures():
                cutter.put(shown)
                if progress is not None:
                    progress(min(done_s + shown.end_s, sum(ends_s)), sum(ends_s))
                if cutter.done:
                    break
            cutter.finish()
        for index, span in cutter.spans.items():
            spans[index] = span
    return spans
