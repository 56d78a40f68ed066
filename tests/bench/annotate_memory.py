"""Peak memory of annotating a video against its length.

    python -m tests.bench.annotate_memory [MINUTES...]      (default: 1 60)

Each length runs in a process of its own, with a segment every ten seconds of four classes, and sound. The
figure is the highest resident set of the process, from Linux's /proc (the one that `getrusage` gives begins
with that of the parent), less what the interpreter has with everything imported. Videos are one minute of
320x240, repeated by copying its packets.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.annotate_speed import FPS, make_video

SIZE = (320, 240)
CLASSES = ("run", "jump", "throw", "fall")


def peak_mb() -> float:
    """The highest resident set of this process until now."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def with_sound(silent: Path, path: Path) -> None:
    """The video with a tone beside it."""
    import imageio_ffmpeg

    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-y", "-i", str(silent)]
    command += ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100", "-shortest"]
    subprocess.run([*command, "-c:v", "copy", "-c:a", "aac", str(path)], check=True)


def annotate(path: Path, minutes: float) -> None:
    """In the child: annotate, and print pictures, seconds and the peak."""
    from ascnet_cli.outputs.annotated import write_annotated
    from ascnet_cli.segments import Detection, Segment, VideoDetections

    imported_mb = peak_mb()
    length_s = 60 * minutes
    found = tuple(
        Detection(CLASSES[k % 4], Segment(10.0 * k, min(10.0 * k + 12, length_s)), 0.9)
        for k in range(int(length_s / 10))
    )
    started = time.monotonic()
    report = write_annotated(path, VideoDetections(path.name, length_s, found), path.with_suffix(".out.mp4"))
    print(
        f"{report.frames} pictures, {len(found)} segments, {time.monotonic() - started:.0f} s:"
        f" {peak_mb() - imported_mb:.0f} MB over the {imported_mb:.0f} MB of the interpreter",
        flush=True,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run each length in a child."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("minutes", nargs="*", type=float)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        annotate(options.child, options.minutes[0])
        return
    from tests.bench.memory import loop  # which brings torch, that the child has no need of

    with tempfile.TemporaryDirectory() as folder:
        silent, minute = Path(folder) / "silent.mp4", Path(folder) / "minute.mp4"
        make_video(silent, SIZE, 60)
        with_sound(silent, minute)
        for minutes in options.minutes or [1.0, 60.0]:
            video = Path(folder) / f"{minutes}.mp4"
            loop(minute, video, minutes)
            command = [sys.executable, "-m", "tests.bench.annotate_memory", "--child", str(video)]
            done = subprocess.run([*command, str(minutes)], check=True, capture_output=True, text=True)
            print(f"{minutes:g} min at {FPS} pictures a second: {done.stdout.strip()}", flush=True)


if __name__ == "__main__":
    main()
