"""Annotating a video against decoding and encoding it with nothing drawn, at the same settings.

    python -m tests.bench.annotate_speed [--seconds N] [--rounds N] [VIDEO...]

Without videos two are made: 320x240 and 1280x720, moving pictures with noise. The bare pass decodes with
PyAV and gives every frame to the same encoder with the same settings as it is: less than an annotated video
needs, whose pictures are higher. The two take turns; time is that of the process, since another load of the
machine would count against whoever has the turn, and what the clock on the wall says stands beside it.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from ascnet_cli.outputs.annotated import write_annotated
from ascnet_cli.outputs.video.file import ENCODER, MUXER
from ascnet_cli.segments import Detection, Segment, VideoDetections

FPS = 25
SIZES = ((320, 240), (1280, 720))


def make_video(path: Path, size: tuple[int, int], seconds: int) -> None:
    """A ground that moves, with a little noise, so that neither codec has it too easy."""
    width, height = size
    rng = np.random.default_rng(0)
    coarse = rng.integers(40, 215, (height // 16 + 1, width // 8 + 1, 3), dtype=np.uint8)
    ground = np.kron(coarse, np.ones((16, 16, 1), np.uint8))[:height]
    noise = rng.integers(0, 12, (8, height, width, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "crf": "20"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(seconds * FPS):
            shift = 2 * index % width
            picture = np.ascontiguousarray(ground[:, shift : shift + width] + noise[index % 8])
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def bare(source: Path, target: Path) -> None:
    """Decode and encode, and nothing else."""
    with av.open(str(source)) as read, av.open(str(target), "w", format="mp4", options=MUXER) as written:
        video = read.streams.video[0]
        video.codec_context.thread_type = "SLICE"
        stream = written.add_stream("libx264", rate=video.average_rate, options=ENCODER)
        stream.width, stream.height, stream.pix_fmt = video.width, video.height, "yuv420p"
        stream.codec_context.time_base = video.time_base
        for frame in read.decode(video):
            frame.pict_type = 0
            written.mux(stream.encode(frame))
        written.mux(stream.encode())


def annotated(source: Path, target: Path) -> None:
    """The same with eight segments of four classes."""
    with av.open(str(source)) as container:
        duration_s = float(container.duration / av.time_base)
    found = tuple(
        Detection(f"class {k % 4}", Segment(k * duration_s / 9, (k + 1.5) * duration_s / 9), 0.5 + 0.05 * k)
        for k in range(7)
    )
    write_annotated(source, VideoDetections(source.name, duration_s, found), target)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure each video."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("videos", nargs="*", type=Path)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        videos = options.videos
        if not videos:
            videos = [Path(folder) / f"{width}x{height}.mp4" for width, height in SIZES]
            for video, size in zip(videos, SIZES, strict=True):
                make_video(video, size, options.seconds)
        for video in videos:
            times = {"bare": [], "annotated": []}
            for number in range(options.rounds + 1):
                for name, work in (("bare", bare), ("annotated", annotated)):
                    process, wall = time.process_time(), time.perf_counter()
                    work(video, Path(folder) / "out.mp4")
                    if number:  # the first round is to warm up
                        times[name].append((time.process_time() - process, time.perf_counter() - wall))
            shares = [[b[k] / a[k] for b, a in zip(*times.values(), strict=True)] for k in (0, 1)]
            bare_s, annotated_s = (statistics.median(t[0] for t in taken) for taken in times.values())
            print(
                f"{video.name}: bare {bare_s:.2f} s, annotated {annotated_s:.2f} s of processor time;"
                f" {statistics.median(shares[0]):.0%} of the bare speed (least {min(shares[0]):.0%}),"
                f" by the wall {statistics.median(shares[1]):.0%} (least {min(shares[1]):.0%})",
                flush=True,
            )


if __name__ == "__main__":
    main()
