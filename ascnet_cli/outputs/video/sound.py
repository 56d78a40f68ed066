"""The sound of a video that is written: copied packet by packet, or encoded again where that cannot be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol, runtime_checkable

import av
import av.error
import av.filter
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet

# What players find in an mp4 and can play. FFmpeg would put more into it, such as PCM, that few can.
_COPIED = frozenset({"aac", "mp3", "ac3", "eac3", "alac", "flac", "opus"})
_AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)
_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}
_BITS_A_CHANNEL = 96_000  # a second
# Before the beginning a player needs some packets to get going; what they sound of is not played.
_LEAD_S = 0.1
# Sound is stored up to so long before or after the pictures that it goes with.
APART_S = 5.0


@dataclass(frozen=True, slots=True)
class SoundPacket:
    """A packet of sound and when it sounds.

    Attributes:
        packet: as read.
        start_s: seconds from the first presented frame; negative before it.
        end_s: likewise.
    """

    packet: Packet[Any]
    start_s: float
    end_s: float

    def within(self, start_s: float, end_s: float) -> bool:
        """Whether it is needed to play a stretch of time."""
        return self.start_s < end_s and self.end_s > start_s - _LEAD_S


class Gate:
    """Lets through what is needed of the sound for a stretch of time.

    Args:
        begin_s: where it begins, seconds from the first presented frame.
        end_s: where it ends.
        streams: indices of all streams of sound.
    """

    def __init__(self, begin_s: float, end_s: float, streams: Iterable[int]) -> None:
        self._begin_s, self._end_s = begin_s, end_s
        self._lacking = set(streams)

    def passes(self, sound: SoundPacket) -> bool:
        """Whether a packet, given in the order of the file, is needed."""
        if sound.start_s >= self._end_s:
            self._lacking.discard(sound.packet.stream_index)
        return sound.within(self._begin_s, self._end_s)

    def closed(self, now_s: float) -> bool:
        """Whether nothing more is to be expected.

        Args:
            now_s: how far the pictures have come.
        """
        return not self._lacking or now_s >= self._end_s + APART_S


@runtime_checkable
class Sound(Protocol):
    """One stream of sound in a file that is written."""

    note: str

    def put(self, sound: SoundPacket, begin_s: float) -> None:
        """Take a packet; `begin_s` of the source is 0 in the file."""

    def finish(self) -> None:
        """Write what was held back."""


def sound_for(output: OutputContainer, source: AudioStream) -> Sound:
    """A stream for a file, which takes the packets of one stream of the source."""
    codec = source.codec_context.name
    if codec in _COPIED:
        return CopiedSound(output, source)
    return EncodedSound(output, source)


class CopiedSound:
    """Takes packets as they are."""

    note = ""

    def __init__(self, output: OutputContainer, source: AudioStream) -> None:
        self._output = output
        self._stream = output.add_stream_from_template(source)
        self._last: int | None = None

    def put(self, sound: SoundPacket, begin_s: float) -> None:
        """See `Sound.put`."""
        read = sound.packet
        base: Fraction = read.time_base
        packet: Packet[Any] = Packet(bytes(read))
        stamp = round(Fraction(sound.start_s - begin_s) / base)
        if self._last is not None and stamp <= self._last:
            return  # a muxer takes no packet twice, nor one that goes back
        self._last = stamp
        packet.pts = packet.dts = stamp
        packet.duration, packet.time_base = read.duration, base
        packet.is_keyframe = True
        packet.stream = self._stream
        self._output.mux(packet)

    def finish(self) -> None:
        """See `Sound.finish`."""


class EncodedSound:
    """Decodes packets and encodes them as AAC; gaps become silence, so that the time is kept."""

    def __init__(self, output: OutputContainer, source: AudioStream) -> None:
        self._output = output
        self._source = source
        context = source.codec_context
        rate = context.sample_rate if context.sample_rate in _AAC_RATES else 48_000
        layout = _LAYOUTS.get(context.layout.nb_channels, "stereo")
        options = {"flags": "+bitexact"}
        self._stream: Any = output.add_stream("aac", rate=rate, options=options, layout=layout)
        self._stream.bit_rate = _BITS_A_CHANNEL * self._stream.codec_context.layout.nb_channels
        self._decoder: Any = None
        self._graph: av.filter.Graph | None = None
        self._format = f"sample_fmts=fltp:sample_rates={rate}:channel_layouts={layout}"
        self.note = f"the sound ({context.name}) was encoded again, as AAC"

    def put(self, sound: SoundPacket, begin_s: float) -> None:
        """See `Sound.put`."""
        shift_s = sound.start_s - begin_s
        try:
            decoded = self._frames_of(sound.packet)
        except (av.error.FFmpegError, MemoryError):
            return  # damaged: silence takes its place
        for frame in decoded:
            if self._graph is None:
                self._graph = self._build(frame)
            # A packet's frames follow each other; its own time is that of the first.
            frame.pts = round(shift_s * frame.sample_rate)
            frame.time_base = Fraction(1, frame.sample_rate)
            shift_s += frame.samples / frame.sample_rate
            self._graph.push(frame)
            self._encode()

    def _frames_of(self, packet: Packet[Any]) -> list[AudioFrame]:
        # A decoder of its own: several files may take the same stream, from different moments on.
        if self._decoder is None:
            context = self._source.codec_context
            self._decoder = av.CodecContext.create(context.name, "r")
            self._decoder.extradata = context.extradata
            self._decoder.sample_rate, self._decoder.layout = context.sample_rate, context.layout
        return list(self._decoder.decode(packet))

    def _build(self, frame: AudioFrame) -> av.filter.Graph:
        graph = av.filter.Graph()
        steps = (
            graph.add_abuffer(
                sample_rate=frame.sample_rate,
                format=frame.format,
                layout=frame.layout,
                time_base=Fraction(1, frame.sample_rate),
            ),
            graph.add("aresample", "async=1:first_pts=0"),
            graph.add("aformat", self._format),
            graph.add("abuffersink"),
        )
        graph.link_nodes(*steps)
        graph.configure()
        return graph

    def _encode(self) -> None:
        for frame in self._filtered():
            self._output.mux(self._stream.encode(frame))

    def _filtered(self) -> Iterator[AudioFrame]:
        assert self._graph is not None  # noqa: S101  # only called once there is one
        while True:
            try:
                frame = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            if isinstance(frame, AudioFrame):
                yield frame

    def finish(self) -> None:
        """See `Sound.finish`."""
        if self._graph is None:
            return
        self._graph.push(None)
        self._encode()
        self._output.mux(self._stream.encode(None))
