"""Results beside the truth in single videos: which videos tell most, and what is right in them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ascnet_cli.evaluation.columns import to_columns
from ascnet_cli.evaluation.detection import match_classes, rows_of_class
from ascnet_cli.evaluation.protocols import Truth
from ascnet_cli.outputs.charts.lanes import Bar, Lane, Timeline
from ascnet_cli.segments import Detection, Segment

TIOU = 0.5  # at which a segment is right
TRUTH = "truth"
_MOST_RANKED_LOWER = 150  # drawn of a lane

Found = Mapping[str, Sequence[Detection]]
Instances = Sequence[tuple[str, Segment]]


@dataclass(frozen=True, slots=True)
class Chosen:
    """A video that is worth looking at.

    Attributes:
        video: its name.
        reason: why, in words.
    """

    video: str
    reason: str


def best_first(detections: Sequence[Detection]) -> list[Detection]:
    """By falling score; equal scores by time, then name."""
    return sorted(detections, key=lambda d: (-d.score, d.segment, d.label))


def right_ones(instances: Instances, detections: Sequence[Detection], tiou: float = TIOU) -> set[int]:
    """Places of the detections of one video that take an instance, by the rules of an evaluation."""
    if not instances or not detections:
        return set()
    columns = to_columns({"": instances}, {"": detections})
    found_of = rows_of_class(columns.found.label)
    number_of = {label: number for number, label in enumerate(columns.labels)}
    right: set[int] = set()
    for label, matches in match_classes(columns, [tiou]).items():
        ranks = matches.taken[0][matches.taken[0] >= 0]
        if len(ranks):
            right.update(found_of[number_of[label]][matches.order[ranks]].tolist())
    return right


def lane_of(name: str, instances: Instances, detections: Sequence[Detection]) -> Lane:
    """One result in one video: as many of its best segments as the video has instances, and those below.

    Of a video without instances the best segment is shown, since any is wrong.
    """
    ranked = best_first(detections)
    n_best = max(len(instances), 1)
    best = ranked[:n_best]
    right = right_ones(instances, best)
    bars = [
        Bar(d.segment, d.label, d.score, "right" if place in right else "wrong")
        for place, d in enumerate(best)
    ]
    lower = ranked[n_best : n_best + _MOST_RANKED_LOWER]
    bars += [Bar(d.segment, d.label, d.score, "rest") for d in lower]
    return Lane(name, tuple(bars), f"{len(right)} of {len(instances)}")


def timeline_of(
    video: str, instances: Instances, results: Mapping[str, Found], duration_s: float | None
) -> Timeline:
    """The truth and all results in one video.

    Args:
        video: its name.
        instances: the truth.
        results: name of a result to what it found in all videos.
        duration_s: None: until the end of the last true instance or best segment, and a little more.
    """
    bars = tuple(Bar(segment, label, None, "truth") for label, segment in instances)
    truth = Lane(TRUTH, bars, str(len(instances)))
    lanes = (truth, *(lane_of(name, instances, found.get(video, ())) for name, found in results.items()))
    if duration_s is None:
        ends = [bar.segment.end_s for lane in lanes for bar in lane.bars if bar.state != "rest"]
        duration_s = max(ends, default=1.0) * 1.02
    return Timeline(video, duration_s, lanes)


def telling_videos(truth: Truth, results: Mapping[str, Found]) -> tuple[Chosen, ...]:
    """A few videos to begin with, each once: most to find, most classes, best, worst, and most different.

    Args:
        truth: video name to its instances.
        results: name of a result to what it found.
    """
    filled = {video: instances for video, instances in truth.items() if instances}
    if not filled:
        return ()
    share = {
        video: [
            len(right_ones(instances, best_first(found.get(video, ()))[: len(instances)])) / len(instances)
            for found in results.values()
        ]
        for video, instances in filled.items()
    }
    first = next(iter(results), "")
    wishes: list[tuple[str, dict[str, float]]] = [
        ("the most instances", {v: len(i) for v, i in filled.items()}),
        ("the most classes", {v: len({label for label, _ in i}) for v, i in filled.items()}),
    ]
    if results:
        weight = {v: math.sqrt(len(i)) for v, i in filled.items()}  # one instance says little
        wishes += [
            (f"{first} does best here", {v: (s[0] - 0.5) * weight[v] for v, s in share.items()}),
            (f"{first} does worst here", {v: (0.5 - s[0]) * weight[v] for v, s in share.items()}),
        ]
        if len(results) > 1:
            apart = {v: (max(s) - min(s)) * weight[v] for v, s in share.items()}
            wishes.append(("the results differ most here", apart))
    chosen: dict[str, Chosen] = {}
    for reason, worth in wishes:
        left = [video for video in filled if video not in chosen]
        if left:
            video = max(left, key=lambda name: (worth[name], sum(share[name]), name))
            chosen[video] = Chosen(video, reason)
    return tuple(chosen.values())
