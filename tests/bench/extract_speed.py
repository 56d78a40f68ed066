"""From a video file to RGB features against the network alone, side by side in one run.

    python -m tests.bench.extract_speed [--engine NAME] [--context snippet|dense] [--seconds 8] [--rounds 5]

For 320x240 and 1280x720 a clip is made (H.264, 25 fps, noise over a moving picture, so that it is as much
work as filmed video), and the two sides take turns: `Extractor.extract`, and the same pieces through the
same network from memory. The last column is the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from unittest import mock

import numpy as np
import torch

from extractors import features
from extractors.pieces import Piece, VideoEnd, read_videos
from extractors.video import Limits
from tests.bench.i3d_engines import ENGINES, make_extractor

FPS = 25
SIZES = ((320, 240), (1280, 720))


def make_video(path: Path, size: tuple[int, int], seconds: float) -> None:
    """A camera that moves over a large noisy picture."""
    import av
    import cv2

    rng = np.random.default_rng(0)
    width, height = size
    ground = cv2.resize(
        rng.integers(0, 255, (height // 8, width // 6, 3), dtype=np.uint8), (2 * width, 2 * height)
    )
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"preset": "veryfast", "crf": "23", "threads": "1"}
        for index in range(round(seconds * FPS)):
            top, left = 2 * index % height, 5 * index % width
            picture = ground[top : top + height, left : left + width].astype(np.int16)
            picture += rng.integers(-6, 7, (height, width, 1), dtype=np.int16)
            frame = av.VideoFrame.from_ndarray(picture.clip(0, 255).astype(np.uint8), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def timed(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--engine", choices=ENGINES, default="torch")
    parser.add_argument("--context", choices=("snippet", "dense"), default="snippet")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    extractor = make_extractor(options.engine, options.context)
    print(
        f"{torch.get_num_threads()} threads, {options.engine}, {options.context}, {options.seconds:g} s each"
    )
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            path = Path(folder) / f"{size[0]}x{size[1]}.mp4"
            make_video(path, size, options.seconds)
            reading = {"decoder": "pyav", "limits": Limits(10**8), "length": 32, "whole": False}
            started = time.perf_counter()
            kept: list[Piece | VideoEnd] = list(read_videos([path], **reading))
            decode_s = time.perf_counter() - started

            def alone(kept: list[Piece | VideoEnd] = kept, path: Path = path) -> None:
                with mock.patch.object(features, "read_videos", lambda paths, **_: iter((*paths, *kept)[1:])):
                    extractor.extract(path)

            times: list[tuple[float, float]] = []
            for index in range(options.rounds + 1):
                both = timed(lambda path=path: extractor.extract(path)), timed(alone)
                if index:
                    times.append(both)
                    print(f"  {both[0]:.2f} s end to end, {both[1]:.2f} s network alone", flush=True)
            ratio = statistics.median(n / e for e, n in times)
            ends, alones = (options.seconds / statistics.median(side) for side in zip(*times, strict=True))
            print(
                f"{size[0]}x{size[1]}, s of video a second: decoding alone {options.seconds / decode_s:.1f},"
                f" end to end {ends:.2f}, network alone {alones:.2f}: {ratio:.0%}",
                flush=True,
            )


if __name__ == "__main__":
    main()
