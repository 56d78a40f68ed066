"""Untrimmed videos with exact truth, stitched from pieces of trimmed clips, for tests and measurements."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from ascnet_cli.segments import Segment
from extractors.snippets import Resampler
from extractors.video import open_video

SIZE = (340, 256)


@dataclass(frozen=True)
class Piece:
    """Seconds [start_s, end_s) of a clip; `label` is None where what it shows is background."""

    clip: Path
    start_s: float
    end_s: float
    label: str | None


def read_clip(path: Path, fps: int) -> list[np.ndarray]:
    """All pictures of a clip at a constant rate, 340 x 256."""
    with open_video(path, short_side=None) as reader:
        frames = Resampler(fps).resample(reader.frames(), iter(lambda: reader.report.duration_s, None))
        return [cv2.resize(frame.rgb, SIZE, interpolation=cv2.INTER_AREA) for frame in frames]


def stitch(pieces: Sequence[Piece], out: Path, *, fps: int = 30) -> list[tuple[str, Segment]]:
    """Write the pieces one after the other as H.264 and return the truth."""
    truth: list[tuple[str, Segment]] = []
    clips = {piece.clip: read_clip(piece.clip, fps) for piece in pieces}
    with av.open(str(out), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "20", "preset": "veryfast", "threads": "1"}
        n_written = 0
        for piece in pieces:
            first = n_written
            for picture in clips[piece.clip][round(piece.start_s * fps) : round(piece.end_s * fps)]:
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = n_written, Fraction(1, fps)
                container.mux(stream.encode(frame))
                n_written += 1
            if piece.label is not None:
                truth.append((piece.label, Segment(first / fps, n_written / fps)))
        container.mux(stream.encode())
    return truth


# Clips whose class is known, with their length in seconds.
KNOWN = {
    "arm_wrestling.mp4": ("arm wrestling", 10.0),
    "flipping_pancake.mkv": ("flipping pancake", 10.3),
    "using_segway.mp4": ("using segway", 10.1),
    "juggling_soccer_ball.avi": ("juggling soccer ball", 8.0),
    "cartwheeling_bad_metadata.avi": ("cartwheeling", 2.8),
    "hitting_baseball.mp4": ("hitting baseball", 10.0),
    "v_GGSY1Qvo990.mp4": ("clean and jerk", 18.0),
}
# Pieces that show no class of Kinetics-400, below the data folder.
BACKGROUND = {
    "clips/bikes.mp4": 10.0,
    "clips/people_1080p.mp4": 2.5,
    "upfall/Activity7_Subject1_Trial1Cam1.mp4": 20.0,
    "upfall/Activity6_Subject1_Trial1Cam2.mp4": 20.0,
    "upfall/Activity8_Subject1_Trial2Cam2.mp4": 10.0,
}


def random_timeline(data: Path, seed: int, *, n_actions: int = 5) -> list[Piece]:
    """Actions of 2.5 to 8 s with background of 2 to 6 s between most of them; seeded."""
    draw = random.Random(seed)  # noqa: S311
    pieces: list[Piece] = []

    def add(relative: str, length_s: float, label: str | None, shortest: float, longest: float) -> None:
        seconds = min(draw.uniform(shortest, longest), length_s)
        start = draw.uniform(0, length_s - seconds)
        pieces.append(Piece(data / relative, start, start + seconds, label))

    for name in draw.sample(sorted(KNOWN), n_actions):
        if draw.random() < 0.75:
            relative = draw.choice(sorted(BACKGROUND))
            add(relative, BACKGROUND[relative], None, 2.0, 6.0)
        label, length_s = KNOWN[name]
        add(f"clips/{name}", length_s, label, 2.5, 8.0)
    return pieces
