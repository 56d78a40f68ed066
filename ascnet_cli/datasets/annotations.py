"""The one annotation model: which action happens when, in which video.

Readers are beside it, one a format; each turns its format into `assembly.RawVideo`s and hands them to
`assembly.assemble`, which alone applies the rules. So a rule means the same whatever the file looked like.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ascnet_cli.datasets.rules import Finding
from ascnet_cli.segments import Segment

# What a video is for. A data set's own word may differ: THUMOS14 trains on its "validation" videos.
Subset = Literal["train", "test", "unused"]


@dataclass(frozen=True, slots=True, order=True)
class Instance:
    """One annotated action.

    Attributes:
        segment: when.
        label: the class.

    Raises:
        ValueError: the label is empty.
    """

    segment: Segment
    label: str

    def __post_init__(self) -> None:
        if not self.label:
            raise ValueError("an instance needs a label")


@dataclass(frozen=True, slots=True)
class VideoAnnotation:
    """What is known of one video.

    Attributes:
        video: its name.
        subset: what it is for; None where nobody said.
        instances: the actions, by time.
        labels: the classes of the video, by name: at least those of `instances`; all there is to learn from.
        duration_s: seconds; None where unknown.
        fps: frames a second of the original file; None where unknown.
        ambiguous: stretches that some protocols leave out of the judgement.

    Raises:
        ValueError: no name, a duration or rate that is not positive and finite, or labels that lack one.
    """

    video: str
    subset: Subset | None
    instances: tuple[Instance, ...] = ()
    labels: tuple[str, ...] = ()
    duration_s: float | None = None
    fps: float | None = None
    ambiguous: tuple[Segment, ...] = ()

    def __post_init__(self) -> None:
        if not self.video:
            raise ValueError("a video needs a name")
        for name, value in (("duration", self.duration_s), ("frame rate", self.fps)):
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ValueError(f"the {name} of {self.video!r} must be positive and finite, not {value}")
        missing = {instance.label for instance in self.instances} - set(self.labels)
        if missing or len(set(self.labels)) != len(self.labels):
            raise ValueError(f"the labels of {self.video!r} do not fit its instances: {self.labels}")


@dataclass(frozen=True, slots=True)
class Annotations:
    """A data set's annotations.

    Attributes:
        name: of the data set, or of its file.
        classes: all classes, in the data set's order.
        videos: by name.
        findings: what the rules found.

    Raises:
        ValueError: a video there twice, or a label that is no class.
    """

    name: str
    classes: tuple[str, ...]
    videos: tuple[VideoAnnotation, ...]
    findings: tuple[Finding, ...] = ()

    def __post_init__(self) -> None:
        if len({video.video for video in self.videos}) != len(self.videos):
            raise ValueError(f"{self.name}: a video is there twice")
        unknown = {label for video in self.videos for label in video.labels} - set(self.classes)
        if unknown:
            raise ValueError(f"{self.name}: no classes: {sorted(unknown)}")

    def of(self, subset: Subset | None) -> tuple[VideoAnnotation, ...]:
        """The videos of a subset; None: all that are used."""
        if subset is None:
            return tuple(video for video in self.videos if video.subset != "unused")
        return tuple(video for video in self.videos if video.subset == subset)

    def training(self) -> tuple[VideoAnnotation, ...]:
        """The videos to learn from: those for training; where none is, those of which nothing is said."""
        return self.of("train") or tuple(video for video in self.videos if video.subset is None)

    def judged(self) -> tuple[VideoAnnotation, ...]:
        """The videos that predictions are judged on: those for tests, or all where none is said to be."""
        return self.of("test") or self.of(None)

    def report(self) -> list[str]:
        """The data report: counts by subset, then a line for each rule that found something."""
        lines = [f"{self.name}: {len(self.videos)} videos, {len(self.classes)} classes"]
        for subset in (*("train", "test", "unused"), None):
            videos = [video for video in self.videos if video.subset == subset]
            if videos:
                n_instances = sum(len(video.instances) for video in videos)
                name = subset or "no subset"
                lines.append(f"{name}: {len(videos)} videos, {n_instances} instances")
        return lines + [finding.line() for finding in self.findings]


def ground_truth(videos: Iterable[VideoAnnotation]) -> dict[str, list[tuple[str, Segment]]]:
    """The instances as `ascnet_cli.evaluation.detection.evaluate` takes them; videos without any stay."""
    return {video.video: [(i.label, i.segment) for i in video.instances] for video in videos}
