"""Frames through PyAV (FFmpeg's libraries): packet by packet, so that damage costs only what it hit."""

from __future__ import annotations

import heapq
import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import av
import av.container
import av.error
import av.filter
import av.logging
import av.stream
import numpy as np
from av.audio.stream import AudioStream
from av.format import Flags
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from jaxtyping import UInt8

from extractors import container as container_file
from extractors.errors import VideoError
from extractors.pictures import Scaler, displayed_size, orientation, resized, upright
from extractors.video import (
    MIN_SIDE,
    DecodeReport,
    Frame,
    Limits,
    VideoInfo,
    VideoReader,
)

# Containers that hold video files; never playlists, scripts, devices or network descriptions.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,gif,mxf,ivf,dv,"
    "h264,hevc,m4v,av1,obu,vob,rm,nut,wtv,mjpeg,apng,yuv4mpegpipe"
)
# These give no duration of a stream but that of the file: from time 0 to the end of what ends last.
_DURATION_FROM_ZERO = ("matroska,webm", "flv")
# The decoder itself refuses to make room for pictures this many times over the limit; the limit is held
# frame by frame. The room between the two lets a header be read, so that its size can be named.
_ROOM_OVER_LIMIT = 4

P = TypeVar("P")  # a picture, in whichever form it is asked for


def open_container(path: Path, *, max_pixels: int) -> tuple[av.container.InputContainer, VideoStream]:
    """Open a file and choose its video stream: the first that is not a cover picture.

    Raises:
        VideoError: not a video, no video stream, an unknown codec, too large or too small.
    """
    room = str(_ROOM_OVER_LIMIT * max_pixels)
    options = {"format_whitelist": FORMATS, "protocol_whitelist": "file", "max_pixels": room}
    try:
        container = av.open(f"file:{path}", options=options, metadata_errors="replace")
    except (av.error.FFmpegError, OSError, ValueError, MemoryError) as error:
        raise _unreadable(path, error) from error
    try:
        return container, _choose_stream(container, max_pixels)
    except BaseException:
        container.close()
        raise


def _unreadable(path: Path, error: Exception) -> VideoError:
    if isinstance(error, PermissionError):
        return VideoError("cannot be read: permission denied", hint="check the file's permissions")
    try:
        lacks_moov = container_file.lacks_moov(path)
    except OSError as gone:
        return VideoError(f"cannot be read: {gone.strerror or gone}")
    if lacks_moov:
        return VideoError(
            "not a readable video (its index, the moov box, is missing)",
            hint="the file is incomplete: download it again, or let the recorder finish (remux) it",
        )
    return VideoError(
        "not a readable video",
        hint="check with a player that it plays; if so, convert it: ffmpeg -i FILE -c copy new.mp4",
    )


def _moving_pictures(container: av.container.InputContainer) -> list[VideoStream]:
    """The video streams that are not cover pictures."""
    return [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]


def _choose_stream(container: av.container.InputContainer, max_pixels: int) -> VideoStream:
    streams = _moving_pictures(container)
    if not streams:
        raise VideoError(
            "no video stream (audio or pictures only)", hint="give a file that has moving pictures"
        )
    stream = streams[0]
    context: Any = stream.codec_context
    if context is None:
        raise VideoError(
            f"its codec is unknown to this FFmpeg: {_codec_of(container, stream)}",
            hint="convert it, for example to H.264 in mp4",
        )
    if stream.width and stream.height:
        check_size(stream.width, stream.height, max_pixels)
    context.options = {"max_pixels": str(_ROOM_OVER_LIMIT * max_pixels)}
    # One mode, so that what is decoded from a damaged file does not depend on the machine.
    context.thread_type = "SLICE"
    return stream


