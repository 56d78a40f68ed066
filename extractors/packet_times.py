"""When packets of a video are presented, by the same rules as its decoded frames, with nothing decoded.

A `Timeline` takes stamps in the order of presentation; packets come in the order of storage. Between two
jumps of the clock of storage, which only ever grows, the order of presentation is that of the stamps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from extractors.container import Timeline, longest_step_back_s


@dataclass(frozen=True, slots=True)
class PacketStamp:
    """What a packet says of its time, seconds in the file's own clock.

    Attributes:
        shown_s: when it is presented, or None.
        stored_s: when it is decoded, or None.
        duration_s: how long it is shown; 0 where the file does not say.
    """

    shown_s: float | None
    stored_s: float | None
    duration_s: float


def packet_times(stamps: Sequence[PacketStamp], nominal_s: float, longest_gap_s: float) -> list[float]:
    """When each packet is presented, in the order given, seconds from an arbitrary origin.

    Args:
        stamps: of all packets, in the order of storage.
        nominal_s: see `Timeline`.
        longest_gap_s: likewise.
    """
    timeline = Timeline(nominal_s, longest_gap_s)
    times_s = [0.0] * len(stamps)
    for run in _runs(stamps, longest_step_back_s(nominal_s), longest_gap_s):
        for number in _presented(stamps, run):
            stamp = stamps[number]
            times_s[number] = timeline.place(stamp.shown_s, stamp.duration_s)
    return times_s


def _runs(stamps: Sequence[PacketStamp], most_back_s: float, most_ahead_s: float) -> list[list[int]]:
    """Numbers of packets, parted where the clock of storage jumps."""
    runs: list[list[int]] = [[]]
    before_s: float | None = None
    for number, stamp in enumerate(stamps):
        if stamp.stored_s is not None:
            step_s = 0.0 if before_s is None else stamp.stored_s - before_s
            if not -most_back_s <= step_s <= most_ahead_s:
                runs.append([])
            before_s = stamp.stored_s
        runs[-1].append(number)
    return runs


def _presented(stamps: Sequence[PacketStamp], run: Sequence[int]) -> list[int]:
    """A run in the order of presentation; what has no stamp follows what it is stored after."""
    keys: dict[int, tuple[float, int]] = {}
    latest_s = float("-inf")
    for number in run:
        shown_s = stamps[number].shown_s
        latest_s = latest_s if shown_s is None else shown_s
        keys[number] = (latest_s, number)
    return sorted(run, key=keys.__getitem__)
