"""A video file that is written: H.264 and sound in mp4, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import av.error
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from ascnet_cli.errors import OptionError, OutputError, VideoError
from ascnet_cli.outputs.video.colour import Colours
from ascnet_cli.outputs.video.sound import Sound, SoundPacket, sound_for
from ascnet_cli.outputs.video.upright import PIXEL_FORMAT
from weights.atomic import replacing

FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov"}
# The same pictures give the same bytes: a fixed number of threads, and none of the code of x264 that was
# seen to differ from run to run (its AVX-512, which reads beyond its data). No picture is stored before one
# that is shown earlier: an mp4 keeps how long a picture is shown for the one that is stored last alone.
ENCODER = {
    "bf": "0",
    "crf": "18",
    "preset": "veryfast",
    "threads": "4",
    "flags": "+bitexact",
    "x264-params": "cpu-independent=1",
}
# The index comes first, so that a browser plays a file that it has only the beginning of.
MUXER = {"fflags": "+bitexact", "movflags": "+faststart"}
MADE_HERE = "made by ascnet"  # a file's comment, by which a later run knows that it may replace it
_MP4 = {"format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2", "protocol_whitelist": "file"}
_LIMITED_RANGE = 1
_FINEST_TICK = Fraction(1, 1_000_000)
_TICK = Fraction(1, 90_000)  # where a file's own is too fine, or says nothing


def format_of(path: Path) -> str:
    """The muxer for a file's ending.

    Raises:
        OptionError: no video is written with this ending.
    """
    if path.suffix.lower() not in FORMATS:
        raise OptionError(
            f"{path}: a video is written as {', '.join(FORMATS)}", hint="give the file one of these endings"
        )
    return FORMATS[path.suffix.lower()]


def is_ours(path: Path) -> bool:
    """Whether a video is one that ascnet wrote, by what it says of itself."""
    try:
        with av.open(f"file:{path}", options=_MP4, metadata_errors="replace") as container:
            return container.metadata.get("comment") == MADE_HERE
    except (av.error.FFmpegError, OSError, ValueError):
        return False


def check_apart(source: Path, target: Path) -> None:
    """Hold that a target is not the source itself.

    Raises:
        OutputError: it is, by another name or by the same.
    """
    if target.exists() and source.exists() and source.samefile(target):
        raise OutputError(f"{target} is the video that is read", hint="give another name to write to")


def tick_of(time_base: Fraction) -> Fraction:
    """What the times of a written file are counted in, seconds; those of the source where possible."""
    return time_base if _FINEST_TICK <= time_base <= 1 else _TICK


@contextmanager
def opened(path: Path) -> Iterator[OutputContainer]:
    """A container that is complete once the block is left, and as it was before after an exception.

    Raises:
        OptionError: an ending of no video.
        OutputError: the folder is missing or cannot be written to.
        StorageError: the disk is full or broken.
        VideoError: what was given cannot be put into such a file.
    """
    muxer = format_of(path)
    # FFmpeg opens the file by its name: an index that comes first is put there by reading it again.
    with replacing(path) as file:
        try:
            with av.open(f"file:{file.name}", "w", format=muxer, options=MUXER) as output:
                output.metadata["comment"] = MADE_HERE
                yield output
        except av.error.FFmpegError as error:
            if isinstance(error, OSError):
                raise  # of the disk: `replacing` says what it means
            raise VideoError(
                f"its pictures or its sound cannot be written to {path.name}: {error.strerror}",
                hint="re-encode the video, for example to H.264 and AAC in mp4, and use that",
            ) from error


@contextmanager
def writing(
    path: Path,
    size: tuple[int, int],
    colours: Colours,
    *,
    tick: Fraction,
    rate: Fraction,
    sounds: Sequence[AudioStream] = (),
) -> Iterator[VideoFile]:
    """A video file that is complete once the block is left, and as it was before after an exception.

    Args:
        path: the file.
        size: width and height of its pictures, even.
        colours: of its pictures.
        tick: what times are counted in, seconds.
        rate: frames a second, for the encoder to plan with; no time depends on it.
        sounds: streams of the source that are to be heard.

    Raises:
        OptionError: an ending of no video.
        OutputError: the folder is missing or cannot be written to.
        StorageError: the disk is full or broken.
        VideoError: what was given cannot be put into such a file.
    """
    with opened(path) as output:
        stream = output.add_stream("libx264", rate=rate, options=ENCODER)
        stream.width, stream.height, stream.pix_fmt = *size, PIXEL_FORMAT
        context = stream.codec_context
        context.time_base = tick
        context.color_range, context.colorspace = _LIMITED_RANGE, colours.matrix
        context.color_primaries, context.color_trc = colours.primaries, colours.transfer
        written = VideoFile(
            output, stream, tick, {source.index: sound_for(output, source) for source in sounds}
        )
        yield written
        written.finish()


class VideoFile:
    """Takes pictures in the order of presentation, and packets of sound; see `writing`."""

    def __init__(
        self, output: OutputContainer, stream: VideoStream, tick: Fraction, sounds: Mapping[int, Sound]
    ) -> None:
        self._output = output
        self._stream = stream
        self._tick = tick
        self._ticks_per_s = float(1 / tick)  # a product of floats a frame, not of fractions
        self._sounds = sounds
        self._last = -1
        self._durations: dict[int, int] = {}  # of pictures that are on their way, by stamp

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of the sound: one sentence each."""
        return tuple(sound.note for sound in self._sounds.values() if sound.note)

    def put(self, frame: VideoFrame, start_s: float, end_s: float) -> float:
        """Encode a picture.

        Args:
            frame: of the file's size, in its pixel format; not kept.
            start_s: when it is shown, seconds from the beginning of the file.
            end_s: until when.

        Returns:
            Until when it is shown in the file's ticks, seconds.
        """
        stamp = max(round(start_s * self._ticks_per_s), self._last + 1)
        self._last = stamp
        self._durations[stamp] = max(round(end_s * self._ticks_per_s) - stamp, 1)
        frame.pts, frame.time_base = stamp, self._tick
        ends = stamp + self._durations[stamp]
        self._encode(frame)
        return float(ends * self._tick)

    def put_sound(self, sound: SoundPacket, begin_s: float) -> None:
        """Take a packet of a stream that was asked for; `begin_s` of the source is 0 in the file."""
        if sound.packet.stream_index in self._sounds:
            self._sounds[sound.packet.stream_index].put(sound, begin_s)

    def finish(self) -> None:
        """Write what encoders hold back."""
        self._encode(None)
        for sound in self._sounds.values():
            sound.finish()

    def _encode(self, frame: VideoFrame | None) -> None:
        for packet in self._stream.encode(frame):
            if packet.pts is not None:
                packet.duration = self._durations.pop(packet.pts, 0)
            self._output.mux(packet)
