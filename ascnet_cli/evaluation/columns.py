"""Ground truth and predictions as columns of numbers: what matching and averages are computed on.

Unlike a `Segment`, a row may be empty (`start == end`): rounding to snippets makes such instances. They
count, and nothing can find them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64, Int64

from ascnet_cli.segments import Detection, Segment


@dataclass(frozen=True, slots=True)
class Spans:
    """Stretches of time in many videos, of one class or of several.

    Attributes:
        video: numbers of the videos; they rise with the videos' names.
        label: numbers of the classes; they rise with the classes' names.
        start: in one unit throughout, normally seconds.
        end: at least `start`.
    """

    video: Int64[np.ndarray, " n"]
    label: Int64[np.ndarray, " n"]
    start: Float64[np.ndarray, " n"]
    end: Float64[np.ndarray, " n"]

    def __post_init__(self) -> None:
        if not len(self.video) == len(self.label) == len(self.start) == len(self.end):
            raise ValueError("the columns must be equally long")
        if not np.all(self.start <= self.end):
            raise ValueError("a stretch must not end before it starts, and its bounds must be numbers")

    def __len__(self) -> int:
        return len(self.video)

    def rows(self, which: Bool[np.ndarray, " n"] | Int64[np.ndarray, " m"]) -> Spans:
        """Some of the rows, in the order asked for."""
        return Spans(self.video[which], self.label[which], self.start[which], self.end[which])


@dataclass(frozen=True, slots=True)
class Columns:
    """Both sides of an evaluation, in the same numbers for videos and classes.

    Attributes:
        videos: names of the videos, sorted; `Spans.video` are places in it.
        labels: names of the classes, sorted; `Spans.label` are places in it.
        truth: what there is.
        found: what was predicted.
        score: of each prediction; finite.
    """

    videos: tuple[str, ...]
    labels: tuple[str, ...]
    truth: Spans
    found: Spans
    score: Float64[np.ndarray, " p"]

    def __post_init__(self) -> None:
        if len(self.score) != len(self.found) or not np.isfinite(self.score).all():
            raise ValueError("every prediction needs a finite score")

    def keep(self, which: Bool[np.ndarray, " p"]) -> Columns:
        """The same ground truth with some of the predictions."""
        return replace(self, found=self.found.rows(which), score=self.score[which])


def to_columns(
    ground_truth: Mapping[str, Sequence[tuple[str, Segment]]],
    predictions: Mapping[str, Sequence[Detection]],
) -> Columns:
    """Columns of ground truth and predictions, as they come.

    Args:
        ground_truth: video name to (class, segment) pairs.
        predictions: video name to what was found there.
    """
    videos = tuple(sorted({*ground_truth, *predictions}))
    labels = tuple(
        sorted(
            {label for instances in ground_truth.values() for label, _ in instances}
            | {detection.label for found in predictions.values() for detection in found}
        )
    )
    video_number = {video: number for number, video in enumerate(videos)}
    label_number = {label: number for number, label in enumerate(labels)}
    truth = [
        (video_number[video], label_number[label], segment.start_s, segment.end_s)
        for video, instances in ground_truth.items()
        for label, segment in instances
    ]
    found = [
        (video_number[video], label_number[d.label], d.segment.start_s, d.segment.end_s, d.score)
        for video, detections in predictions.items()
        for d in detections
    ]
    score = np.array([row[4] for row in found], dtype=np.float64)
    return Columns(videos, labels, _spans(truth), _spans(found), score)


def _spans(rows: Sequence[tuple[int, int, float, float] | tuple[int, int, float, float, float]]) -> Spans:
    return Spans(
        video=np.array([row[0] for row in rows], dtype=np.int64),
        label=np.array([row[1] for row in rows], dtype=np.int64),
        start=np.array([row[2] for row in rows], dtype=np.float64),
        end=np.array([row[3] for row in rows], dtype=np.float64),
    )
