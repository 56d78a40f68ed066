"""Frames through PyAV (FFmpeg's libraries): packet by packet, so that damage costs only what it hit."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.container
import av.error
import av.filter
import av.stream
import numpy as np
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from jaxtyping import UInt8

from extractors import container as container_file
from extractors.errors import VideoError
from extractors.video import (
    MAX_BAD_PACKETS,
    MIN_SIDE,
    DecodeReport,
    Frame,
    VideoInfo,
    VideoReader,
    displayed_size,
    resized,
)

# Containers that hold video files; never playlists, scripts, devices or network descriptions.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,gif,mxf,ivf,dv,"
    "h264,hevc,m4v,av1,obu,vob,rm,nut,wtv,mjpeg,apng,yuv4mpegpipe"
)
# Exact and repeatable conversion: no approximations that depend on the processor.
_SCALE_FLAGS = "bilinear+accurate_rnd+full_chroma_int+full_chroma_inp+bitexact"
# The decoder itself refuses to make room for pictures this many times over the limit; the limit is held
# frame by frame. The room between the two lets a header be read, so that its size can be named.
_ROOM_OVER_LIMIT = 4


def open_container(path: Path, *, max_pixels: int) -> tuple[av.container.InputContainer, VideoStream]:
    """Open a file and choose its video stream: the first that is not a cover picture.

    Raises:
        VideoError: not a video, no video stream, an unknown codec, too large or too small.
    """
    options = {"format_whitelist": FORMATS, "protocol_whitelist": "file", "max_pixels": str(_ROOM_OVER_LIMIT * max_pixels)}
    try:
        container = av.open(f"file:{path}", options=options, metadata_errors="replace")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    try:
        return container, _choose_stream(container, max_pixels)
    except BaseException:
        container.close()
        raise


def _unreadable(path: Path, error: Exception) -> VideoError:
    if isinstance(error, PermissionError):
        return VideoError("cannot be read: permission denied", hint="check the file's permissions")
    if container_file.lacks_moov(path):
        return VideoError(
            "not a readable video (its index, the moov box, is missing)",
            hint="the file is incomplete; download it again, or remux the recording",
        )
    return VideoError(
        "not a readable video",
        hint="check with a player that it plays; other containers can be remuxed to mp4",
    )


def _choose_stream(container: av.container.InputContainer, max_pixels: int) -> VideoStream:
    streams = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
    if not streams:
        raise VideoError(
            "no video stream (audio or pictures only)", hint="give a file that has moving pictures"
        )
    stream = streams[0]
    context: Any = stream.codec_context
    if context is None:
        raise VideoError(
            "its codec is not supported by this FFmpeg", hint="convert it, for example to H.264 in mp4"
        )
    width, height = stream.width, stream.height
    if width * height > max_pixels:
        raise VideoError(
            f"{width}x{height} is over the limit of {max_pixels / 1e6:.0f} megapixels a frame",
            hint="scale the video down first",
        )
    if 0 < min(width, height) < MIN_SIDE:
        raise VideoError(f"{width}x{height} is too small: at least {MIN_SIDE}x{MIN_SIDE} pixels are needed")
    return stream


def header_info(path: Path, container: av.container.InputContainer, stream: VideoStream) -> VideoInfo:
    """What the header says of a video, with the displayed size not yet rotated."""
    duration: float | None = None
    if stream.duration and stream.time_base:
        duration = float(stream.duration * stream.time_base)
    elif container.duration:
        duration = container.duration / av.time_base
    notes = []
    if len(container.streams.video) > 1:
        notes.append(f"{len(container.streams.video)} video streams: stream {stream.index} is read")
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
        stream_index=stream.index,
        notes=tuple(notes),
    )


class _Scaler:
    """Resizes and converts to RGB through one filter graph, rebuilt when the incoming picture changes."""

    def __init__(self, short_side: int | None, time_base: Fraction) -> None:
        self._short_side = short_side
        self._time_base = time_base
        self._key: tuple[object, ...] = ()
        self._graph: av.filter.Graph | None = None

    def rgb(self, frame: VideoFrame, pixel_aspect: Fraction | None) -> UInt8[np.ndarray, "h w 3"]:
        key = (
            frame.width,
            frame.height,
            frame.format.name,
            frame.colorspace,
            frame.color_range,
            pixel_aspect,
        )
        if self._graph is None or key != self._key:
            self._graph, self._key = self._build(frame, pixel_aspect), key
        frame.pts = None
        self._graph.push(frame)
        scaled = self._graph.pull()
        if not isinstance(scaled, VideoFrame):
            raise VideoError("the picture could not be converted to RGB")
        pixels: UInt8[np.ndarray, "h w 3"] = scaled.to_ndarray()
        return pixels

    def _build(self, frame: VideoFrame, pixel_aspect: Fraction | None) -> av.filter.Graph:
        width, height = displayed_size(frame.width, frame.height, pixel_aspect)
        width, height = resized(width, height, self._short_side)
        graph = av.filter.Graph()
        graph.threads = 1
        source = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=self._time_base
        )
        scale = graph.add("scale", f"{width}:{height}:flags={_SCALE_FLAGS}")
        pixel_format = graph.add("format", "pix_fmts=rgb24")
        sink = graph.add("buffersink")
        source.link_to(scale)
        scale.link_to(pixel_format)
        pixel_format.link_to(sink)
        graph.configure()
        return graph


def orientation(frame: VideoFrame) -> tuple[bool, int]:
    """How a decoded picture must be turned to stand upright: (mirror left to right, quarter turns).

    The display matrix rotates about the origin, and a negative determinant mirrors. Quarter turns are
    counter-clockwise, as `numpy.rot90` counts, and come after the mirroring.
    """
    try:
        side_data = frame.side_data.get(SideDataType.DISPLAYMATRIX)
    except (KeyError, ValueError):
        side_data = None
    if side_data is None:
        return False, 0
    # 3 x 3, row by row; 16.16 fixed point in the four numbers that turn and mirror.
    a, b, _, c, d = (int(v) for v in np.frombuffer(bytes(side_data), dtype="<i4")[:5])
    mirrored = a * d - b * c < 0
    if mirrored:
        a, c = -a, -c
    degrees = -np.degrees(np.arctan2(b, a))
    return mirrored, round(degrees / 90) % 4


def upright(
    rgb: UInt8[np.ndarray, "h w 3"], mirrored: bool, quarter_turns: int
) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Apply what `orientation` found; always C-contiguous."""
    if mirrored:
        rgb = rgb[:, ::-1]
    if quarter_turns:
        rgb = np.rot90(rgb, quarter_turns)
    return np.ascontiguousarray(rgb)


