"""A video that is read once: pictures with the time each is shown for, and its sound, as both come by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

from av.audio.stream import AudioStream
from av.packet import Packet

from ascnet_cli.outputs.video.sound import SoundPacket
from ascnet_cli.outputs.video.sound_clock import SoundClock
from extractors.decode_pyav import PyAvReader, StoredFrame
from extractors.video import DecodeReport, Limits, check_file

_RATES = (Fraction(1), Fraction(240))  # frames a second; others are taken for a damaged header
_USUAL_RATE = Fraction(25)
# Whoever has segments of a damaged video may see what can be seen of it.
_LIMITS = Limits(max_damage=1.0)


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture and when it is seen.

    Attributes:
        frame: as it is stored.
        start_s: seconds from the first presented frame.
        end_s: when the next one takes its place; for the last one as the file says.
    """

    frame: StoredFrame
    start_s: float
    end_s: float


class Source:
    """A video file opened for one pass; use it in a `with`.

    Args:
        path: a regular file.

    Raises:
        VideoError: not a readable video; the message says what is wrong.
    """

    def __init__(self, path: Path) -> None:
        check_file(path)
        self._reader = PyAvReader(path, short_side=None, limits=_LIMITS, aside=self._hear)
        self._clock = SoundClock(self._reader.longest_gap_s)
        self._now_s, self._over = 0.0, False
        self._indices = {stream.index for stream in self.sounds}

    def _hear(self, packet: Packet[Any]) -> None:
        if packet.stream_index in self._indices:
            self._clock.hear(packet)

    @property
    def sounds(self) -> tuple[AudioStream, ...]:
        """The streams of sound."""
        return self._reader.sounds

    @property
    def tick(self) -> Fraction:
        """What the file counts the times of its frames in, seconds."""
        return self._reader.time_base

    @property
    def rate(self) -> Fraction:
        """Frames a second as the header has it, within reason; no time depends on it."""
        rate = Fraction(self._reader.info.header_fps).limit_denominator(1001)
        return rate if _RATES[0] <= rate <= _RATES[1] else _USUAL_RATE

    @property
    def header_duration_s(self) -> float | None:
        """Length by the header, seconds."""
        return self._reader.info.header_duration_s

    @property
    def report(self) -> DecodeReport:
        """How it could be read; complete at the end."""
        return self._reader.report

    def pictures(self) -> Iterator[Shown]:
        """All pictures, in the order of presentation.

        Raises:
            VideoError: nothing could be decoded, or too much of the file is damaged.
        """
        before: StoredFrame | None = None
        for frame in self._reader.stored_frames():
            self._now_s = frame.time_s
            if before is not None:
                yield Shown(before, before.time_s, frame.time_s)
            before = frame
        self._over = True
        if before is not None:
            yield Shown(before, before.time_s, max(self.report.duration_s, before.time_s))

    def heard(self) -> list[SoundPacket]:
        """The packets of sound that are heard up to the newest picture, since the last call."""
        origin_s = self._reader.origin_s
        return [] if origin_s is None else self._clock.heard(self._now_s, origin_s, over=self._over)

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
