"""Which videos, which thresholds, which unit: the ways in which published numbers were computed.

This docstring is the specification; how matching and averages work is that of
`ascnet_cli.evaluation.detection` throughout.

`thumos14-210` (default for THUMOS14)
    The test videos without video_test_0000270 and video_test_0001496, whose annotations are wrong, and
    video_test_0001292, which has ambiguous instances alone. Seconds. tIoU 0.1 to 0.7; also the means of 0.1
    to 0.5 and of 0.3 to 0.7.
`thumos14-212`
    The same with the two wrong videos, as ACM-Net and ASM-Loc evaluate. Features of these two do not
    circulate, so that a perfect detector with features of the other 210 gets an average of 0.989.
`wtalc`
    The same 212 videos in snippets of 16 frames at 25 Hz, after W-TALC: every bound on both sides, t seconds,
    becomes round(t 25 / 16), halves to the even number; predictions that then share a snippet with an
    ambiguous interval of their video are deleted. Instances that become empty (17) cannot be found. Above
    tIoU 0.5 the numbers cannot be compared with those in seconds. Nor are they W-TALC's own to the last
    digit: its code takes the first instance that reaches the threshold, not the best one, and does not
    interpolate precision; here both are as everywhere else.
`activitynet13`
    ActivityNet-1.3's validation videos. Seconds. tIoU 0.5 to 0.95 in steps of 0.05.
`custom`
    The test videos of any annotations, all where there is no such subset. Seconds. tIoU 0.1 to 0.7.

For all:

1. The evaluated videos are those of the judged subset that the protocol does not drop, with and without
   instances, with and without predictions. `prepare` counts them, so that they can be said aloud.
2. Predictions in videos that the annotations know and that are not evaluated are left out, and counted.
3. Predictions in videos or of classes that the annotations do not know are an error that lists them. Where
   the caller asks for them to be ignored, they are false positives: those in unknown videos of their class;
   those of unknown classes of no class that enters the mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from types import MappingProxyType

import numpy as np
from jaxtyping import Bool

from ascnet_cli.errors import OptionError, PredictionsError
from ascnet_cli.evaluation.columns import Columns, Spans, to_columns
from ascnet_cli.evaluation.detection import EvaluationResult, evaluate_columns
from ascnet_cli.segments import Detection, Segment

Truth = Mapping[str, Sequence[tuple[str, Segment]]]

SNIPPET_S = 16 / 25  # 16 frames at 25 frames a second
_MOST_NAMES = 20  # in an error


@dataclass(frozen=True, slots=True)
class Protocol:
    """A way of evaluating, by name.

    Attributes:
        name: what reports call it.
        tious: thresholds, written out, since a float range drops end points.
        means: first and last threshold of the means that papers print beside the one over all.
        dropped: videos that are not evaluated.
        in_snippets: round to snippets, and delete predictions that touch an ambiguous interval.
        length_edges_s: the bounds between classes of instance length; none: fifths of the instances.
        note: what a reader of the numbers must know; empty for most.
    """

    name: str
    tious: tuple[float, ...]
    means: tuple[tuple[float, float], ...] = ()
    dropped: tuple[str, ...] = ()
    in_snippets: bool = False
    length_edges_s: tuple[float, ...] = ()
    note: str = ""


_THUMOS_TIOUS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
_THUMOS_MEANS = ((0.1, 0.5), (0.3, 0.7))
_THUMOS_EDGES_S = (3.0, 6.0, 12.0, 18.0)
_ONLY_AMBIGUOUS = "video_test_0001292"

_ALL = (
    Protocol(
        "thumos14-210",
        _THUMOS_TIOUS,
        _THUMOS_MEANS,
        ("video_test_0000270", _ONLY_AMBIGUOUS, "video_test_0001496"),
        length_edges_s=_THUMOS_EDGES_S,
    ),
    Protocol(
        "thumos14-212",
        _THUMOS_TIOUS,
        _THUMOS_MEANS,
        (_ONLY_AMBIGUOUS,),
        length_edges_s=_THUMOS_EDGES_S,
        note="without features of video_test_0000270 and video_test_0001496 a perfect detector gets 0.989",
    ),
    Protocol(
        "wtalc",
        _THUMOS_TIOUS,
        _THUMOS_MEANS,
        (_ONLY_AMBIGUOUS,),
        in_snippets=True,
        length_edges_s=_THUMOS_EDGES_S,
        note="in snippets of 0.64 s: above tIoU 0.5 not comparable with protocols in seconds",
    ),
    Protocol(
        "activitynet13",
        (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95),
        length_edges_s=(30.0, 60.0, 120.0, 180.0),
    ),
    Protocol("custom", _THUMOS_TIOUS, _THUMOS_MEANS),
)
_PROTOCOL_OF = {"thumos14": "thumos14-210", "activitynet13": "activitynet13"}
PROTOCOLS: Mapping[str, Protocol] = MappingProxyType({protocol.name: protocol for protocol in _ALL})


@dataclass(frozen=True, slots=True)
class Case:
    """Annotations and predictions, made ready for one protocol.

    Attributes:
        protocol: by which it is judged.
        columns: both sides, in the protocol's unit.
        unit_s: that unit in seconds.
        evaluated: names of the evaluated videos, sorted.
        classes: all classes that the annotations know.
        n_dropped: videos of the judged subset that the protocol drops.
        n_silent: evaluated videos without any prediction.
        n_elsewhere: predictions in known videos that are not evaluated: left out.
        n_ambiguous: predictions deleted since they touch an ambiguous interval.
        n_unknown: predictions with an unknown label or video: false positives.
        unknown_labels: labels of predictions that no annotation has.
        unknown_videos: videos of predictions that the annotations do not have.
    """

    protocol: Protocol
    columns: Columns
    unit_s: float
    evaluated: tuple[str, ...]
    classes: tuple[str, ...]
    n_dropped: int
    n_silent: int
    n_elsewhere: int
    n_ambiguous: int
    n_unknown: int
    unknown_labels: tuple[str, ...]
    unknown_videos: tuple[str, ...]

    def evaluate(self) -> EvaluationResult:
        """The protocol's numbers.

        Raises:
            PredictionsError: no evaluated video has an instance.
        """
        result = evaluate_columns(self.columns, self.evaluated, self.protocol.tious, classes=self.classes)
        return replace(result, unknown_labels=self.unknown_labels, unknown_videos=self.unknown_videos)

    def description(self) -> str:
        """The evaluated set in words."""
        n_instances = len(self.columns.truth)
        n_classes = len(set(self.columns.truth.label.tolist()))
        return f"{len(self.evaluated)} videos with {n_instances} instances of {n_classes} classes"


def protocol_named(name: str, tious: Sequence[float] | None = None) -> Protocol:
    """A protocol, with other thresholds if asked for.

    Raises:
        OptionError: there is none of this name.
    """
    if name not in PROTOCOLS:
        raise OptionError(f"unknown protocol {name!r}", hint=f"choose one of {', '.join(PROTOCOLS)}")
    protocol = PROTOCOLS[name]
    return protocol if tious is None else replace(protocol, tious=tuple(tious))


def protocol_of(dataset: str) -> Protocol:
    """The protocol that a data set is judged by where nobody asks for another."""
    return PROTOCOLS[_PROTOCOL_OF.get(dataset, "custom")]


def parse_tious(text: str) -> tuple[float, ...]:
    """Thresholds as people write them: `0.5:0.95:0.05`, both ends included, or `0.3,0.5,0.7`.

    Raises:
        OptionError: it is neither, a threshold is outside (0, 1] or there twice.
    """
    hint = "write 0.5:0.95:0.05 (first, last, step) or 0.3,0.5,0.7"
    try:
        if ":" in text:
            first, last, step = (Decimal(part) for part in text.split(":"))
            if not (0 < first <= last <= 1 and step > 0):
                raise OptionError(f"no thresholds between 0 and 1: {text!r}", hint=hint)
            count = int((last - first) / step) + 1
            if count > 1000 or first + (count - 1) * step != last:
                raise OptionError(f"steps of {step} from {first} do not end at {last}", hint=hint)
            values = [first + index * step for index in range(count)]
        else:
            values = [Decimal(part) for part in text.split(",")]
        if not all(0 < value <= 1 for value in values) or len(set(values)) < len(values):
            raise OptionError(f"thresholds must be different, above 0 and at most 1: {text!r}", hint=hint)
    except (InvalidOperation, ValueError) as error:
        raise OptionError(f"not tIoU thresholds: {text!r}", hint=hint) from error
    return tuple(float(value) for value in values)


def mean_over(tious: Sequence[float], values: Sequence[float], first: float, last: float) -> float | None:
    """The mean of values from one threshold to another in steps of 0.1; None where one is missing."""
    steps = [k / 10 for k in range(round(first * 10), round(last * 10) + 1)]
    by_tiou = dict(zip(tious, values, strict=True))
    if not all(step in by_tiou for step in steps):
        return None
    return sum(by_tiou[step] for step in steps) / len(steps)


def prepare(
    protocol: Protocol,
    ground_truth: Truth,
    predictions: Mapping[str, Sequence[Detection]],
    *,
    known_videos: Iterable[str] = (),
    classes: Iterable[str] = (),
    ambiguous: Mapping[str, Sequence[Segment]] = MappingProxyType({}),
    ignore_unknown: bool = False,
) -> Case:
    """Select and convert what the protocol judges (points 1 to 3 above).

    Args:
        protocol: by which to judge.
        ground_truth: the judged subset: video name to (class, segment) pairs; those without any are listed.
        predictions: video name to what was found there.
        known_videos: names that the annotations have in any subset.
        classes: names that the annotations have in any subset.
        ambiguous: video name to intervals that nobody could judge; `wtalc` alone uses them.
        ignore_unknown: count unknown labels and videos as false positives; otherwise they are an error.

    Raises:
        PredictionsError: predictions name a label or video that the annotations do not know.
    """
    evaluated = {video: seen for video, seen in ground_truth.items() if video not in protocol.dropped}
    known = {*known_videos, *ground_truth, *protocol.dropped}
    names = {*classes, *(label for seen in ground_truth.values() for label, _ in seen)}
    strange_videos = {video for video, found in predictions.items() if found and video not in known}
    strange_labels = {d.label for found in predictions.values() for d in found} - names
    if (strange_labels or strange_videos) and not ignore_unknown:
        raise _unknown_error(strange_labels, strange_videos, names, known)
    judged = {
        video: found for video, found in predictions.items() if video in evaluated or video in strange_videos
    }
    columns = to_columns(evaluated, judged)
    n_before = len(columns.found)
    if protocol.in_snippets:
        columns = _in_snippets(columns, ambiguous)
    return Case(
        protocol=protocol,
        columns=columns,
        unit_s=SNIPPET_S if protocol.in_snippets else 1.0,
        evaluated=tuple(sorted(evaluated)),
        classes=tuple(sorted(names)),
        n_dropped=len(ground_truth) - len(evaluated),
        n_silent=sum(not predictions.get(video) for video in evaluated),
        n_elsewhere=sum(len(found) for video, found in predictions.items() if video not in judged),
        n_ambiguous=n_before - len(columns.found),
        n_unknown=sum(
            video in strange_videos or detection.label in strange_labels
            for video, found in judged.items()
            for detection in found
        ),
        unknown_labels=tuple(sorted(strange_labels)),
        unknown_videos=tuple(sorted(strange_videos)),
    )


def _unknown_error(
    labels: set[str], videos: set[str], classes: set[str], known: set[str]
) -> PredictionsError:
    parts = []
    if labels:
        parts.append(f"unknown labels ({len(labels)}): {_listed(labels)}; known are {_listed(classes)}")
    if videos:
        parts.append(f"unknown videos ({len(videos)}): {_listed(videos)}; {len(known)} are known")
    return PredictionsError(
        f"the predictions have {', and '.join(parts)}",
        hint="names must be equal to the letter; --ignore-unknown counts these as false positives",
    )


def _listed(names: set[str]) -> str:
    shown = [repr(name) for name in sorted(names)[:_MOST_NAMES]]
    more = [f"and {len(names) - _MOST_NAMES} more"] if len(names) > _MOST_NAMES else []
    return ", ".join(shown + more)


def _in_snippets(columns: Columns, ambiguous: Mapping[str, Sequence[Segment]]) -> Columns:
    """Both sides rounded to snippets, without predictions that touch an ambiguous interval."""
    rounded = replace(columns, truth=_rounded(columns.truth), found=_rounded(columns.found))
    keep_P: Bool[np.ndarray, " p"] = np.ones(len(columns.found), dtype=bool)
    found = rounded.found
    for number, video in enumerate(columns.videos):
        for segment in ambiguous.get(video, ()):
            start, end = np.rint(segment.start_s * 25 / 16), np.rint(segment.end_s * 25 / 16)
            shared = np.minimum(found.end, end) - np.maximum(found.start, start)
            keep_P &= ~((found.video == number) & (shared > 0))
    return rounded.keep(keep_P)


def _rounded(spans: Spans) -> Spans:
    return replace(spans, start=np.rint(spans.start * 25 / 16), end=np.rint(spans.end * 25 / 16))