def _codec_of(container: av.container.InputContainer, stream: VideoStream) -> str:
    """What a file calls the codec of a stream that has no decoder, such as `none (zzzz / 0x7A7A7A7A)`."""
    described: Any = container  # typed as if it could not
    level = av.logging.get_level()
    av.logging.set_level(av.logging.INFO)  # below it FFmpeg describes nothing
    try:
        description = str(described.dumps_format())
    finally:
        av.logging.set_level(level)
    told = re.search(rf"Stream #0:{stream.index}\b.*?Video: ([^,\n]+)", description)
    return told[1].strip() if told else "the file does not name it"


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Refuse pictures that are too large or too small.

    Raises:
        VideoError: with the size and the limit.
    """
    if width * height > max_pixels:
        raise VideoError(
            f"{width}x{height} is over the limit of {max_pixels / 1e6:.3g} megapixels a frame",
            hint="scale the video down first; `detect` and `extract` take larger ones with --max-pixels",
        )
    if min(width, height) < MIN_SIDE:
        raise VideoError(
            f"{width}x{height} is too small: at least {MIN_SIDE}x{MIN_SIDE} pixels are needed",
            hint="give the video in a larger size",
        )


def header_info(path: Path, container: av.container.InputContainer, stream: VideoStream) -> VideoInfo:
    """What the header says of a video, with the displayed size not yet rotated."""
    duration: float | None = None
    if stream.duration and stream.time_base:
        duration = float(stream.duration * stream.time_base)
    elif container.duration:
        duration = container.duration / av.time_base
    notes = []
    n_streams = len(_moving_pictures(container))
    if n_streams > 1:
        notes.append(f"{n_streams} video streams: stream {stream.index} is read")
    width, height = displayed_size(stream.width, stream.height, stream.sample_aspect_ratio)
    return VideoInfo(
        path=path,
        container=container.format.name,
        codec=stream.codec_context.name,
        width=width,
        height=height,
        header_fps=float(stream.average_rate or stream.base_rate or 0),
        header_frames=stream.frames,
        header_duration_s=duration,
        duration_is_streams=bool(stream.duration),
        stream_index=stream.index,
        n_streams=n_streams,
        notes=tuple(notes),
    )


def nominal_s(stream: VideoStream) -> float:
    """How long a frame lasts where nothing but the header says so, seconds."""
    rate = stream.base_rate or stream.average_rate
    return min(float(1 / rate), 1.0) if rate else 0.04


def counts_itself(container: av.container.InputContainer) -> bool:
    """Whether a file of this kind has no times, so that those of its packets are FFmpeg's: a raw stream."""
    untimed: Any = Flags.no_timestamps.value
    return bool(container.format.flags & untimed)


def longest_gap_s(container: av.container.InputContainer) -> float:
    """How far times of frames may step ahead before that is a jump of the clock, seconds."""
    restarts: Any = Flags.ts_discont.value
    restarting = bool(container.format.flags & restarts)
    return container_file.LONGEST_GAP_RESTARTING_S if restarting else container_file.LONGEST_GAP_S


def is_repeat(packet: Packet[Any]) -> bool:
    """Whether a packet says with a time and no content that the picture before it is shown on (Theora).

    A decoder must not see it: it would take it for the end, and refuse all that follows. The packet at the
    end, which calls for the frames held back, has no time.
    """
    return not packet.size and packet.dts is not None


def _seconds(item: VideoFrame | Packet[Any]) -> tuple[float | None, float]:
    """When a frame or packet is presented, or None, and how long it is shown, 0 where unsaid; in seconds."""
    base = item.time_base or Fraction(0)
    stamp_s = float(item.pts * base) if item.pts is not None and base else None
    return stamp_s, float((item.duration or 0) * base)


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """One presented picture as the decoder left it: in its own pixel format, not turned, not resized.

    Attributes:
        time_s: seconds from the first presented frame.
        duration_s: how long it is shown, in seconds; 0 where the file does not say.
        picture: owned by the decoder: to be read, never written to.
        pixel_aspect: width of a pixel by its height; None where the file does not say.
        mirrored: it must be mirrored left to right, and then
        quarter_turns: turned so many times by 90 degrees counter-clockwise, to stand upright.
    """

    time_s: float
    duration_s: float
    picture: VideoFrame
    pixel_aspect: Fraction | None
    mirrored: bool
    quarter_turns: int