class PyAvReader(VideoReader):
    """See `extractors.video.open_video`."""

    def __init__(self, path: Path, *, short_side: int | None, max_pixels: int) -> None:
        self._container, self._stream = open_container(path, max_pixels=max_pixels)
        # One mode, so that what is decoded from a damaged file does not depend on the machine.
        self._stream.thread_type = "SLICE"
        self.info = header_info(path, self._container, self._stream)
        self._scaler = _Scaler(short_side, self._stream.time_base or Fraction(1, 1000))
        self._packets = 0
        self._bad_packets = 0
        self._frames = 0
        self._end_s = 0.0
        self._untimed = 0
        self._dropped = 0
        self._turned: tuple[bool, int] = (False, 0)

    def frames(self) -> Iterator[Frame]:
        """See `VideoReader.frames`."""
        start_s = 0.0
        last_s = -1.0
        previous: Frame | None = None
        for time_s, duration_s, rgb in self._in_order():
            if previous is None:
                start_s = time_s
            time_s -= start_s
            if previous is not None and time_s <= last_s:
                self._dropped += 1
                continue
            frame = Frame(time_s=time_s, duration_s=duration_s, rgb=rgb)
            self._frames += 1
            # The last frame lasts as long as it says, or as long as the one before it.
            self._end_s = time_s + (duration_s or (time_s - last_s if previous else self._nominal_s()))
            previous, last_s = frame, time_s
            yield frame
        self._judge()

    def _nominal_s(self) -> float:
        rate = self._stream.base_rate or self._stream.average_rate
        return float(1 / rate) if rate else 0.04

    def _in_order(self) -> Iterator[tuple[float, float, UInt8[np.ndarray, "h w 3"]]]:
        """Pictures as the decoder presents them, with their times sorted over a short window."""
        pictures: deque[tuple[float, UInt8[np.ndarray, "h w 3"]]] = deque()
        times: list[float] = []
        depth = _REORDER_FRAMES if self._stream.codec_context.has_b_frames else 0
        newest_s = 0.0
        for frame in self._decoded():
            seconds = float(frame.duration * frame.time_base) if frame.duration and frame.time_base else 0.0
            if frame.pts is None or frame.time_base is None:
                self._untimed += 1
                newest_s += seconds or self._nominal_s()
            else:
                newest_s = float(frame.pts * frame.time_base)
            rgb = self._picture(frame)
            pictures.append((seconds, rgb))
            heapq.heappush(times, newest_s)
            if len(pictures) > depth:
                yield heapq.heappop(times), *pictures.popleft()
        while pictures:
            yield heapq.heappop(times), *pictures.popleft()

    def _picture(self, frame: VideoFrame) -> UInt8[np.ndarray, "h w 3"]:
        if frame.width < MIN_SIDE or frame.height < MIN_SIDE:
            raise VideoError(
                f"{frame.width}x{frame.height} is too small: at least {MIN_SIDE}x{MIN_SIDE} pixels are needed"
            )
        self._turned = orientation(frame)
        return upright(self._scaler.rgb(frame, self._stream.sample_aspect_ratio), *self._turned)

    def _decoded(self) -> Iterator[VideoFrame]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.error.FFmpegError, OSError):
                # The demuxer itself gave up: what came before it stands.
                self._bad_packets += 1
                return
            self._packets += 1
            try:
                decoded = packet.decode()
            except (av.error.FFmpegError, MemoryError):
                self._bad_packets += 1
                continue
            for frame in decoded:
                if isinstance(frame, VideoFrame):
                    yield frame

    def _judge(self) -> None:
        """Refuse what is too damaged to be used."""
        if self._frames == 0:
            raise VideoError(
                f"no frame could be decoded ({self.info.codec}, {self._bad_packets} bad packets)",
                hint="the file is damaged, or its codec is not supported: convert it to H.264 in mp4",
            )
        if self._bad_packets > max(MAX_BAD_PACKETS * self._packets, 1):
            raise VideoError(
                f"{self._bad_packets} of {self._packets} packets are damaged",
                hint="copy or download the file again, or re-encode what is left of it",
            )

    @property
    def report(self) -> DecodeReport:
        """See `VideoReader.report`."""
        notes = list(self.info.notes)
        if self._untimed:
            notes.append(f"{self._untimed} frames carry no time: placed by the nominal frame rate")
        if self._dropped:
            notes.append(f"{self._dropped} frames repeat an earlier time: passed over")
        mirrored, turns = self._turned
        if mirrored or turns:
            notes.append(f"turned upright by {90 * turns} degrees{', mirrored' if mirrored else ''}")
        header_s = self.info.header_duration_s
        short = header_s is not None and header_s - self._end_s > max(_TRUNCATED_S, 0.02 * header_s)
        lacking = container_file.missing_bytes(self.info.path)
        if lacking:
            notes.append(f"the file lacks {lacking} bytes of what its header promises")
        return DecodeReport(
            decoder=f"pyav {av.__version__}",
            frames_in_header=self.info.header_frames,
            frames_decoded=self._frames,
            bad_packets=self._bad_packets,
            duration_s=self._end_s,
            header_duration_s=header_s,
            truncated=short or bool(lacking),
            notes=tuple(notes),
        )

    def close(self) -> None:
        """See `VideoReader.close`."""
        self._container.close()


def probe(path: Path, *, max_pixels: int) -> tuple[VideoInfo, tuple[bool, int]]:
    """Look at a file without reading it through: what its header says, and how its first frame is turned.

    Raises:
        VideoError: as `open_container`; or the first frame cannot be decoded.
    """
    container, stream = open_container(path, max_pixels=max_pixels)
    with container:
        info = header_info(path, container, stream)
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                continue
            for frame in frames:
                if isinstance(frame, VideoFrame):
                    mirrored, turns = orientation(frame)
                    if turns % 2:
                        info = replace(info, width=info.height, height=info.width)
                    return info, (mirrored, turns)
    raise VideoError("no frame could be decoded", hint="the file is damaged")
