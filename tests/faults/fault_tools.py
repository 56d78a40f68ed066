"""The installed command in processes of its own, on files that show one action at a known time.

`detect` runs with the stand-in network of `cli_tools`, `extract` with the plain extractor of
`extraction_tools`; all else is what a person gets. One call may look at many files, so that a row of the
table costs no process of its own.
"""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from tests import extraction_tools, synthetic
from tests.synthetic import Codec, make_video

ROOT = Path(__file__).resolve().parents[2]
# The network of a stand-in sees an action where pictures are bright.
ACTION_S = (1.0, 4.0)
DARK, BRIGHT = 20, 215  # half of each is dark
RATE = 10  # Hz
# Every frame is a key frame, so that damage to one leaves the others whole.
INTRA = Codec("libx264", options=(*synthetic.H264.options, ("g", "1")))


def shown_at(times_s: Sequence[Fraction | float], size: tuple[int, int] = (64, 48)) -> list[np.ndarray]:
    """The pictures of an action video at these times: grey, bright from 1 s to 4 s."""
    levels = [BRIGHT if ACTION_S[0] <= t < ACTION_S[1] else DARK for t in times_s]
    return [np.full((size[1], size[0], 3), level, np.uint8) for level in levels]


def action(
    path: Path, *, size: tuple[int, int] = (64, 48), delay_s: Fraction = Fraction(0), **options
) -> Path:
    """Five seconds at 10 Hz, bright from 1 s to 4 s; see `synthetic.make_video` for the options."""
    times_s = [Fraction(k, RATE) for k in range(50)]
    pictures = shown_at(times_s, size)
    if delay_s:
        options["times_s"] = [t + delay_s for t in times_s]
    return make_video(path, n_frames=50, fps=RATE, size=size, pictures=pictures, **options)


def overwritten(path: Path, packets: Sequence[int], skip: int = 0) -> Path:
    """Fill some packets with ones; the first `skip` bytes of each stay."""
    data = bytearray(path.read_bytes())
    spans = synthetic.packet_spans(path)
    for number in packets:
        position, size = spans[number]
        data[position + skip : position + size] = b"\xff" * (size - skip)
    path.write_bytes(data)
    return path


@dataclass(frozen=True)
class Seen:
    """What a command made of one file.

    Attributes:
        summary: its entry of `--json`.
        lines: of standard error that name it.
        rows: of the CSV: (label, start_s, end_s).
        sidecar: of its features, where they were kept.
        values: the features.
    """

    summary: dict[str, Any]
    lines: tuple[str, ...]
    rows: tuple[tuple[str, float, float], ...]
    sidecar: dict[str, Any] | None
    values: np.ndarray | None

    @property
    def state(self) -> str:
        return self.summary["state"]

    @property
    def report(self) -> dict[str, Any]:
        assert self.sidecar is not None, self.summary
        return self.sidecar["decode_report"]

    @property
    def said(self) -> str:
        return "\n".join(self.lines)

    def failed(self, *words: str) -> bool:
        """Whether it failed for this reason, in one line, with nothing kept of it."""
        assert self.state == "failed", self.summary
        assert self.sidecar is None
        assert self.rows == ()
        assert len(self.lines) == 1, self.lines
        for word in words:
            assert word in self.lines[0]
        return True


@dataclass(frozen=True)
class Batch:
    """A command that has run over many files."""

    code: int
    out: str
    err: str
    files: dict[str, Seen]
    folder: Path

    def __getitem__(self, name: str) -> Seen:
        return self.files[name]


def environment(**changes: str) -> dict[str, str]:
    """For a process: ours, without what would change the output, on one thread."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        kept.pop(name, None)
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**kept, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths), **changes}


def run_detect(arguments: list[str]) -> None:
    """For a process of its own: `ascnet ARGUMENTS` with the stand-in network."""
    from ascnet_cli.cli.app import main
    from tests.cli_tools import stand_in_network

    sys.argv = ["ascnet", *arguments]
    with stand_in_network(apart=True):
        main()


def serve_troubled(line: Connection) -> None:
    """For a decoder's process: `crash.*` is a segmentation fault, `hang.*` never ends."""
    from extractors import apart, pieces

    def troubled(paths: list[Path], **options: Any):
        if paths[0].stem == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        elif paths[0].stem == "hang":
            sys.stderr.write(f"hanging {os.getpid()}\n")
            sys.stderr.flush()
            time.sleep(900)
        return pieces.read_videos(paths, **options)

    with mock.patch("extractors.apart.read_videos", troubled):
        apart._serve(line)


