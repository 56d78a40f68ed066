"""Peak memory of feature extraction against the length of the video.

    python -m tests.bench.memory [--small] [MINUTES...]      (default: 1 10)

Each length runs in a process of its own, dense context. The figure is the highest resident set of the
process, from the operating system. `--small` takes a network of the same structure and an eighth of the
width, so that an hour of video takes minutes: everything that could grow with the length is the same, the
features of 1024 numbers included.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import torch

from ascnet_cli.detector import load_detector
from extractors.backbones import I3DBackbone
from extractors.i3d import I3D, I3DStream

FPS = 25


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
    def stream(self) -> I3DStream:
        return Widened(self.network)


def extract(path: Path, small: bool) -> None:
    """In the child: extract, and print rows, seconds and the peak."""
    detector = load_detector(device="cpu")
    if small:
        backbone = SmallBackbone(I3D("rgb", width_divisor=8).eval().requires_grad_(False))
        detector.extractor._backbones = {"rgb": backbone}
    started = time.monotonic()
    features = detector.extractor.extract(path)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{len(features.values)} rows  {time.monotonic() - started:.0f} s  peak {peak_mb:.0f} MB", flush=True
    )


def main() -> None:
    """Run each length in a child."""
    words = sys.argv[1:]
    small = "--small" in words
    if words[:1] == ["--child"]:
        extract(Path(words[1]), small)
        return
    lengths = [float(word) for word in words if word != "--small"] or [1.0, 10.0]
    with tempfile.TemporaryDirectory() as folder:
        for minutes in lengths:
            video = Path(folder) / f"{minutes}.mp4"
            make_video(video, round(minutes * 60))
            command = [
                sys.executable,
                "-m",
                "tests.bench.memory",
                "--child",
                str(video),
                *["--small"] * small,
            ]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            print(f"{minutes:g} min of video: {done.stdout.strip()}", flush=True)


if __name__ == "__main__":
    main()
