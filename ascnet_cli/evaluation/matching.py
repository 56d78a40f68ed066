"""One class: which prediction takes which instance, and the average precision that follows.

The rules are those of `ascnet_cli.evaluation.detection`, points 1 to 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from ascnet_cli.evaluation.columns import Spans


@dataclass(frozen=True, slots=True)
class Matches:
    """Who took whom, for one class.

    Attributes:
        order: places of the P predictions by falling score: the order in which they chose.
        taken: for each of the K thresholds and M instances, the rank (a place in `order`) of the
            prediction that took it; -1 where none did.
    """

    order: Int64[np.ndarray, " p"]
    taken: Int64[np.ndarray, "k m"]

    def average_precision(self) -> Float64[np.ndarray, " k"]:
        """Area under the interpolated precision over recall, for each threshold."""
        n_truth = self.taken.shape[1]
        return np.array([_interpolated(np.sort(row[row >= 0]), n_truth) for row in self.taken])


def match(truth: Spans, found: Spans, score: Float64[np.ndarray, " p"], tious: Sequence[float]) -> Matches:
    """Let the predictions of one class choose among its instances.

    Args:
        truth: M instances of the class; at least one.
        found: P predictions of the class.
        score: of each prediction.
        tious: K thresholds, each in (0, 1].

    Raises:
        ValueError: there is no instance, or thresholds are missing or out of range.
    """
    if not len(tious) or not all(0 < tiou <= 1 for tiou in tious):
        raise ValueError(f"tIoU thresholds must lie in (0, 1], at least one: not {tuple(tious)}")
    if not len(truth):
        raise ValueError("average precision is not defined for a class without ground truth")
    order = by_falling_score(found, score)
    taken_KM = np.full((len(tious), len(truth)), -1, dtype=np.int64)
    # Of equally good instances the earlier one is taken, so they lie in the order of time.
    in_time = np.lexsort((truth.end, truth.start, truth.video))
    of_truth = truth.video[in_time]
    video_in_order = found.video[order]
    # Only predictions in videos with an instance can take one; each video is then one small table.
    there = np.flatnonzero(np.isin(video_in_order, of_truth))
    there = there[np.argsort(video_in_order[there], kind="stable")]
    present, begins = np.unique(video_in_order[there], return_index=True)
    ends = np.append(begins, len(there))[1:].tolist()
    for video, begin, end in zip(present.tolist(), begins.tolist(), ends, strict=True):
        first, last = np.searchsorted(of_truth, (video, video + 1))
        ranks, instances = there[begin:end], in_time[first:last]
        tiou_PM = pairwise_tiou(found.rows(order[ranks]), truth.rows(instances))
        _choose(tiou_PM, ranks, instances, tious, taken_KM)
    return Matches(order, taken_KM)


def by_falling_score(found: Spans, score: Float64[np.ndarray, " p"]) -> Int64[np.ndarray, " p"]:
    """Places of predictions by falling score; equal scores by video, then start, then end."""
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    equal = ranked[1:] == ranked[:-1]
    if not equal.any():
        return order
    # Full sorts are slow; only those with an equal neighbour need one.
    tied = np.flatnonzero(np.concatenate([[False], equal]) | np.concatenate([equal, [False]]))
    rows = order[tied]
    by_name = np.lexsort((found.end[rows], found.start[rows], found.video[rows], -score[rows]))
    order[tied] = rows[by_name]
    return order


def pairwise_tiou(found: Spans, truth: Spans) -> Float64[np.ndarray, "p m"]:
    """Temporal IoU of each prediction with each instance of the same video; 0 with an empty one."""
    overlap_PM = np.minimum(found.end[:, None], truth.end) - np.maximum(found.start[:, None], truth.start)
    overlap_PM = overlap_PM.clip(min=0.0)
    lengths_PM = (found.end - found.start)[:, None] + (truth.end - truth.start)
    union_PM = lengths_PM - overlap_PM
    tiou_PM = np.zeros((len(found), len(truth)))
    np.divide(overlap_PM, union_PM, out=tiou_PM, where=union_PM > 0)
    return tiou_PM


def _choose(
    tiou_PM: Float64[np.ndarray, "p m"],
    ranks: Int64[np.ndarray, " p"],
    instances: Int64[np.ndarray, " m"],
    tious: Sequence[float],
    taken_KM: Int64[np.ndarray, "k n"],
) -> None:
    """Let the predictions of one video choose, one after the other; fills `taken_KM`.

    A prediction reaches few instances, so plain Python over those is faster than arrays over all.
    """
    thresholds = [(tiou, k) for k, tiou in enumerate(tious)]
    lowest = min(tious)
    free = [[True] * tiou_PM.shape[1] for _ in tious]
    wanted_P = np.flatnonzero((tiou_PM >= lowest).any(axis=1))
    best_first_PM = np.argsort(-tiou_PM[wanted_P], axis=1, kind="stable")
    sorted_PM = np.take_along_axis(tiou_PM[wanted_P], best_first_PM, axis=1)
    rank_of, instance_of = ranks.tolist(), instances.tolist()
    for p, values, places in zip(wanted_P.tolist(), sorted_PM.tolist(), best_first_PM.tolist(), strict=True):
        for threshold, k in thresholds:
            free_here = free[k]
            for value, m in zip(values, places, strict=True):
                if value < threshold:
                    break
                if free_here[m]:
                    free_here[m] = False
                    taken_KM[k, instance_of[m]] = rank_of[p]
                    break


def _interpolated(ranks: Int64[np.ndarray, " h"], n_truth: int) -> float:
    """Area under interpolated precision over recall, from the ranks of the true positives alone.

    Precision is highest at true positives, and recall rises there and nowhere else, by 1 / n_truth.
    """
    precision = np.arange(1, len(ranks) + 1) / (ranks + 1)
    best = np.maximum.accumulate(precision[::-1])
    return float(best.sum() / n_truth)
