"""Segments as files without encoding again: packets are copied, from a key frame on.

The packets of the file are looked at once for their times, and once more to be copied; nothing is decoded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import av.error
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from ascnet_cli.errors import OptionError, VideoError
from ascnet_cli.outputs.clip_cuts import Cut, Stamp, cuts_of
from ascnet_cli.outputs.clip_lots import lots_of
from ascnet_cli.outputs.video.file import opened
from ascnet_cli.outputs.video.sound import APART_S, Gate, Sound, SoundPacket, sound_for
from ascnet_cli.segments import Segment
from extractors.container import LONGEST_GAP_S, Timeline
from extractors.decode_pyav import open_container
from extractors.video import MAX_PIXELS, check_file

OPEN_AT_ONCE = 64  # files
# What an mp4 can carry and players can play.
_CARRIED = frozenset({"h264", "hevc", "av1", "vp9", "mpeg4", "mpeg2video", "mpeg1video", "mjpeg"})
_USUAL_RATE = 25
_REACH = 32  # packets that the first one to be shown is among; H.264 reorders at most 16 pictures


def copy_segments(
    source: Path,
    segments: Sequence[Segment],
    paths: Sequence[Path],
    progress: Callable[[float, float | None], None] | None,
) -> list[tuple[float, float]]:
    """Copy each segment into a file; see `ascnet_cli.outputs.clips.write_clips`.

    Returns:
        What was really cut: start and end in the source, seconds.
    """
    if not segments:
        return []
    check_file(source)
    origin_s, stamps = _read_stamps(source)
    cuts = cuts_of(stamps, segments)
    lots = lots_of([Segment(cut.begin_s, cut.end_s) for cut in cuts], OPEN_AT_ONCE)
    total_s = sum(max(cuts[index].end_s for index in lot) for lot in lots)
    done_s = 0.0
    for lot in lots:
        with _Packets(source) as packets, _Copier(packets, origin_s, stamps) as copier:
            waiting = deque(sorted(((cuts[index], paths[index]) for index in lot), key=lambda c: c[0].first))
            for now_s in copier.copy(waiting):
                if progress is not None:
                    progress(min(done_s + now_s, total_s), total_s)
        done_s += max(cuts[index].end_s for index in lot)
    return [(cut.begin_s, cut.end_s) for cut in cuts]


class _Packets:
    """The packets of a file in the order of storage, those of the video placed in time."""

    def __init__(self, source: Path) -> None:
        self.container, self.stream = open_container(source, max_pixels=MAX_PIXELS)
        codec = self.stream.codec_context
        if codec.name not in _CARRIED:
            self.container.close()
            raise OptionError(
                f"an mp4 cannot carry this video as it is ({codec.name})", hint="cut it without copying"
            )
        if self.container.format.name == "avi" and codec.has_b_frames:
            self.container.close()
            raise OptionError(
                "an AVI does not say when such packets are presented", hint="cut it without copying"
            )
        rate = self.stream.base_rate or self.stream.average_rate
        self._nominal_s = min(float(1 / rate), 1.0) if rate else 1 / _USUAL_RATE
        self.timeline = Timeline(self._nominal_s, LONGEST_GAP_S)

    def __enter__(self) -> _Packets:
        return self

    def __exit__(self, *failure: object) -> None:
        self.container.close()

    def all(self) -> Iterator[Packet[Any]]:
        """Those with something in them."""
        packets = self.container.demux()
        while True:
            try:
                packet = next(packets)
            except (StopIteration, IndexError, av.error.FFmpegError, OSError):
                return  # the end, or the demuxer gave up; what came before it stands
            if packet.size:
                yield packet

    def place(self, packet: Packet[Any]) -> tuple[float, float]:
        """When a packet of the video begins and ends, seconds from an arbitrary origin.

        Raises:
            OptionError: its file does not say when its pictures are presented.
        """
        base = packet.time_base or Fraction(0)
        pts = packet.dts if packet.pts is None and not self.stream.codec_context.has_b_frames else packet.pts
        if pts is None or not base:
            raise OptionError(
                "the file does not say when its packets are presented", hint="cut it without copying"
            )
        start_s = self.timeline.place(float(pts * base), 0.0)
        return start_s, start_s + (float((packet.duration or 0) * base) or self._nominal_s)


def _read_stamps(source: Path) -> tuple[float, list[Stamp]]:
    """When the first frame is presented in the file's own time, and all packets' stamps."""
    placed: list[tuple[float, float, bool]] = []
    origin_s: float | None = None
    with _Packets(source) as packets:
        for packet in packets.all():
            if packet.stream_index == packets.stream.index:
                start_s, end_s = packets.place(packet)
                placed.append((start_s, end_s, bool(packet.is_keyframe)))
                if not packet.is_discard and len(placed) <= _REACH:
                    origin_s = start_s if origin_s is None else min(origin_s, start_s)
    if origin_s is None:
        raise VideoError("no packet of its video can be read", hint="the file is damaged")
    return origin_s, [Stamp(start - origin_s, end - origin_s, is_key) for start, end, is_key in placed]


class _Copy:
    """A clip that is being copied."""

    def __init__(self, cut: Cut, output: OutputContainer, packets: _Packets, key_s: float) -> None:
        self.cut = cut
        self._output = output
        self._key_s = key_s
        self._stream: VideoStream = output.add_stream_from_template(packets.stream)
        sources = [source for source in packets.container.streams.audio if source.codec_context is not None]
        self._sounds: dict[int, Sound] = {source.index: sound_for(output, source) for source in sources}
        self.gate = Gate(cut.begin_s, cut.end_s, self._sounds)
        self._last: int | None = None

    def put(self, packet: Packet[Any], start_s: float) -> None:
        """Take a packet of the video that is presented at `start_s` of the source."""
        if start_s < self._key_s:
            return  # it needs pictures from before the key frame
        base: Fraction = packet.time_base
        copied: Packet[Any] = Packet(bytes(packet))
        copied.pts = round(Fraction(start_s - self.cut.begin_s) / base)
        dts = (
            copied.pts if packet.dts is None or packet.pts is None else copied.pts - (packet.pts - packet.dts)
        )
        # Stored times must grow; where they do not, a jump was joined.
        copied.dts = dts if self._last is None else max(dts, self._last + 1)
        copied.pts = max(copied.pts, copied.dts)
        self._last = copied.dts
        copied.duration, copied.time_base = packet.duration, base
        copied.is_keyframe = packet.is_keyframe
        copied.stream = self._stream
        self._output.mux(copied)

    def give(self, sound: SoundPacket) -> None:
        """Take a packet of sound if it belongs to this clip."""
        if self.gate.passes(sound) and sound.packet.stream_index in self._sounds:
            self._sounds[sound.packet.stream_index].put(sound, self.cut.begin_s)

    def finish(self) -> None:
        """Write what is held back."""
        for sound in self._sounds.values():
            sound.finish()


class _Copier:
    """Gives packets to the clips that they belong to."""

    def __init__(self, packets: _Packets, origin_s: float, stamps: Sequence[Stamp]) -> None:
        self._packets = packets
        self._origin_s = origin_s
        self._stamps = stamps
        self._open: list[tuple[_Copy, ExitStack]] = []
        self._heard: deque[SoundPacket] = deque()
        self._everything = ExitStack()

    def copy(self, waiting: deque[tuple[Cut, Path]]) -> Iterator[float]:
        """Write the clips; yields how far the video was read, seconds.

        Args:
            waiting: by first packet.
        """
        numbers = iter(range(len(self._stamps)))
        for packet in self._packets.all():
            if packet.stream_index != self._packets.stream.index:
                self._hear(packet)
                continue
            start_s = self._packets.place(packet)[0] - self._origin_s
            number = next(numbers, len(self._stamps))
            while waiting and waiting[0][0].first <= number:
                self._begin(*waiting.popleft())
            for copy, stack in list(self._open):
                if number <= copy.cut.last:
                    copy.put(packet, start_s)
                elif copy.gate.closed(start_s):
                    self._end(copy, stack)
            while self._heard and self._heard[0].end_s < start_s - APART_S:
                self._heard.popleft()
            yield start_s
            if not waiting and not self._open:
                break
        for copy, stack in list(self._open):
            self._end(copy, stack)

    def _hear(self, packet: Packet[Any]) -> None:
        sound = SoundPacket.of(packet, self._origin_s - self._packets.timeline.offset_s)
        if sound is None:
            return
        self._heard.append(sound)
        for copy, _ in self._open:
            copy.give(sound)

    def _begin(self, cut: Cut, path: Path) -> None:
        stack = ExitStack()
        self._everything.push(stack)
        output = stack.enter_context(opened(path))
        copy = _Copy(cut, output, self._packets, self._stamps[cut.first].start_s)
        self._open.append((copy, stack))
        for sound in self._heard:
            copy.give(sound)

    def _end(self, copy: _Copy, stack: ExitStack) -> None:
        self._open.remove((copy, stack))
        copy.finish()
        stack.close()

    def __enter__(self) -> _Copier:
        return self

    def __exit__(self, *failure: object) -> None:
        self._everything.__exit__(*failure)  # type: ignore[arg-type]
