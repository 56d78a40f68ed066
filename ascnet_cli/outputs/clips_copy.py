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
from ascnet_cli.outputs.video.sound_clock import SoundClock
from ascnet_cli.segments import Segment
from extractors.decode_pyav import longest_gap_s, nominal_s, open_container
from extractors.packet_times import PacketStamp, packet_times
from extractors.video import MAX_PIXELS, check_file

OPEN_AT_ONCE = 64  # files
# What an mp4 can carry and players can play.
_CARRIED = frozenset({"h264", "hevc", "av1", "vp9", "mpeg4", "mpeg2video", "mpeg1video", "mjpeg"})
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
    stamps = _read_stamps(source)
    cuts = cuts_of(stamps, segments)
    lots = lots_of([Segment(cut.begin_s, cut.end_s) for cut in cuts], OPEN_AT_ONCE)
    total_s = sum(max(cuts[index].end_s for index in lot) for lot in lots)
    done_s = 0.0
    for lot in lots:
        with _Packets(source) as packets, _Copier(packets, stamps) as copier:
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
        self.nominal_s = nominal_s(self.stream)
        self.longest_gap_s = longest_gap_s(self.container)

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

    def stamp(self, packet: Packet[Any]) -> PacketStamp:
        """When a packet of the video is presented in the file's own time.

        Raises:
            OptionError: its file does not say.
        """
        base = packet.time_base or Fraction(0)
        pts = packet.dts if packet.pts is None and not self.stream.codec_context.has_b_frames else packet.pts
        if pts is None or not base:
            raise OptionError(
                "the file does not say when its packets are presented", hint="cut it without copying"
            )
        stored_s = None if packet.dts is None else float(packet.dts * base)
        return PacketStamp(float(pts * base), stored_s, float((packet.duration or 0) * base))


def _read_stamps(source: Path) -> list[Stamp]:
    """When each packet is presented."""
    found: list[PacketStamp] = []
    shown: list[bool] = []
    keys: list[bool] = []
    with _Packets(source) as packets:
        for packet in packets.all():
            if packet.stream_index == packets.stream.index:
                found.append(packets.stamp(packet))
                shown.append(not packet.is_discard)
                keys.append(bool(packet.is_keyframe))
        frame_s, gap_s = packets.nominal_s, packets.longest_gap_s
    starts_s = packet_times(found, frame_s, gap_s)
    first = [start_s for start_s, is_shown in zip(starts_s[:_REACH], shown[:_REACH], strict=True) if is_shown]
    if not first:
        raise VideoError("no packet of its video can be read", hint="the file is damaged")
    origin_s = min(first)
    lengths_s = (stamp.duration_s if 0 < stamp.duration_s <= gap_s else frame_s for stamp in found)
    return [
        Stamp(start_s - origin_s, start_s - origin_s + length_s, is_key)
        for start_s, length_s, is_key in zip(starts_s, lengths_s, keys, strict=True)
    ]


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

    def __init__(self, packets: _Packets, stamps: Sequence[Stamp]) -> None:
        self._packets = packets
        self._clock = SoundClock(packets.longest_gap_s)
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
        start_s = origin_s = 0.0
        for packet in self._packets.all():
            if packet.stream_index != self._packets.stream.index:
                self._clock.hear(packet)
                continue
            number = next(numbers, None)
            if number is None:
                break  # the file has grown since
            start_s = self._stamps[number].start_s
            origin_s = (self._packets.stamp(packet).shown_s or 0.0) - start_s
            self._hear(start_s, origin_s)
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
        if self._open:
            self._hear(start_s, origin_s, over=True)
        for copy, stack in list(self._open):
            self._end(copy, stack)

    def _hear(self, now_s: float, origin_s: float, *, over: bool = False) -> None:
        for sound in self._clock.heard(now_s, origin_s, over=over):
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
