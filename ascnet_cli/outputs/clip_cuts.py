"""Which packets of a video a clip needs that is copied: from a key frame on, whole up to its end."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from ascnet_cli.errors import VideoError
from ascnet_cli.segments import Segment

_ROUNDING_S = 0.0005  # segments are written to files with milliseconds


@dataclass(frozen=True, slots=True)
class Stamp:
    """When a packet of the video is presented: seconds from the first presented frame.

    Attributes:
        start_s: from when; negative for what is stored and not shown.
        end_s: until when.
        is_key: whether decoding can begin with it.
    """

    start_s: float
    end_s: float
    is_key: bool


@dataclass(frozen=True, slots=True)
class Cut:
    """Which packets of the video a clip has.

    Attributes:
        first: number of its key frame, in the order of storage.
        last: likewise, of its last one.
        begin_s: when it begins in the source, seconds.
        end_s: when it ends.
    """

    first: int
    last: int
    begin_s: float
    end_s: float


def cuts_of(stamps: Sequence[Stamp], segments: Sequence[Segment]) -> list[Cut]:
    """The packets that each segment needs: from the last key frame at or before its start.

    Args:
        stamps: of all packets of the video, in the order of storage.
        segments: those that begin after the end get what there is from the last key frame on.

    Raises:
        VideoError: the video has no key frame.
    """
    keys = [number for number, stamp in enumerate(stamps) if stamp.is_key]
    if not keys:
        raise VideoError("has no key frame that a copy could begin with", hint="cut it without copying")
    key_times_s = [stamps[number].start_s for number in keys]
    order = sorted(range(len(stamps)), key=lambda number: stamps[number].start_s)
    times_s = [stamps[number].start_s for number in order]
    latest = list(accumulate(order, max))  # of all that are shown up to there, the one that is stored last
    cuts = []
    for segment in segments:
        first = keys[max(bisect_right(key_times_s, segment.start_s + _ROUNDING_S) - 1, 0)]
        shown = bisect_right(times_s, segment.end_s - _ROUNDING_S)
        last, stored = first, max(first, latest[shown - 1] if shown else 0)
        end_s = stamps[first].start_s
        while stored > last:
            # What is stored on the way may be shown later; all that is shown before it then comes along.
            end_s = max([end_s, *(stamp.start_s for stamp in stamps[last + 1 : stored + 1])])
            last, stored = stored, max(stored, latest[bisect_right(times_s, end_s) - 1])
        kept = (stamp for stamp in stamps[first : last + 1] if stamp.start_s >= stamps[first].start_s)
        cuts.append(Cut(first, last, max(stamps[first].start_s, 0.0), max(stamp.end_s for stamp in kept)))
    return cuts
