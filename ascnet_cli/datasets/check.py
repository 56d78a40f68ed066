"""Whether a data set can be worked with: what is there, what is missing, what does not fit."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ascnet_cli.datasets.annotations import VideoAnnotation
from ascnet_cli.datasets.features import FeatureFile, FeatureFolder, Layout
from ascnet_cli.errors import FeatureError
from extractors.snippets import n_grid_frames

# Rows by which features may differ from their video's duration: extractors drop or pad the last snippet, and
# count frames with another decoder. More than either is another video, another rate, or half a download.
_ROWS_TOLERANCE = 2
_RELATIVE_TOLERANCE = 0.02
# Where at least this share of the videos is of a wrong length, it is the recorded grid that is wrong.
_SYSTEMATIC = 0.5


@dataclass(frozen=True, slots=True)
class WrongLength:
    """Features that do not fit their video.

    Attributes:
        video: its name.
        n_rows: rows that are there.
        expected: rows that its duration gives.
        duration_s: of the video, seconds.
    """

    video: str
    n_rows: int
    expected: int
    duration_s: float

    def line(self) -> str:
        """What is wrong, on one line."""
        return f"{self.video}: {self.n_rows} rows, {self.duration_s:.1f} s need {self.expected}"


@dataclass(frozen=True, slots=True)
class FeatureCheck:
    """What a folder of features came to.

    Attributes:
        folder: that was looked at.
        layout: whose; None where there is nothing that could be read.
        n_videos: that should have features.
        present: of those, the ones whose features could be opened.
        missing: without features.
        damaged: video and what is wrong.
        wrong_length: features that do not fit the duration.
        unchecked: present, but nobody knows how long the video is.
        dims: sizes of a row that occur.
        fits_fps: where most lengths are wrong, the grid's frame rate with which the middle one is right.
        problem: what keeps the folder as a whole from being used; empty if nothing.
        next_step: what to do about the first thing that is wrong; empty if nothing is.
    """

    folder: Path
    layout: Layout | None
    n_videos: int
    present: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    damaged: tuple[tuple[str, str], ...] = ()
    wrong_length: tuple[WrongLength, ...] = ()
    unchecked: tuple[str, ...] = ()
    dims: tuple[int, ...] = ()
    fits_fps: float | None = None
    problem: str = ""
    next_step: str = ""

    @property
    def good(self) -> bool:
        """Whether every video has features that fit."""
        return not self.next_step


def check_features(folder: Path, videos: Sequence[VideoAnnotation]) -> FeatureCheck:
    """Look at the features of all videos without reading their numbers.

    Args:
        folder: where features lie.
        videos: those that should have some.
    """
    try:
        features = FeatureFolder(folder)
    except FeatureError as error:
        return FeatureCheck(
            folder,
            None,
            len(videos),
            missing=tuple(video.video for video in videos),
            problem=str(error),
            next_step=_make_them(folder) or error.hint,
        )
    found: list[tuple[VideoAnnotation, FeatureFile]] = []
    missing: list[str] = []
    damaged: list[tuple[str, str]] = []
    for video in videos:
        try:
            file = features.find(video.video)
        except FeatureError as error:
            damaged.append((video.video, str(error)))
            continue
        if file is None:
            missing.append(video.video)
        else:
            found.append((video, file))
    wrong = [w for video, file in found if (w := _wrong_length(video, file)) is not None]
    dims = tuple(sorted({file.dim for _, file in found}))
    fits_fps = _fitting_rate(found) if len(wrong) >= _SYSTEMATIC * max(len(found), 1) and wrong else None
    return FeatureCheck(
        folder=folder,
        layout=features.layout,
        n_videos=len(videos),
        present=tuple(video.video for video, _ in found),
        missing=tuple(missing),
        damaged=tuple(damaged),
        wrong_length=tuple(wrong),
        unchecked=tuple(video.video for video, file in found if _duration_s(video, file) is None),
        dims=dims,
        fits_fps=fits_fps,
        next_step=_next_step(folder, missing, damaged, wrong, dims, fits_fps),
    )


def _duration_s(video: VideoAnnotation, file: FeatureFile) -> float | None:
    return file.duration_s if video.duration_s is None else video.duration_s


def _wrong_length(video: VideoAnnotation, file: FeatureFile) -> WrongLength | None:
    duration_s = _duration_s(video, file)
    if duration_s is None:
        return None
    expected = file.grid.n_rows(n_grid_frames(duration_s, file.grid.fps))
    if abs(file.n_rows - expected) <= max(_ROWS_TOLERANCE, _RELATIVE_TOLERANCE * expected):
        return None
    return WrongLength(video.video, file.n_rows, expected, duration_s)


def _fitting_rate(found: Sequence[tuple[VideoAnnotation, FeatureFile]]) -> float:
    """Grid frames a second with which the middle video's rows cover its duration."""
    return statistics.median(
        file.n_rows * file.grid.stride_frames / duration_s
        for video, file in found
        if (duration_s := _duration_s(video, file))
    )


def _next_step(
    folder: Path,
    missing: Sequence[str],
    damaged: Sequence[tuple[str, str]],
    wrong: Sequence[WrongLength],
    dims: Sequence[int],
    fits_fps: float | None,
) -> str:
    """What to do first; empty if nothing is wrong."""
    if damaged:
        return f"get the damaged files again, {damaged[0][0]} first"
    if fits_fps is not None:
        return (
            f"most lengths are wrong, so the recorded grid is: at its stride about {fits_fps:.1f} frames a"
            f" second would fit; write {folder / 'grid.json'} again with ascnet datasets prepare"
        )
    if wrong:
        return f"extract the features that do not fit again, {wrong[0].video} first"
    if len(dims) > 1:
        return f"rows have {' and '.join(map(str, dims))} numbers: use features of one kind alone"
    if missing:
        return _make_them(folder) or f"put the missing features into {folder}, {missing[0]} first"
    return ""


def _make_them(folder: Path) -> str:
    """The command that makes features, where there are videos to make them from; else empty."""
    videos = folder.parent / "videos"
    if not videos.is_dir():
        return ""
    return f"ascnet detect {videos} --features-out {folder} --out {folder.parent / 'segments.csv'}"