class PyAvReader(VideoReader):
    """See `extractors.video.open_video`.

    Args:
        path: the file.
        short_side: see there.
        limits: see there.
        aside: given the packets of all other streams, as they come by; what it raises goes through.
    """

    def __init__(
        self,
        path: Path,
        *,
        short_side: int | None,
        limits: Limits,
        aside: Callable[[Packet[Any]], None] | None = None,
    ) -> None:
        self._container, self._stream = open_container(path, max_pixels=limits.max_pixels)
        self._aside = aside
        self._limits = limits
        self._file = container_file.file_state(path)
        self.info = header_info(path, self._container, self._stream)
        if self.info.width and self.info.height:
            try:  # by the header, before a frame is decoded; frames are held to it too
                resized(self.info.width, self.info.height, short_side)
            except VideoError:
                self._container.close()
                raise
        self._scaler = Scaler(short_side, self._stream.time_base or Fraction(1, 1000))
        self.longest_gap_s = longest_gap_s(self._container)
        self._counted = counts_itself(self._container)
        self._timeline = container_file.Timeline(nominal_s(self._stream), self.longest_gap_s)
        self._packets = 0
        self._bad_packets = 0
        self._frames = 0
        self._start_s: float | None = None
        self._end_s = 0.0
        self._dropped = 0
        self._damaged = 0
        self._file_end_s = 0.0  # in the file's own time: the latest end of a packet of any stream
        self._turned: tuple[bool, int] = (False, 0)
        self._rotation: int | None = None  # degrees, of the picture that `_turned` was read from

    def frames(self) -> Iterator[Frame]:
        """See `VideoReader.frames`."""
        for time_s, duration_s, rgb in self._presented(self._picture):
            yield Frame(time_s=time_s, duration_s=duration_s, rgb=rgb)

    def stored_frames(self) -> Iterator[StoredFrame]:
        """The same frames with the same times as `frames`, but as they are stored.

        Raises:
            VideoError: as `frames`.
        """
        for time_s, duration_s, (picture, turned) in self._presented(self._stored):
            aspect = self._stream.sample_aspect_ratio
            yield StoredFrame(time_s, duration_s, picture, aspect, *turned)

    @property
    def time_base(self) -> Fraction:
        """What the file counts the times of its frames in, seconds."""
        return self._stream.time_base or Fraction(1, 1000)

    @property
    def sounds(self) -> tuple[AudioStream, ...]:
        """The streams of sound that this FFmpeg can make out."""
        every: Any = self._container.streams.audio  # typed as if each had a codec
        return tuple(stream for stream in every if stream.codec_context is not None)

    @property
    def origin_s(self) -> float | None:
        """When, in the file's own time, the first frame is presented; None before there was one.

        Where the times jump, what was joined since is taken off: a packet's time less this is its time in the
        presentation.
        """
        return None if self._start_s is None else self._start_s - self._timeline.offset_s

    def _presented(self, picture_of: Callable[[VideoFrame], P]) -> Iterator[tuple[float, float, P]]:
        """(time from the first frame, duration or 0, picture) with strictly growing times."""
        last_s = 0.0
        for time_s, duration_s, picture in self._in_order(picture_of):
            if self._start_s is None:
                self._start_s = time_s
            time_s -= self._start_s
            if self._frames and time_s <= last_s:
                self._dropped += 1
                continue
            if not 0 <= duration_s <= self.longest_gap_s:
                duration_s = 0.0
            # The last frame lasts as long as it says, or as long as the one before it.
            step_s = time_s - last_s if self._frames else nominal_s(self._stream)
            self._end_s = time_s + (duration_s or step_s)
            self._frames += 1
            last_s = time_s
            yield time_s, duration_s, picture
        self._judge()

    def _in_order(self, picture_of: Callable[[VideoFrame], P]) -> Iterator[tuple[float, float, P]]:
        """Pictures as the decoder presents them, with their times sorted over a short window.

        Frames leave the decoder in the order of presentation, but AVI gives their times in the order of
        storage.
        """
        pictures: deque[tuple[float, P]] = deque()
        times: list[float] = []
        depth = container_file.REORDER_FRAMES if self._stream.codec_context.has_b_frames else 0
        for frame, stamp_s, duration_s in self._decoded():
            heapq.heappush(times, self._timeline.place(stamp_s, duration_s))
            pictures.append((duration_s, picture_of(frame)))
            if len(pictures) > depth:
                yield heapq.heappop(times), *pictures.popleft()
        while pictures:
            yield heapq.heappop(times), *pictures.popleft()

    def _stored(self, frame: VideoFrame) -> tuple[VideoFrame, tuple[bool, int]]:
        check_size(frame.width, frame.height, self._limits.max_pixels)
        # PyAV's side data and their frame hold each other until the garbage collector comes by, and keep
        # the picture's memory; so they are looked at anew only where the rotation is another one.
        if frame.rotation != self._rotation:
            self._turned, self._rotation = orientation(frame), frame.rotation
        return frame, self._turned

    def _picture(self, frame: VideoFrame) -> UInt8[np.ndarray, "h w 3"]:
        frame, turned = self._stored(frame)
        try:
            rgb = self._scaler.rgb(frame, self._stream.sample_aspect_ratio)
        except av.error.FFmpegError as error:
            raise VideoError(f"its pictures ({frame.format.name}) cannot be converted to RGB") from error
        return upright(rgb, *turned)

    def _decoded(self) -> Iterator[tuple[VideoFrame, float | None, float]]:
        """Each frame with its stamp, None where it has none, and how long it is shown, seconds."""
        shown: VideoFrame | None = None
        packets = self._container.demux()
        while True:
            try:
                packet = next(packets)
            except (StopIteration, IndexError):
                # IndexError: PyAV's own, at the end, where streams have appeared on the way (MPEG-TS).
                return
            except (av.error.FFmpegError, OSError):
                # The demuxer itself gave up: what came before it stands.
                self._bad_packets += 1
                return
            if packet.pts is not None and packet.time_base:
                ends_s = float((packet.pts + (packet.duration or 0)) * packet.time_base)
                self._file_end_s = max(self._file_end_s, ends_s)
            if packet.stream.index != self._stream.index:
                if self._aside is not None:
                    self._aside(packet)
                continue
            if packet.has_sidedata("encryption_info"):
                # Some packets decode all the same, to noise.
                raise VideoError(
                    f"it is encrypted ({self.info.codec})", hint="give a copy without protection (DRM)"
                )
            self._packets += packet.size > 0
            if is_repeat(packet):
                if shown is not None:
                    yield shown, *_seconds(packet)
                continue
            try:
                decoded = packet.decode()
            except (av.error.FFmpegError, MemoryError):
                self._bad_packets += 1
                continue
            for frame in decoded:
                if isinstance(frame, VideoFrame):
                    self._damaged += frame.is_corrupt
                    shown = frame
                    yield frame, *_seconds(frame)

    def _judge(self) -> None:
        """Refuse what is too damaged to be used."""
        if self._frames == 0:
            raise VideoError(
                f"no frame could be decoded ({self.info.codec}, {self._bad_packets} bad packets)",
                hint="the file is damaged, or its codec is not supported: convert it to H.264 in mp4",
            )
        if not self._limits.take(self._bad_packets, self._packets):
            raise VideoError(
                f"{self._bad_packets} of {self._packets} packets are damaged",
                hint="copy or download the file again; --max-damage 0.5 takes it with half of it unreadable",
            )

    @property
    def report(self) -> DecodeReport:
        """See `VideoReader.report`."""
        notes = [*self.info.notes, *self._timeline.notes()]
        if self._counted and not self._timeline.n_untimed:
            notes.append("a raw stream carries no times: frames are placed by the nominal frame rate")
        if self._dropped:
            notes.append(f"{self._dropped} frames repeat an earlier time: passed over")
        mirrored, turns = self._turned
        if mirrored or turns:
            notes.append(f"turned upright by {90 * turns} degrees{', mirrored' if mirrored else ''}")
        if self._damaged:
            one = self._damaged == 1
            frames = "1 frame is" if one else f"{self._damaged} frames are"
            notes.append(f"{frames} damaged: shown as far as {'it' if one else 'they'} could be decoded")
        return DecodeReport(
            decoder=f"pyav {av.__version__}",
            frames_in_header=self.info.header_frames,
            frames_decoded=self._frames,
            bad_packets=self._bad_packets,
            duration_s=self._end_s,
            header_duration_s=self.info.header_duration_s,
            truncated=self._truncated(),
            notes=(*notes, *self._file.notes_at_end(self.info.path)),
        )

    def _truncated(self) -> bool:
        promised_s = self.info.header_duration_s
        if self.info.duration_is_streams and not self._timeline.n_jumps:
            return self._file.truncated(promised_s, self._end_s)
        if self.info.container in _DURATION_FROM_ZERO:
            return self._file.truncated(promised_s, self._file_end_s)
        return self._file.truncated(None, self._end_s)

    def close(self) -> None:
        """See `VideoReader.close`."""
        self._container.close()


