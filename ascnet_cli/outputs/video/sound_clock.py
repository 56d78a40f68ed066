"""When sound is heard where the clock of a file jumps: with the pictures that it came by with.

Pictures go on after a jump as if there were none (`extractors.container.Timeline`), and sound goes with them.
But it comes by a little before or after the pictures of its clock, and a stamp may be wrong. So sound waits
for the picture that it is heard with; what fits none is passed over, and what follows it is not lost.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

from av.packet import Packet

from ascnet_cli.outputs.video.sound import APART_S, SoundPacket

_CLOCKS = 3  # that are remembered: sound of the one before may come by late
_RUN = 3  # packets that follow each other are no stray ones
_WINDOW = 50  # packets that wait and are looked at: sound may be stored all before the pictures


@dataclass(slots=True)
class _Waiting:
    packet: Packet[Any]
    since_s: float


class SoundClock:
    """Takes packets of sound in the order of the file, and gives them in the order of presentation.

    Args:
        longest_gap_s: sound of its own clock that is further ahead of the pictures has jumped, seconds.
    """

    def __init__(self, longest_gap_s: float) -> None:
        self._longest_gap_s = longest_gap_s
        self._origins_s: list[float] = []
        self._streams: dict[int, _Stream] = defaultdict(lambda: _Stream(longest_gap_s))
        self._now_s = 0.0

    def hear(self, packet: Packet[Any]) -> None:
        """Take a packet that was read."""
        if packet.pts is not None and packet.time_base is not None and packet.size:
            self._streams[packet.stream_index].waiting.append(_Waiting(packet, self._now_s))

    def heard(self, now_s: float, origin_s: float, *, over: bool = False) -> list[SoundPacket]:
        """What has been heard by the time of a picture, since the last call.

        Args:
            now_s: when the picture is shown, seconds from the first presented frame.
            origin_s: see `PyAvReader.origin_s`.
            over: it is the last one: what follows is given, too.
        """
        if not self._origins_s or origin_s != self._origins_s[-1]:
            self._origins_s = [*self._origins_s, origin_s][-_CLOCKS:]
        self._now_s = max(self._now_s, now_s)
        sounds: list[SoundPacket] = []
        for stream in self._streams.values():
            sounds += stream.heard(self._now_s, self._origins_s, over=over)
        return sounds


class _Stream:
    """The packets of one stream that wait, in the order of the file."""

    def __init__(self, longest_gap_s: float) -> None:
        self._longest_gap_s = longest_gap_s
        self.waiting: list[_Waiting] = []
        self._own_s: float | None = None  # its own origin, once it jumped alone
        self._last_s = float("-inf")
        self._end_s = 0.0

    def heard(self, now_s: float, origins_s: list[float], *, over: bool) -> list[SoundPacket]:
        """See `SoundClock.heard`."""
        known = origins_s if self._own_s is None else [*origins_s, self._own_s]
        given = self._give(now_s, known, over=over)
        if self.waiting and (over or self._overdue(self.waiting[0], now_s)):
            own_s = self._jumped(now_s, known, over=over)
            if own_s is not None:
                self._own_s = own_s
                known = [*origins_s, own_s]
                given += self._give(now_s, known, over=over)
            self._forget(now_s, known, over=over)
        return given

    def _give(self, now_s: float, origins_s: list[float], *, over: bool) -> list[SoundPacket]:
        given: list[SoundPacket] = []
        kept: list[_Waiting] = []
        in_vain = 0
        for one in self.waiting:
            if in_vain == _WINDOW and not over:
                break
            sound = _nearest(one.packet, origins_s, now_s)
            reach_s = max(self._end_s, now_s) + APART_S if over else now_s
            if self._last_s < sound.start_s <= reach_s:
                given.append(sound)
                self._last_s, self._end_s = sound.start_s, sound.end_s
                in_vain = 0
            else:
                kept.append(one)
                in_vain += 1
        self.waiting[: len(given) + len(kept)] = kept
        return given

    def _jumped(self, now_s: float, origins_s: list[float], *, over: bool) -> float | None:
        """The stream's own origin where it has jumped and the pictures have not; it then goes on at once."""
        far: list[tuple[_Waiting, SoundPacket]] = []
        for one in islice(self.waiting, _WINDOW):
            sound = _nearest(one.packet, origins_s, now_s)
            if sound.start_s > now_s + self._longest_gap_s or sound.start_s < self._last_s - APART_S:
                far.append((one, sound))
        for number in range(len(far) - _RUN + 1):
            first = far[number][0]
            if not (over or self._overdue(first, now_s)):
                break
            run = [sound.start_s for _, sound in far[number : number + _RUN]]
            if all(0 < after_s - before_s <= APART_S for before_s, after_s in pairwise(run)):
                return _stamp_s(first.packet) - self._end_s
        return None

    def _overdue(self, one: _Waiting, now_s: float) -> bool:
        return now_s - one.since_s > APART_S

    def _forget(self, now_s: float, origins_s: list[float], *, over: bool) -> None:
        """What has waited in vain: stray stamps, and what is said to be heard twice."""
        if over:
            self.waiting.clear()
        self.waiting[:_WINDOW] = [
            one
            for one in islice(self.waiting, _WINDOW)
            if now_s - one.since_s <= APART_S or _nearest(one.packet, origins_s, now_s).start_s > self._last_s
        ]


def _nearest(packet: Packet[Any], origins_s: list[float], now_s: float) -> SoundPacket:
    """A packet placed by the clock that brings it nearest to the pictures that it came by with."""
    stamp_s = _stamp_s(packet)
    start_s = min((stamp_s - origin_s for origin_s in origins_s), key=lambda time_s: abs(time_s - now_s))
    return SoundPacket(packet, start_s, start_s + float((packet.duration or 0) * (packet.time_base or 0)))


def _stamp_s(packet: Packet[Any]) -> float:
    return float((packet.pts or 0) * (packet.time_base or 0))