def run_detect_troubled(arguments: list[str], stall_s: float = 5.0) -> None:
    """For a process of its own: `run_detect`, whose decoder has no luck with some names."""
    from extractors import apart

    with mock.patch.object(apart, "_serve", serve_troubled), mock.patch.object(apart, "STALL_S", stall_s):
        run_detect(arguments)


def run_detect_hanging(arguments: list[str]) -> None:
    """For a process of its own: `run_detect_troubled`, and a decoder that hangs is waited for long."""
    run_detect_troubled(arguments, 600.0)


def command_of(program: str, arguments: Sequence[str | Path]) -> list[str]:
    """What starts a process that calls a function of the tests with arguments."""
    module, function = program.rsplit(".", 1)
    call = f"{function}({[str(argument) for argument in arguments]!r})"
    return [sys.executable, "-c", f"from {module} import {function}; {call}"]


DETECT = "tests.faults.fault_tools.run_detect"
EXTRACT = "tests.extraction_tools.run"


def ascnet(
    *arguments: str | Path,
    program: str | None = DETECT,
    cwd: Path | None = None,
    timeout_s: float = 240.0,
    before: Sequence[str] = (),
    **options: Any,
) -> subprocess.CompletedProcess[str]:
    """Run `ascnet ARGUMENTS` in a process of its own and wait for its end.

    Args:
        arguments: the command and what follows.
        program: the function that runs it; None: the command just as it is installed.
        cwd: where.
        timeout_s: seconds; a command that takes longer hangs, which fails the test.
        before: a command that starts this one, such as strace.
        options: for `subprocess.run`.
    """
    plain = [sys.executable, "-m", "ascnet_cli", *map(str, arguments)]
    command = plain if program is None else command_of(program, arguments)
    return subprocess.run(
        [*before, *command],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=timeout_s,
        check=False,
        **options,
    )


def looked_at(folder: Path, work: Path, *options: str, program: str = DETECT) -> Batch:
    """`ascnet detect` or `extract` over a folder, with everything that it said and kept.

    Args:
        folder: of input files.
        work: where outputs go.
        options: more arguments.
        program: `DETECT` or `EXTRACT`.
    """
    kept = work / "kept"
    if program == DETECT:
        arguments = ("detect", folder, "--out", work / "segments.csv", "--features-out", kept)
    else:
        arguments = ("extract", folder, "--out", kept, "--workers", "1")
    ran = ascnet(*arguments, "--json", *options, program=program, cwd=work)
    assert "Traceback" not in ran.stderr, ran.stderr
    assert ran.stdout, ran.stderr
    rows: dict[str, list[tuple[str, float, float]]] = {}
    if (work / "segments.csv").exists():
        with (work / "segments.csv").open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                times = (float(row["start_s"]), float(row["end_s"]))
                rows.setdefault(row["video"], []).append((row["label"], *times))
    files = {}
    for entry in json.loads(ran.stdout)["videos"]:
        name = entry["video"]
        marks = (f" {name}: ", f"{name}: ")
        lines = tuple(
            line for line in ran.stderr.splitlines() if line.startswith(marks[1]) or marks[0] in line
        )
        files[name] = Seen(entry, lines, tuple(rows.get(name, ())), *_kept(kept / name))
    return Batch(ran.returncode, ran.stdout, ran.stderr, files, work)


def _kept(place: Path) -> tuple[dict[str, Any] | None, np.ndarray | None]:
    data, sidecar = place.with_name(place.name + ".npy"), place.with_name(place.name + ".json")
    try:
        told = json.loads(sidecar.read_bytes())
    except OSError:
        assert not data.exists(), f"{data} without a sidecar"
        return None, None
    assert extraction_tools.hashlib.sha256(data.read_bytes()).hexdigest() == told["data"]["sha256"]
    return told, np.load(data)