@dataclass(frozen=True, slots=True)
class Probe:
    """What the header and the first frame say.

    Attributes:
        info: from the header; its width and height are those of the first frame.
        mirrored: the picture must be mirrored.
        size: width and height of the first frame in its own pixels, turned upright.
    """

    info: VideoInfo
    mirrored: bool
    size: tuple[int, int]


def probe(path: Path, *, max_pixels: int) -> Probe:
    """Look at a file without reading it through.

    Raises:
        VideoError: as `open_container`; or the first frame cannot be decoded.
    """
    container, stream = open_container(path, max_pixels=max_pixels)
    with container:
        info = header_info(path, container, stream)
        for packet in container.demux(stream):
            if is_repeat(packet):
                continue
            try:
                frames = packet.decode()
            except (av.error.FFmpegError, MemoryError):
                continue
            for frame in frames:
                if isinstance(frame, VideoFrame):
                    check_size(frame.width, frame.height, max_pixels)
                    mirrored, turns = orientation(frame)
                    size = frame.width, frame.height
                    width, height = displayed_size(*size, stream.sample_aspect_ratio)
                    if turns % 2:
                        size, width, height = size[::-1], height, width
                    return Probe(replace(info, width=width, height=height), mirrored, size)
    raise VideoError("no frame could be decoded", hint="the file is damaged")
