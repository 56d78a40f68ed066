"""Results from a file, as if a model had just found them: what `ascnet render` begins with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ascnet_cli.errors import AscnetError, OptionError, VideoError
from ascnet_cli.labels import find_labels
from ascnet_cli.names import NameIndex
from ascnet_cli.outputs import files
from ascnet_cli.segments import Detection, VideoDetections
from ascnet_cli.targets import Source
from extractors.video import VIDEO_ENDINGS, find_videos


@dataclass(frozen=True, slots=True)
class Prediction:
    """What became of one video of a file of results.

    Attributes:
        video: its name there.
        state: "done" or "failed".
        source: the video's file, where one was looked for and found.
        result: its segments, where it is done.
        error: what is wrong, where it failed.
        hint: what to do about it.
        exit_code: what a command ends with that fails for this reason alone; 0 where it is done.
    """

    video: str
    state: Literal["done", "failed"]
    source: Source
    result: VideoDetections | None = None
    error: str | None = None
    hint: str | None = None
    exit_code: int = 0


def read_predictions(
    path: Path, *, labels: Sequence[str] = (), min_score: float | None = None, format: str | None = None
) -> dict[str, tuple[Detection, ...]]:
    """Segments of a file, all or some.

    Args:
        path: the file; its format is known by its ending.
        labels: keep these classes alone; empty keeps all.
        min_score: leave out segments below this.
        format: a name of `outputs.files.FORMATS`, whatever the ending is.

    Returns:
        Video name to its segments, by start, then falling score; a video stays though no segment of it does.

    Raises:
        OptionError: a label that no segment has, or an ending that says no format.
        PredictionsError: the file cannot be read.
    """
    found = files.read_file(path, format)
    known = sorted({detection.label for detections in found.values() for detection in detections})
    kept = find_labels(labels, known, str(path))
    return {
        video: tuple(
            sorted(
                (
                    detection
                    for detection in detections
                    if (not kept or detection.label in kept)
                    and (min_score is None or detection.score >= min_score)
                ),
                key=lambda detection: (detection.segment.start_s, -detection.score),
            )
        )
        for video, detections in found.items()
    }


def find_sources(videos: Sequence[str], root: Path | None) -> Iterator[Prediction]:
    """The files of videos below a folder, by their names; nothing is opened.

    Args:
        videos: names, with or without ending, with or without folders.
        root: the folder; None: no files are looked for.

    Yields:
        For each name, in order: done with its source, or failed with those that it could mean.

    Raises:
        OptionError: the folder is none.
        VideoError: there is no video in it.
    """
    if root is None:
        for video in videos:
            yield Prediction(video, "done", Source(video, None))
        return
    if not root.is_dir():
        raise OptionError(f"{root} is not a folder", hint="give the folder of the videos with --video-root")
    below = {path.relative_to(root).as_posix(): path for path in find_videos(root)}
    if not below:
        raise VideoError(
            f"no video in {root} (looked for {' '.join(sorted(VIDEO_ENDINGS))})", hint="check --video-root"
        )
    index = NameIndex(below)
    for video in videos:
        names = index.find(video)
        if len(names) == 1:
            yield Prediction(video, "done", Source(video, below[names[0]]))
            continue
        if names:
            error = f"{len(names)} videos in {root} may be meant: {_listed(names)}"
            hint = "write its path below the folder into the file, or give a folder with one of them"
        else:
            near = index.near(video)
            error = f"no such video in {root}"
            hint = f"did you mean {_listed(near)}?" if near else "check --video-root"
        yield Prediction(video, "failed", Source(video, None), error=error, hint=hint, exit_code=3)


def with_results(
    found: Sequence[Prediction],
    detections: Mapping[str, tuple[Detection, ...]],
    durations_s: Mapping[str, float],
) -> Iterator[Prediction]:
    """Give each video its segments, and its length as counted from its file.

    Args:
        found: from `find_sources`.
        detections: from `read_predictions`.
        durations_s: what the file of results says, for where no video is at hand; else it is the end of the
            last segment.

    Yields:
        For each, in order: as it was where it failed; failed where its file is no video; done with its
        result.
    """
    from extractors.timing import measure_timing

    for prediction in found:
        video, path = prediction.video, prediction.source.path
        if prediction.state == "failed":
            yield prediction
            continue
        try:
            if path is not None:
                duration_s = measure_timing(path).duration_s
            else:
                ends_s = [detection.segment.end_s for detection in detections[video]]
                duration_s = durations_s.get(video, max(ends_s, default=0.0))
        except (AscnetError, OSError) as error:
            known = error if isinstance(error, AscnetError) else VideoError(f"cannot be read: {error}")
            yield Prediction(
                video,
                "failed",
                prediction.source,
                error=f"{path}: {known}",
                hint=known.hint or None,
                exit_code=known.exit_code,
            )
            continue
        result = VideoDetections(video, duration_s, detections[video])
        yield Prediction(video, "done", prediction.source, result)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:5]))
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
