"""From what a file says to annotations: the one place where the rules are applied."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ascnet_cli.datasets.annotations import Annotations, Instance, Subset, VideoAnnotation
from ascnet_cli.datasets.rules import Findings
from ascnet_cli.errors import PredictionsError
from ascnet_cli.segments import Segment


@dataclass(slots=True)
class RawVideo:
    """A video as its file has it, before any rule.

    Attributes:
        video: its name.
        subset: already translated; None where the file does not say.
        instances: label, start, end as the file has them: numbers, or text that holds one.
        labels: classes that are said of the whole video.
        duration_s: number, text that holds one, or None.
        fps: as `duration_s`.
        ambiguous: start, end as the file has them.
        n_frames: of the original file, where the file says so.
        known_bad: why nobody should use it; empty for most.
    """

    video: str
    subset: Subset | None
    instances: list[tuple[str, object, object]] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    duration_s: object = None
    fps: object = None
    ambiguous: list[tuple[object, object]] = field(default_factory=list)
    n_frames: object = None
    known_bad: str = ""


def assemble(
    name: str,
    raw: Iterable[RawVideo],
    findings: Findings,
    classes: Sequence[str] | None = None,
) -> Annotations:
    """Apply the rules to what a file says.

    Args:
        name: of the data set.
        raw: its videos.
        findings: the policies; what the reader itself found may be in it already.
        classes: the classes that there are; None takes those that occur, by name.

    Raises:
        PredictionsError: a rule whose policy is `error`, or what no rule allows: a number that is none.
    """
    known = None if classes is None else frozenset(classes)
    videos = [video for one in raw if (video := _video(one, findings, known)) is not None]
    found = {label for video in videos for label in video.labels}
    names = [video.video for video in videos]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise PredictionsError(f"{findings.source}: the video {twice!r} is there twice", hint="join the two")
    ordered = tuple(sorted(found)) if classes is None else tuple(classes)
    if any(video.subset == "train" for video in videos):
        trained = {label for video in videos if video.subset == "train" for label in video.labels}
        for label in ordered:
            if label not in trained:
                findings.found("class_without_training", label)
    return Annotations(name, ordered, tuple(sorted(videos, key=lambda v: v.video)), findings.all())


def _video(raw: RawVideo, findings: Findings, known: frozenset[str] | None) -> VideoAnnotation | None:
    """The video, or None where a policy leaves it out."""
    if raw.known_bad and not findings.found("known_bad", f"{raw.video}, {raw.known_bad}"):
        return None
    if raw.subset is None and not findings.found("missing_subset", raw.video):
        return None
    duration_s = _optional(raw.duration_s, findings, f"the duration of {raw.video}")
    fps = _optional(raw.fps, findings, f"the frame rate of {raw.video}")
    kept: list[Instance] = []
    for label, start, end in raw.instances:
        instance = _instance(raw.video, (label, start, end), findings, known)
        if instance is None:
            continue
        place = f"{raw.video} {label} {instance.segment.start_s:g}-{instance.segment.end_s:g}"
        if duration_s is not None and instance.segment.end_s > duration_s:
            beyond = f"{place} of {duration_s:g} s"
            if not findings.found("beyond_duration", beyond):
                continue
        if instance in kept and not findings.found("duplicate", place):
            continue
        if any(i.segment == instance.segment and i.label != label for i in kept):
            findings.found("double_label", place)
        kept.append(instance)
    labels = {instance.label for instance in kept}
    for label in raw.labels:
        if _is_class(label, raw.video, findings, known):
            labels.add(label)
    if not labels and raw.subset != "unused" and not findings.found("empty_video", raw.video):
        return None
    ambiguous = (_segment(bounds, findings, f"{raw.video} (ambiguous)") for bounds in raw.ambiguous)
    try:
        return VideoAnnotation(
            video=raw.video,
            subset=raw.subset,
            instances=tuple(sorted(kept)),
            labels=tuple(sorted(labels)),
            duration_s=duration_s,
            fps=fps,
            ambiguous=tuple(sorted(segment for segment in ambiguous if segment is not None)),
        )
    except ValueError as error:
        raise PredictionsError(f"{findings.source}: {error}", hint="correct the annotations") from error


def _instance(
    video: str, entry: tuple[str, object, object], findings: Findings, known: frozenset[str] | None
) -> Instance | None:
    label, start, end = entry
    if not label:
        raise PredictionsError(f"{findings.source}: {video}: an instance without a label", hint="name it")
    if not _is_class(label, video, findings, known):
        return None
    segment = _segment((start, end), findings, f"{video} {label}")
    return None if segment is None else Instance(segment, label)


def _is_class(label: str, video: str, findings: Findings, known: frozenset[str] | None) -> bool:
    return known is None or label in known or findings.found("unknown_class", f"{label!r} in {video}")


def _segment(bounds: tuple[object, object], findings: Findings, what: str) -> Segment | None:
    start_s, end_s = (_number(bound, findings, what) for bound in bounds)
    place = f"{what} {start_s:g}-{end_s:g}"
    if start_s >= end_s:
        findings.found("empty_segment", place)
        return None
    if start_s < 0:
        findings.found("negative_start", place)
        return None
    try:
        return Segment(start_s, end_s)
    except ValueError as error:
        raise PredictionsError(f"{findings.source}: {place}: {error}", hint="correct it") from error


def _optional(value: object, findings: Findings, what: str) -> float | None:
    return None if value is None else _number(value, findings, what)


def _number(value: object, findings: Findings, what: str) -> float:
    """A number, or text that holds one; finite."""
    try:
        if isinstance(value, str):
            findings.found("text_number", f"{what}: {value!r}")
        elif isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError("no number")
        number = float(value)
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise PredictionsError(
            f"{findings.source}: {what}: {value!r} is no finite number", hint="correct the annotations"
        )
    return number
