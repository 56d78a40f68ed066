"""The vocabulary: when something happens, and what it is.

Times are seconds (float64) from the first presented frame of the original file.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

LONGEST_S = 1e9  # 31 years: beyond it a time is damage, and a float no longer has all of its milliseconds


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """A stretch of time `[start_s, end_s)`.

    Attributes:
        start_s: seconds from the first presented frame; at least 0.
        end_s: seconds; later than `start_s`, at most `LONGEST_S`.

    Raises:
        ValueError: a bound is not finite, negative, or beyond `LONGEST_S`, or the stretch is empty.
    """

    start_s: float
    end_s: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start_s) and math.isfinite(self.end_s)):
            raise ValueError(f"segment bounds must be finite, not [{self.start_s}, {self.end_s}]")
        if self.start_s < 0 or self.end_s <= self.start_s:
            raise ValueError(f"a segment needs 0 <= start < end, not [{self.start_s}, {self.end_s}]")
        if self.end_s > LONGEST_S:
            raise ValueError(f"a segment ends at {LONGEST_S:.0f} s at the latest, not at {self.end_s}")

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.end_s - self.start_s

    def tiou(self, other: Segment) -> float:
        """Temporal intersection over union with another segment, in [0, 1]."""
        overlap = min(self.end_s, other.end_s) - max(self.start_s, other.start_s)
        if overlap <= 0:
            return 0.0
        return overlap / (self.duration_s + other.duration_s - overlap)


@dataclass(frozen=True, slots=True)
class Detection:
    """One action found in a video.

    Attributes:
        label: the class name.
        segment: when.
        score: confidence; finite, comparable within one model only.

    Raises:
        ValueError: the label is empty or the score is not finite.
    """

    label: str
    segment: Segment
    score: float

    def __post_init__(self) -> None:
        if not self.label:
            raise ValueError("a detection needs a label")
        if not math.isfinite(self.score):
            raise ValueError(f"the score of {self.label!r} must be finite, not {self.score}")


@dataclass(frozen=True, slots=True)
class VideoDetections:
    """What was found in one video.

    Attributes:
        video: the name that outputs use: the path relative to the folder that was asked for, or the
            file's name.
        duration_s: length of the video in seconds, counted from its frames.
        detections: by start time, then falling score.
    """

    video: str
    duration_s: float
    detections: tuple[Detection, ...]
