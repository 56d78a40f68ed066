"""Non-maximum suppression on a line: of proposals that say the same, the best one stays."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float64, Int64

# Widens the search for overlapping neighbours, so that rounding never loses one; the exact test follows.
_SLACK_S = 1e-6
# Pairs compared at a time: their columns stay in a processor's cache, and memory in bounds.
_PAIRS_AT_ONCE = 1 << 14


def nms(
    starts_s: Float64[np.ndarray, " n"],
    ends_s: Float64[np.ndarray, " n"],
    scores: Float64[np.ndarray, " n"],
    *,
    tiou: float,
    plus_one: bool = False,
    groups: Int64[np.ndarray, " n"] | None = None,
) -> Int64[np.ndarray, "kept"]:
    """Greedy hard non-maximum suppression in seconds.

    Proposals are taken by falling score; equal scores by group, then earlier start, then earlier end, then
    position in the input. Each one taken removes all others of its group whose temporal IoU with it is
    `tiou` or more.

    Of two segments whose temporal IoU is t or more the later one starts within the first 1 - t of the
    earlier one's length: so only that stretch of the proposals, sorted by start, is compared, once for
    each pair. O(n log n) plus those neighbours.

    Args:
        starts_s: starts, seconds.
        ends_s: ends, seconds, each later than its start.
        scores: finite, any range.
        tiou: threshold in (0, 1].
        plus_one: add a second to every length and overlap, as code written for pixels does; temporal
            IoU is then that of segments which end a second later.
        groups: any number for each proposal, as its class: those of different groups leave each other
            alone. None: all are one group.

    Returns:
        Indices of what stays, best first.

    Raises:
        ValueError: the threshold is out of range or a segment is empty.
    """
    if not 0 < tiou <= 1:
        raise ValueError(f"the tIoU threshold must lie in (0, 1], not {tiou}")
    if not np.all(ends_s > starts_s):
        worst = int(np.argmin(ends_s - starts_s))
        raise ValueError(f"segment {worst} is empty: [{starts_s[worst]}, {ends_s[worst]}]")
    if len(starts_s) == 0:
        return np.empty(0, dtype=np.int64)
    group = np.zeros(len(starts_s), dtype=np.int64) if groups is None else groups
    in_line = _in_line(starts_s, ends_s, group)
    start, end = starts_s[in_line], ends_s[in_line] + (1.0 if plus_one else 0.0)
    apart = _set_apart(start, end, group[in_line])
    reach = apart + (end - start) * (1 - tiou) + _SLACK_S
    after = np.searchsorted(apart, reach, side="right")
    pairs = np.concatenate(list(_overlapping(start, end, after, tiou)), axis=1)

    best_first = np.argsort(-scores[in_line], kind="stable")
    rank = np.empty(len(best_first), dtype=np.int64)
    rank[best_first] = np.arange(len(best_first))
    one, other = rank.take(pairs)
    stays = _survivors(np.minimum(one, other), np.maximum(one, other), len(rank))
    return np.asarray(in_line[best_first[stays]])


def _in_line(
    starts_s: Float64[np.ndarray, " n"], ends_s: Float64[np.ndarray, " n"], group: Int64[np.ndarray, " n"]
) -> Int64[np.ndarray, " n"]:
    """The order by group, then start, then end, then position.

    Runs of cells come in this order, and to see that takes a fraction of sorting them again.
    """
    later = np.diff(ends_s) >= 0
    for values in (starts_s, group):
        step = np.diff(values)
        later = (step > 0) | ((step == 0) & later)
    if later.all():
        return np.arange(len(starts_s))
    return np.lexsort((ends_s, starts_s, group))


def _set_apart(
    start: Float64[np.ndarray, " n"], end: Float64[np.ndarray, " n"], group: Int64[np.ndarray, " n"]
) -> Float64[np.ndarray, " n"]:
    """Starts moved group after group, so far that no group's segments reach into the next one's.

    They serve the search for neighbours alone: what moving rounds away is less than its slack.
    """
    nth_group = np.cumsum(np.concatenate(([False], group[1:] != group[:-1])))
    return np.asarray(start + nth_group * (end.max() - start.min() + 1.0), dtype=np.float64)


def _overlapping(
    start: Float64[np.ndarray, " n"],
    end: Float64[np.ndarray, " n"],
    after: Int64[np.ndarray, " n"],
    tiou: float,
) -> Iterator[Int64[np.ndarray, "2 pairs"]]:
    """Pairs i < k of segments, by ascending starts, with k < after[i] and a temporal IoU >= tiou."""
    # `take` and `flatnonzero`: on so many pairs they are several times faster than brackets.
    index, length = np.arange(len(after)), end - start
    n_after = after - index - 1
    begins = np.concatenate(([0], np.cumsum(n_after)))  # of each segment's pairs among all pairs
    stops = np.searchsorted(begins, np.arange(_PAIRS_AT_ONCE, begins[-1], _PAIRS_AT_ONCE))
    for low, high in zip([0, *stops.tolist()], [*stops.tolist(), len(after)], strict=True):
        times = n_after[low:high]
        other = np.arange(begins[low], begins[high])
        other += np.repeat(index[low:high] + 1 - begins[low:high], times)
        other_start, other_end = start.take(other), end.take(other)
        overlap = np.minimum(np.repeat(end[low:high], times), other_end)
        overlap -= other_start
        union = np.repeat(length[low:high], times)
        union += other_end - other_start
        union -= overlap
        found = np.flatnonzero(overlap / union >= tiou)
        yield np.stack((np.repeat(index[low:high], times).take(found), other.take(found)))


def _survivors(
    better: Int64[np.ndarray, " pairs"], worse: Int64[np.ndarray, " pairs"], n: int
) -> Bool[np.ndarray, " n"]:
    """What the greedy choice keeps of n proposals, given which one of each overlapping pair is better.

    In rounds: whatever no free proposal beats is sure to stay, and removes those that it beats. That is
    the same choice as one at a time, and takes a few rounds where that takes a step for each.
    """
    free = np.ones(n, dtype=bool)
    while len(better):
        beaten = np.zeros(n, dtype=bool)
        beaten[worse] = True
        free[worse.take(np.flatnonzero(~beaten.take(better)))] = False
        open_pairs = np.flatnonzero(free.take(better) & free.take(worse))
        better, worse = better.take(open_pairs), worse.take(open_pairs)
    return free
