"""What tests of annotated videos and clips share: watching them, and sound whose place can be measured."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from ascnet_cli.segments import Detection, Segment, VideoDetections
from tests import synthetic

SOUND_RATE = 16000
KEYS = synthetic.Codec("libx264", options=(*synthetic.H264_B.options, ("g", "25")))


@dataclass(frozen=True)
class Film:
    """A video as a player sees it."""

    times_s: list[float]
    ends_s: list[float]
    pictures: list[np.ndarray]
    formats: set[str]
    turned: set[int]

    def numbers(self, size=synthetic.SIZE):
        """The numbers that the source's pictures show, which stand in the middle at the top."""
        return [synthetic.read_index(part(rgb, size)) for rgb in self.pictures]


def stills(path: Path, spans) -> Path:
    """A video whose pictures are shown from one time until another, seconds, as its packets say."""
    with av.open(f"file:{path}", "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"bf": "0"})
        stream.width, stream.height = synthetic.SIZE
        stream.pix_fmt, stream.codec_context.time_base = "yuv420p", Fraction(1, 1000)
        packets = []
        for number, (start_s, _) in enumerate(spans):
            frame = av.VideoFrame.from_ndarray(synthetic.picture(number), format="rgb24")
            frame.pts, frame.time_base = round(start_s * 1000), Fraction(1, 1000)
            packets += stream.encode(frame)
        packets += stream.encode()
        for packet, (start_s, end_s) in zip(packets, spans, strict=True):
            packet.duration = round((end_s - start_s) * 1000)
            output.mux(packet)
    return path


def length_s(path: Path) -> float:
    """How long the pictures of a file are, by what it says itself."""
    with av.open(f"file:{path}") as container:
        stream = container.streams.video[0]
        return float(stream.duration * stream.time_base)


def part(rgb, size=synthetic.SIZE):
    """The source's picture in an annotated one."""
    left = (rgb.shape[1] - size[0]) // 4 * 2
    return rgb[: size[1], left : left + size[0]]


def watch(path: Path) -> Film:
    times, ends, pictures, formats, turned = [], [], [], set(), set()
    with av.open(f"file:{path}") as container:
        for frame in container.decode(video=0):
            times.append(frame.time)
            ends.append(frame.time + float(frame.duration * frame.time_base))
            formats.add(frame.format.name)
            turned.add(frame.rotation)
            pictures.append(frame.to_ndarray(format="rgb24"))
    return Film(times, ends, pictures, formats, turned)


def found(*entries) -> VideoDetections:
    """Detections from (label, start, end, score)."""
    detections = tuple(Detection(label, Segment(float(a), float(b)), score) for label, a, b, score in entries)
    return VideoDetections("v.mp4", 0.0, detections)


def add_sound(
    video: Path, path: Path, beep_s: float, *, codec: str = "aac", seconds: float = 4.0, starts_s: float = 0.0
) -> Path:
    """A copy of a video with sound: silence, and a beep of a tenth of a second."""
    length = round(seconds * SOUND_RATE)
    wave = np.zeros(length, np.float32)
    at = round((beep_s - starts_s) * SOUND_RATE)
    wave[at : at + SOUND_RATE // 10] = 0.5 * np.sin(np.arange(SOUND_RATE // 10) * 0.7)
    with av.open(f"file:{video}") as read, av.open(f"file:{path}", "w") as written:
        picture = written.add_stream_from_template(read.streams.video[0])
        sound = written.add_stream(codec, rate=SOUND_RATE, layout="mono")
        for packet in read.demux(video=0):
            if packet.size:
                packet.stream = picture
                written.mux(packet)
        planar = sound.codec_context.format.name
        for start in range(0, length - 1023, 1024):
            chunk = wave[None, start : start + 1024]
            if planar == "s16":
                chunk = (chunk * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(chunk, format=planar, layout="mono")
            frame.sample_rate, frame.time_base = SOUND_RATE, Fraction(1, SOUND_RATE)
            frame.pts = start + round(starts_s * SOUND_RATE)
            written.mux(sound.encode(frame))
        written.mux(sound.encode())
    return path


def beeps_s(path: Path) -> list[float]:
    """When sound is loud and before was not, seconds."""
    loud: list[float] = []
    with av.open(f"file:{path}") as container:
        for frame in container.decode(audio=0):
            wave = np.abs(frame.to_ndarray().astype(np.float64)).reshape(-1)
            wave = wave / 32767 if frame.format.name.startswith("s16") else wave
            loud.extend(frame.time + np.flatnonzero(wave > 0.2) / frame.sample_rate)
    return [time for k, time in enumerate(loud) if not k or time - loud[k - 1] > 0.2]


def sound_codec(path: Path) -> str | None:
    with av.open(f"file:{path}") as container:
        streams = container.streams.audio
        return streams[0].codec_context.name if streams else None


def joined(path: Path, clocks_s, *, codec: str = "aac") -> Path:
    """A transport stream of parts of two seconds with a beep after one, each with a clock of its own."""
    silent = synthetic.make_video(path.parent / "silent.mp4", n_frames=50, codec=KEYS)
    heard = add_sound(silent, path.parent / "heard.ts", 1.0, seconds=2.0, codec=codec)
    with path.open("wb") as file:
        for clock_s in clocks_s:
            shift = ["-output_ts_offset", str(clock_s)]
            file.write(synthetic.remux(heard, path.parent / "part.ts", after=shift).read_bytes())
    return path


def jumped(path: Path, *, codec: str = "aac") -> Path:
    """Six seconds as one transport stream, a beep after four; from three on the clock is 20 s ahead.

    Sound jumps a little before the pictures, and comes by before them.
    """
    silent = synthetic.make_video(path.parent / "silent.mp4", n_frames=150, codec=KEYS)
    whole = add_sound(silent, path.parent / "whole.mp4", 4.0, seconds=6.0, codec=codec)
    options = {"pes_payload_size": "0"}  # each packet of sound is stored when it is due
    with (
        av.open(f"file:{whole}") as read,
        av.open(f"file:{path}", "w", format="mpegts", options=options) as written,
    ):
        streams = {stream.index: written.add_stream_from_template(stream) for stream in read.streams}
        packets = sorted((p for p in read.demux() if p.size), key=lambda p: p.dts * p.time_base)
        for packet in packets:
            early_s = 0.1 if packet.stream.type == "audio" else 0.0
            ahead = 20 * (packet.pts * packet.time_base >= 3 - early_s) / packet.time_base
            packet.pts, packet.dts = round(packet.pts + ahead), round(packet.dts + ahead)
            packet.stream = streams[packet.stream_index]
            written.mux(packet)
    return path


def left_over(folder: Path) -> list[str]:
    """Temporary files that nobody cleared away."""
    return [path.name for path in folder.iterdir() if path.name.startswith(".ascnet")]
