"""Many videos and long ones: `python -m tests.faults.load [many|bad|long]`, with figures.

All through `ascnet extract` in processes of their own, with the stand-in network, so that what is measured is
everything but the network: reading, the time grid, claims, workers, writing. Memory and open files of the
command and of its workers are looked at several times a second.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import psutil

from tests.faults.fault_tools import command_of, environment
from tests.synthetic import make_video

PROGRAM = "tests.faults.small_network.run_extract"
_EVERY_S = 0.25


@dataclass
class Watched:
    """A command that has ended, and what it took on the way.

    Attributes:
        code: exit code.
        summary: of `--json`.
        err: standard error.
        seconds: from its beginning to its end.
        files: of the command and its workers together, over time: open file descriptors.
        rss_mib: likewise, resident memory.
    """

    code: int
    summary: dict
    err: str
    seconds: float
    files: list[int] = field(default_factory=list)
    rss_mib: list[float] = field(default_factory=list)

    def growth(self, samples: list) -> float:
        """The highest of the last third less the highest of the third before."""
        third = max(len(samples) // 3, 1)
        return max(samples[-third:]) - max(samples[-2 * third : -third] or samples)

    def told(self) -> str:
        """The figures in one line."""
        n = len(self.files)
        middle = f"{max(self.files[n // 3 : 2 * n // 3])} / {max(self.files[2 * n // 3 :])}"
        memory = f"{max(self.rss_mib[n // 3 : 2 * n // 3]):.0f} / {max(self.rss_mib[2 * n // 3 :]):.0f}"
        return (
            f"{self.seconds:.0f} s; in the second and the last third at most {middle} open files"
            f" and {memory} MiB in all processes; exit code {self.code}"
        )


def watched(*arguments: str | Path, folder: Path) -> Watched:
    """Run `ascnet ARGUMENTS` and look at it until it has ended."""
    started_s = time.monotonic()
    out, err = folder / "stdout", folder / "stderr"
    with out.open("wb") as out_file, err.open("wb") as err_file:
        process = subprocess.Popen(
            command_of(PROGRAM, arguments), cwd=folder, env=environment(), stdout=out_file, stderr=err_file
        )
        files, rss_mib = [], []
        try:
            while process.poll() is None:
                taken = _taken(process.pid)
                if taken is not None:
                    files.append(taken[0])
                    rss_mib.append(taken[1])
                time.sleep(_EVERY_S)
        finally:
            process.kill()
            process.wait()
    told = out.read_text()
    summary = json.loads(told) if told else {}
    seconds = time.monotonic() - started_s
    return Watched(process.returncode, summary, err.read_text(), seconds, files, rss_mib)


def _taken(pid: int) -> tuple[int, float] | None:
    """Open files and resident memory in MiB of a process and all below it; None while that changes."""
    try:
        top = psutil.Process(pid)
        everyone = [top, *top.children(recursive=True)]
        return sum(one.num_fds() for one in everyone), sum(one.memory_info().rss / 2**20 for one in everyone)
    except psutil.Error:
        return None


def many(n_videos: int, folder: Path, *, every: int = 0) -> Watched:
    """A batch of tiny videos with two workers; each `every`-th is no video."""
    (folder / "in").mkdir(parents=True)
    data = [make_video(folder / f"{n}.mp4", n_frames=8 + n).read_bytes() for n in range(8)]
    for number in range(n_videos):
        bad = every and number % every == every - 1
        below = folder / "in" / f"{number // 1000}"
        below.mkdir(exist_ok=True)
        (below / f"{number:05}.mp4").write_bytes(b"not a video" if bad else data[number % 8])
    return watched("extract", "in", "--out", "out", "--workers", "2", "--json", folder=folder)


def records(folder: Path) -> list[dict]:
    """The record of failures."""
    path = folder / "out" / "failures.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def long(hours: float, folder: Path, *, fps: int = 10) -> Watched:
    """One video of this length, a minute's packets over and over."""
    folder.mkdir(parents=True, exist_ok=True)
    path = looped(folder / "long.mp4", round(hours * 60), fps)
    return watched(
        *("extract", path, "--out", "out", "--workers", "1", "--video-timeout", "0", "--json"), folder=folder
    )


def looped(path: Path, minutes: int, fps: int) -> Path:
    """Write a video of so many minutes without encoding more than one."""
    minute = make_video(path.with_name("minute.mp4"), n_frames=60 * fps, fps=fps)
    with av.open(str(minute)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(source.streams.video[0]) if packet.size]
        stamps = [(packet.pts, packet.dts) for packet in packets]
        step = round(Fraction(60) / packets[0].time_base)
        for number in range(minutes):
            for packet, (pts, dts) in zip(packets, stamps, strict=True):
                packet.stream = stream
                packet.pts, packet.dts = pts + number * step, dts + number * step
                packet.time_base = source.streams.video[0].time_base
                target.mux(packet)
    return path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", default=["many", "bad", "long"])
    parser.add_argument("--videos", type=int, default=5000, metavar="N", help="of `many`")
    parser.add_argument("--hours", type=float, default=6.0, metavar="H", help="of `long`")
    options = parser.parse_args()
    good = True
    with tempfile.TemporaryDirectory() as name:
        if "many" in options.what:
            ran = many(options.videos, Path(name) / "many")
            flat = ran.growth(ran.files) <= 2 and ran.growth(ran.rss_mib) < 64
            good &= flat and ran.code == 0 and ran.summary["done"] == options.videos
            say(f"{options.videos} tiny videos, 2 workers: {ran.told()}; {'flat' if flat else 'GROWING'}")
        if "bad" in options.what:
            ran = many(500, Path(name) / "bad", every=10)
            found = records(Path(name) / "bad")
            good &= ran.code == 3 and len(found) == 50 and ran.summary["done"] == 450
            say(f"500 videos of which 50 are bad: {len(found)} records; {ran.told()}")
        if "long" in options.what:
            ran = long(options.hours, Path(name) / "long")
            (video,) = ran.summary["videos"]
            good &= ran.code == 0
            say(f"{options.hours:g} hours: {video['state']}, {video.get('rows')} rows; {ran.told()}")
    return 0 if good else 1


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
