"""Which segment of a result met which instance of the ground truth: the rules of the evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ascnet_cli.evaluation.columns import Spans
from ascnet_cli.evaluation.matching import match, pairwise_tiou
from ascnet_cli.segments import Detection


@dataclass(frozen=True, slots=True)
class Judgement:
    """How N segments fare against M instances.

    Since better segments choose first, leaving out those below some score changes no other choice.

    Attributes:
        instance_of: for each segment the place of the instance that it took, or -1: a false positive.
        overlap: for each segment its tIoU with that instance; without one, the best with any of its class.
        segment_of: for each instance the place of the segment that took it, or -1: a miss.
    """

    instance_of: tuple[int, ...]
    overlap: tuple[float, ...]
    segment_of: tuple[int, ...]


def judge(found: Sequence[Detection], truth: Sequence[Detection], tiou: float) -> Judgement:
    """Let the segments of one video choose among its instances, class by class, the best score first.

    Args:
        found: what was detected.
        truth: what there is; scores are not looked at.
        tiou: least temporal IoU of a match, in (0, 1].
    """
    instance_of = [-1] * len(found)
    overlap = [0.0] * len(found)
    segment_of = [-1] * len(truth)
    for label in sorted({detection.label for detection in truth}):
        found_P = [place for place, detection in enumerate(found) if detection.label == label]
        truth_M = [place for place, detection in enumerate(truth) if detection.label == label]
        if not found_P:
            continue
        spans_P, spans_M = _spans(found, found_P), _spans(truth, truth_M)
        score_P = np.array([found[place].score for place in found_P])
        matches = match(spans_M, spans_P, score_P, [tiou])
        tiou_PM = pairwise_tiou(spans_P, spans_M)
        for p, place in enumerate(found_P):
            overlap[place] = float(tiou_PM[p].max())
        for m, rank in enumerate(matches.taken[0].tolist()):
            if rank >= 0:
                p = int(matches.order[rank])
                instance_of[found_P[p]], segment_of[truth_M[m]] = truth_M[m], found_P[p]
                overlap[found_P[p]] = float(tiou_PM[p, m])
    return Judgement(tuple(instance_of), tuple(overlap), tuple(segment_of))


def _spans(detections: Sequence[Detection], places: Sequence[int]) -> Spans:
    segments = [detections[place].segment for place in places]
    one_video_one_class = np.zeros(len(segments), dtype=np.int64)
    return Spans(
        video=one_video_one_class,
        label=one_video_one_class,
        start=np.array([segment.start_s for segment in segments]),
        end=np.array([segment.end_s for segment in segments]),
    )
