"""Non-maximum suppression on a line: of proposals that say the same, the best one stays."""

import numpy as np
from jaxtyping import Float64, Int64

# Widens the search for overlapping neighbours, so that rounding never loses one; the exact test follows.
_SLACK_S = 1e-6


def nms(
    starts_s: Float64[np.ndarray, " n"],
    ends_s: Float64[np.ndarray, " n"],
    scores: Float64[np.ndarray, " n"],
    *,
    tiou: float,
    plus_one: bool = False,
) -> Int64[np.ndarray, "kept"]:
    """Greedy hard non-maximum suppression in seconds.

    Proposals are taken by falling score; equal scores by earlier start, then earlier end, then position
    in the input. Each one taken removes all others whose temporal IoU with it is `tiou` or more.

    A segment can only reach a temporal IoU of t with a kept one of length L if it starts between
    L (1 - t) / t before the kept one's start and the kept one's end: so only that stretch of the
    proposals, sorted by start, is compared. O(n log n) plus the neighbours of what is kept.

    Args:
        starts_s: starts, seconds.
        ends_s: ends, seconds, each later than its start.
        scores: finite, any range.
        tiou: threshold in (0, 1].
        plus_one: add a second to every length and overlap, as code written for pixels does; temporal
            IoU is then that of segments which end a second later.

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
    ends = ends_s + 1.0 if plus_one else ends_s

    by_start = np.argsort(starts_s, kind="stable")
    start, end = starts_s[by_start], ends[by_start]
    length = end - start
    first = np.searchsorted(start, start - length * (1 - tiou) / tiou - _SLACK_S, side="left").tolist()
    last = np.searchsorted(start, end + _SLACK_S, side="right").tolist()

    # Positions in the order of start, by rank; ties beyond score, start and end fall to the input's order.
    by_rank = np.lexsort((by_start, end, start, -scores[by_start]))
    free = np.ones(len(start), dtype=bool)
    kept: list[int] = []
    for at in by_rank.tolist():
        if not free[at]:
            continue
        kept.append(at)
        near = slice(first[at], last[at])
        overlap = np.minimum(end[near], end[at]) - np.maximum(start[near], start[at])
        union = length[near] + length[at] - overlap
        free[near] &= overlap / union < tiou
    return by_start[kept] if kept else np.empty(0, dtype=np.int64)
