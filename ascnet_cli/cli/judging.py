"""What the commands that judge segments share: whose annotations, which videos, and what is said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ascnet_cli.cli.text import counted, say
from ascnet_cli.datasets.activitynet_json import read_text
from ascnet_cli.datasets.annotations import Annotations, VideoAnnotation, ground_truth
from ascnet_cli.datasets.catalog import KNOWN, load_annotations
from ascnet_cli.errors import OptionError, PredictionsError
from ascnet_cli.evaluation.detection import EvaluationResult
from ascnet_cli.evaluation.protocols import Case, Protocol, prepare
from ascnet_cli.segments import Detection

_DATASET_OF = {
    "thumos14-210": "thumos14",
    "thumos14-212": "thumos14",
    "wtalc": "thumos14",
    "activitynet13": "activitynet13",
}


@dataclass(frozen=True, slots=True)
class JudgedTruth:
    """What segments are judged by.

    Attributes:
        protocol: how.
        annotations: all that is annotated.
        judged: the videos that are judged, before the protocol drops any.
    """

    protocol: Protocol
    annotations: Annotations
    judged: tuple[VideoAnnotation, ...]

    def case(self, found: Mapping[str, Sequence[Detection]], *, ignore_unknown: bool) -> Case:
        """Segments beside the truth.

        Raises:
            PredictionsError: a label or video is unknown.
        """
        videos = self.annotations.videos
        return prepare(
            self.protocol,
            ground_truth(self.judged),
            found,
            known_videos=[video.video for video in videos],
            classes=self.annotations.classes,
            ambiguous={video.video: video.ambiguous for video in videos},
            ignore_unknown=ignore_unknown,
        )


def open_truth(dataset: str, data: Path | None, protocol: Protocol, videos: Path | None) -> JudgedTruth:
    """The truth that a command line asks for.

    Args:
        dataset: a known name, or a path.
        data: where a known one lies.
        protocol: how to judge.
        videos: a list of those to judge; None: the data set's own.

    Raises:
        OptionError: the options do not fit together.
        PredictionsError: annotations or list are missing or damaged, or the list names what is not there.
    """
    annotations = _annotations(dataset, data, protocol)
    judged = annotations.judged()
    if videos is not None:
        wanted = _listed(videos, {video.video for video in annotations.videos})
        judged = tuple(video for video in annotations.videos if video.video in wanted)
    return JudgedTruth(protocol, annotations, judged)


def _annotations(dataset: str, data: Path | None, protocol: Protocol) -> Annotations:
    """The annotations, whole: what is dropped is for the protocol to say.

    Raises:
        OptionError: the options do not fit together.
        PredictionsError: they are missing or damaged.
    """
    name = _DATASET_OF.get(protocol.name)
    if dataset in KNOWN and name not in (None, dataset):
        raise OptionError(
            f"{protocol.name} is no protocol of {dataset}", hint=f"leave it out, or --dataset {name}"
        )
    if data is not None and dataset not in KNOWN:
        raise OptionError(
            "--data says where a known data set lies", hint=f"leave it out: --dataset {dataset} is a path"
        )
    known = dataset if dataset in KNOWN else name
    if known is None:
        return load_annotations(dataset)
    place = data if dataset in KNOWN else Path(dataset)
    return load_annotations(known, place, replace(KNOWN[known].policies, known_bad="keep"))


def _listed(path: Path, known: set[str]) -> set[str]:
    """The names in a list of videos.

    Raises:
        PredictionsError: it cannot be read, is empty, or names videos that are not annotated.
    """
    names = {line.strip() for line in read_text(path).splitlines() if line.strip()}
    strange = sorted(names - known)
    if strange or not names:
        shown = ", ".join(map(repr, strange[:20])) + (", ..." if len(strange) > 20 else "")
        raise PredictionsError(
            f"{path}: videos that are not annotated ({len(strange)}): {shown}"
            if names
            else f"{path} is empty",
            hint="write a name a line, equal to the letter to that in the annotations",
        )
    return names


def say_case(case: Case, result: EvaluationResult, annotations: Annotations) -> None:
    """What was judged, and what was not, on standard error."""
    for line in (*truth_lines(case, annotations), *prediction_lines(case), *absent_lines(result)):
        say(line)


def truth_lines(case: Case, annotations: Annotations) -> list[str]:
    """By what was judged, whatever the predictions."""
    lines = []
    if annotations.findings:
        rules = ", ".join(f"{finding.rule} {finding.count}" for finding in annotations.findings)
        lines.append(f"annotations: {rules} (`ascnet datasets check` says where)")
    lines.append(f"protocol {case.protocol.name}: {case.protocol.note}".removesuffix(": "))
    lines.append(f"evaluated: {annotations.name}, {case.description()}")
    if case.n_dropped:
        lines.append(f"left out by the protocol: {counted(case.n_dropped, 'video')}")
    return lines


def prediction_lines(case: Case) -> list[str]:
    """What of the predictions was not judged, or could not be right."""
    counts = (
        ("without any prediction", case.n_silent, "video"),
        ("left out, in videos that are not evaluated", case.n_elsewhere, "prediction"),
        ("deleted, in ambiguous intervals", case.n_ambiguous, "prediction"),
        ("false positives with an unknown label or video", case.n_unknown, "prediction"),
    )
    lines = [f"{what}: {counted(n, noun)}" for what, n, noun in counts if n]
    for what, names in (("labels", case.unknown_labels), ("videos", case.unknown_videos)):
        if names:
            lines.append(f"unknown {what}: {', '.join(map(repr, names))}")
    return lines


def absent_lines(result: EvaluationResult) -> list[str]:
    """Which classes are not in the mean."""
    if not result.absent_classes:
        return []
    return [f"classes without an instance here, not in the mean: {', '.join(result.absent_classes)}"]
