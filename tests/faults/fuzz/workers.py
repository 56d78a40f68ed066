"""Worker processes that look at one damaged video after the other; a crash or a hang is an answer, too."""

from __future__ import annotations

import hashlib
import io
import json
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import connection
from pathlib import Path
from typing import Any

import numpy as np

from tests.faults.fuzz.mutations import Case
from tests.faults.small_network import memory_kib

LIMIT_S = 60.0
_START_S = 900.0  # torch on a machine that is busy
MEMORY_MIB = 500  # that one file may take on top of what the process had
LONGEST_S = 2 * 3600.0  # of a video that was two seconds long


@dataclass(frozen=True)
class Answer:
    """What became of one file.

    Attributes:
        name: of the file.
        state: "done", "failed", "crashed" or "hung".
        reason: why it failed, in the words of the message.
        problem: what must not be; empty where all is well.
        seconds: that it took.
        memory_mib: that it took.
    """

    name: str
    state: str
    reason: str = ""
    problem: str = ""
    seconds: float = 0.0
    memory_mib: int = 0


def look_at_all(cases: Iterator[Case], folder: Path, n_workers: int) -> Iterator[Answer]:
    """Give every case to a worker, and tell what became of it; in no order.

    Args:
        cases: the damaged videos.
        folder: where they and their features are written for a moment.
        n_workers: processes.
    """
    seats = [_Seat(folder / f"worker-{number}") for number in range(n_workers)]
    waiting = iter(cases)
    try:
        idle, more = list(seats), True
        while True:
            while idle and more:
                given = next(waiting, None)
                more = given is not None
                if given is not None:
                    idle.pop().begin(given)
            busy = [seat for seat in seats if seat.case is not None]
            if not busy:
                return
            connection.wait([seat.line for seat in busy], timeout=0.5)
            for seat in busy:
                answer = seat.answer()
                if answer is not None:
                    idle.append(seat)
                    yield answer
    finally:
        for seat in seats:
            seat.end()


class _Seat:
    """A worker process, replaced where it is lost."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.case: Case | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self._open()

    def _open(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.line, other = context.Pipe()
        self._process = context.Process(target=_work, args=(other, self.folder), daemon=True)
        self._process.start()
        other.close()
        if not self.line.poll(_START_S):
            raise RuntimeError("a worker did not start")
        self.line.recv()

    def begin(self, given: Case) -> None:
        self.case, self._since_s = given, time.monotonic()
        (self.folder / given.name).write_bytes(given.data)
        self.line.send(given.name)

    def answer(self) -> Answer | None:
        """What it says, or that it is lost."""
        assert self.case is not None
        found: Answer | None = None
        with suppress(EOFError, OSError):
            if self.line.poll():
                found = self.line.recv()
        seconds = time.monotonic() - self._since_s
        if found is None and not self._process.is_alive():
            problem = f"the process ended with {self._process.exitcode}"
            found = Answer(self.case.name, "crashed", problem=problem)
        elif found is None and seconds > LIMIT_S:
            found = Answer(self.case.name, "hung", problem=f"took longer than {LIMIT_S:g} s")
        if found is None:
            return None
        (self.folder / self.case.name).unlink(missing_ok=True)
        self.case = None
        if found.state in ("crashed", "hung"):
            self.end()
            self._open()
        return replace(found, seconds=seconds)

    def end(self) -> None:
        self._process.kill()
        self._process.join()
        self.line.close()


def _work(line: connection.Connection, folder: Path) -> None:
    """All that a worker process does."""
    import torch

    from ascnet_cli.detector import load_detector
    from tests.cli_tools import stand_in_network

    torch.set_num_threads(1)
    with stand_in_network():
        detector = load_detector("kinetics400", device="cpu")
        line.send("ready")
        while True:
            try:
                name = line.recv()
            except EOFError:
                return
            line.send(_look_at(folder / name, detector))


def _look_at(path: Path, detector: Any) -> Answer:
    """Through the same call as `ascnet detect`, twice where it is done: the same bytes must come out."""
    before = memory_kib("VmRSS")
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins anew
    outcome, kept = _detected(path, detector)
    memory_mib = max(memory_kib("VmHWM") - before, 0) // 1024
    if outcome.state == "failed":
        problem = "" if outcome.exit_code == 3 and not kept else f"{outcome.error_class}: {outcome.error}"
        problem = f"left {sorted(kept)}" if kept else problem
        reason = outcome.error or ""
    else:
        problem, reason = _wrong_with(outcome, kept, path.name), ""
        problem = problem or (
            "" if _detected(path, detector)[1] == kept else "a second time it was different"
        )
    if memory_mib > MEMORY_MIB:
        problem = problem or f"took {memory_mib} MiB"
    return Answer(path.name, outcome.state, reason, problem, memory_mib=memory_mib)


def _detected(path: Path, detector: Any) -> tuple[Any, dict[str, bytes]]:
    """The outcome, and the files that were kept, which are taken away."""
    from ascnet_cli.detect import DetectOptions, detect_all
    from ascnet_cli.inputs import VideoInput

    folder = path.parent / "kept"
    options = DetectOptions(features_out=folder)
    (outcome,) = detect_all([VideoInput(path.name, path)], detector, options)
    kept = {file.name: file.read_bytes() for file in folder.iterdir()}
    for name in kept:
        (folder / name).unlink()
    return outcome, kept


def _wrong_with(outcome: Any, kept: dict[str, bytes], name: str) -> str:
    """What is not right with the output of a video that was done; empty where all is."""
    from extractors.snippets import TimeGrid

    if set(kept) != {f"{name}.npy", f"{name}.json"}:
        return f"left {sorted(kept)}"
    data, told = kept[f"{name}.npy"], json.loads(kept[f"{name}.json"])
    values = np.load(io.BytesIO(data))
    grid, length_s = TimeGrid(**told["grid"]), told["duration_s"]
    segments = [detection.segment for detection in outcome.result.detections]
    checks = {
        "its hash is another one": hashlib.sha256(data).hexdigest() == told["data"]["sha256"],
        "the number of rows does not fit": len(values) == grid.n_rows(told["n_frames"]) == told["shape"][0],
        "a number is not finite": bool(np.isfinite(values).all()),
        f"it lasts {length_s} s": 0 < length_s <= LONGEST_S,
        "a segment lies outside of it": all(0 <= s.start_s < s.end_s <= length_s + 0.001 for s in segments),
        "no frame was read": told["decode_report"]["frames_decoded"] >= 1,
    }
    return next((what for what, holds in checks.items() if not holds), "")
