"""Peak memory of feature extraction against the length of the video.

    python -m tests.bench.memory [--small] [--context snippet|dense] [MINUTES...]      (default: 1 10)

Each length runs in a process of its own. The figure is the highest resident set of the process, from the
operating system. Videos are one minute of a small picture, repeated by copying its packets. `--small` takes a
network of the same structure and a 32nd of the width, so that two hours of video take minutes: all that could
grow with the length is the same, the features of 1024 numbers included; the network itself is not.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import torch

from extractors.backbones import I3DBackbone
from extractors.i3d import I3D, I3DStream
from tests.bench.i3d_engines import make_extractor

FPS = 25


def loop(minute: Path, path: Path, minutes: float) -> None:
    """A video of any length from one of a minute, without encoding it again."""
    import imageio_ffmpeg

    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-y", "-stream_loop", "-1"]
    command += ["-i", str(minute), "-c", "copy", "-t", str(60 * minutes), str(path)]
    subprocess.run(command, check=True)


def make_video(path: Path, seconds: int) -> None:
    """A small moving picture; its content does not matter to memory."""
    import av
    import numpy as np

    rng = np.random.default_rng(0)
    ground = rng.integers(0, 255, (96, 256, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        stream.options = {"preset": "ultrafast", "threads": "1"}
        for index in range(seconds * FPS):
            shift = index % 128
            picture = np.ascontiguousarray(ground[:, shift : shift + 128])
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


class Widened(I3DStream):
    """A narrow network's features, repeated to the width of the real one's."""

    def push(self, frames_CTHW: torch.Tensor, *, last: bool = False) -> torch.Tensor:
        rows = super().push(frames_CTHW, last=last)
        return rows.repeat(1, 1024 // max(rows.shape[1], 1)) if len(rows) else rows


class SmallBackbone(I3DBackbone):
    def snippets(self, clips: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features, logits = super().snippets(clips)
        return features.repeat(1, 1024 // features.shape[1]), logits

    def stream(self) -> I3DStream:
        return Widened(self.network)


def extract(path: Path, context: str, small: bool) -> None:
    """In the child: extract, and print rows, seconds and the peak."""
    extractor = make_extractor("torch", context)
    if small:
        backbone = SmallBackbone(I3D("rgb", width_divisor=32).eval().requires_grad_(False))
        extractor._backbones = {"rgb": backbone}
    started = time.monotonic()
    features = extractor.extract(path)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{len(features.values)} rows  {time.monotonic() - started:.0f} s  peak {peak_mb:.0f} MB", flush=True
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run each length in a child."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("minutes", nargs="*", type=float)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--context", choices=("snippet", "dense"), default="dense")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        extract(options.child, options.context, options.small)
        return
    with tempfile.TemporaryDirectory() as folder:
        minute = Path(folder) / "minute.mp4"
        make_video(minute, 60)
        for minutes in options.minutes or [1.0, 10.0]:
            video = Path(folder) / f"{minutes}.mp4"
            loop(minute, video, minutes)
            command = [sys.executable, "-m", "tests.bench.memory", "--child", str(video)]
            command += ["--context", options.context, *["--small"] * options.small]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            print(f"{minutes:g} min of video, {options.context}: {done.stdout.strip()}", flush=True)


if __name__ == "__main__":
    main()
