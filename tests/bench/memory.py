"""Peak memory of feature extraction against the length of the video.

    python -m tests.bench.memory [MINUTES...]      (default: 1 10; the issue of interest is 10 60)

Each length runs in a process of its own with the shipped network, dense context, one thread a core. The
figure is the highest resident set of the process, from the operating system.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

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


def extract(path: Path) -> None:
    """In the child: extract, and print rows, seconds and the peak."""
    from ascnet_cli.detector import load_detector

    detector = load_detector(device="cpu")
    started = time.monotonic()
    features = detector.extractor.extract(path)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{len(features.values)} rows  {time.monotonic() - started:.0f} s  peak {peak_mb:.0f} MB", flush=True
    )


def main() -> None:
    """Run each length in a child."""
    if sys.argv[1:2] == ["--child"]:
        extract(Path(sys.argv[2]))
        return
    with tempfile.TemporaryDirectory() as folder:
        for minutes in [float(text) for text in sys.argv[1:]] or [1.0, 10.0]:
            video = Path(folder) / f"{minutes}.mp4"
            make_video(video, round(minutes * 60))
            command = [sys.executable, "-m", "tests.bench.memory", "--child", str(video)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            print(f"{minutes:g} min of video: {done.stdout.strip()}", flush=True)


if __name__ == "__main__":
    main()
