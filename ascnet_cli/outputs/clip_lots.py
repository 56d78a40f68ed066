"""Segments in lots of which few overlap, so that few files are open at once."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from ascnet_cli.segments import Segment


def lots_of(segments: Sequence[Segment], most: int) -> list[list[int]]:
    """Segments in as few lots as possible, of which never more than `most` overlap; by start in each.

    Args:
        segments: in any order.
        most: at least 1.
    """
    order = sorted(range(len(segments)), key=lambda k: (segments[k], k))
    lots: list[list[int]] = []
    running: list[tuple[float, int]] = []  # a heap: end, and the track that is free from then on
    free: list[int] = []
    n_tracks = 0
    for index in order:
        while running and running[0][0] <= segments[index].start_s:
            heapq.heappush(free, heapq.heappop(running)[1])
        if free:
            track = heapq.heappop(free)
        else:
            track, n_tracks = n_tracks, n_tracks + 1
        heapq.heappush(running, (segments[index].end_s, track))
        if track // most == len(lots):
            lots.append([])
        lots[track // most].append(index)
    return lots
