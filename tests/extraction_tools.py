"""Extraction without networks: real videos and files, features that are pixels, workers that die by name.

Nothing here loads torch, so that a worker process starts in a moment.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import numpy as np

from extractors.batch.jobs import Ended, Event, Job, Returned, Said, Unfit, Video, Withdrawn
from extractors.batch.plan import items_of, make_plan
from extractors.batch.run import Outcome, run_plan
from extractors.batch.source import Seat
from extractors.batch.state import Wanted
from extractors.batch.worker import Orders, Worker
from extractors.errors import DeviceError, OptionError
from extractors.recipe import FeatureRecipe
from extractors.snippets import Resampler, TimeGrid
from extractors.video import DecodeReport, open_video

ROOT = Path(__file__).resolve().parents[1]
SHA = "0" * 64
RGB = FeatureRecipe({"rgb": SHA})
BOTH = FeatureRecipe({"rgb": SHA, "flow": SHA}, flow={"algorithm": "none"})
_POISONED = threading.Event()  # nothing can be computed in this process any more


@dataclass(frozen=True)
class PlainFeatures:
    """What `extractors.features.Features` has, without its module."""

    values: np.ndarray
    grid: TimeGrid
    n_frames: int
    duration_s: float
    report: DecodeReport
    recipe: FeatureRecipe

    @property
    def valid_frames_of_last(self) -> int:
        return self.grid.valid_frames_of_last(self.n_frames)


@dataclass(frozen=True)
class PlainExtractor:
    """A row is some pixels of its frames; some names are trouble.

    `crash.*` is a segmentation fault, `hang.*` never ends, `greedy.*` is killed as for memory, `once.*` the
    same but only the first time, `poison.*` leaves the graphics card useless to the whole process.
    """

    recipe: FeatureRecipe
    delay_s: float = 0.0

    def extract(self, path: Path, *, progress=None) -> PlainFeatures:
        self._trouble(path)
        window, rows, n_frames = self.recipe.grid.window_frames, [], 0
        held: list[np.ndarray] = []
        with open_video(path) as reader:

            def duration():
                yield reader.report.duration_s

            for frame in Resampler().resample(reader.frames(), duration()):
                held.append(np.resize(frame.rgb.astype(np.float32), self.recipe.dim) / 255)
                n_frames += 1
                if len(held) == window:
                    rows.append(np.mean(held, axis=0))
                    held.clear()
                    if progress is not None:
                        progress(n_frames / 25, reader.info.header_duration_s)
                    time.sleep(self.delay_s)
            if held:
                rows.append(np.mean(held, axis=0))
            report = reader.report
        values = np.asarray(rows, np.float32)
        return PlainFeatures(values, self.recipe.grid, n_frames, report.duration_s, report, self.recipe)

    def _trouble(self, path: Path) -> None:
        marker = path.with_name(f"{path.name}.tried")
        if path.stem == "poison":
            _POISONED.set()
        if _POISONED.is_set():
            raise RuntimeError("CUDA error: device-side assert triggered")
        if path.stem == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        elif path.stem == "hang":
            time.sleep(600)
        elif path.stem == "greedy" or (path.stem == "once" and not marker.exists()):
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class PlainSource:
    """Makes a `PlainExtractor` wherever it is sent."""

    recipe: FeatureRecipe = RGB
    delay_s: float = 0.0
    error: Exception | None = None

    def build(self, seat: Seat) -> tuple[PlainExtractor, str]:
        import extractors.decode_pyav  # noqa: F401 - loaded before a time limit runs, as torch would be

        if self.error is not None:
            raise self.error
        return PlainExtractor(self.recipe, self.delay_s), "cpu"


@dataclass(frozen=True)
class PickySource(PlainSource):
    """Makes an extractor nowhere but in some seats; elsewhere it does as it is told.

    Attributes:
        bad_seats: indices, on one machine.
        bad_node: of a Ray cluster.
        how: "error", "option" (when a video is read), "hang" or "die".
    """

    bad_seats: tuple[int, ...] = ()
    bad_node: str = ""
    how: str = "error"

    def build(self, seat: Seat) -> tuple[PlainExtractor, str]:
        if self.bad_node:
            import ray

            bad = ray.get_runtime_context().get_node_id() == self.bad_node
        else:
            bad = seat.index in self.bad_seats
        if bad and self.how == "error":
            raise DeviceError("its card is broken", hint="look at it")
        if bad and self.how == "hang":
            time.sleep(600)
        if bad and self.how == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        maker, device = super().build(seat)
        return (Lacking(self.recipe), device) if bad else (maker, device)


@dataclass(frozen=True)
class Lacking(PlainExtractor):
    """Something that every video needs is not installed here."""

    def extract(self, path: Path, *, progress=None) -> PlainFeatures:
        raise OptionError("decord is not installed", hint="install it")


@dataclass
class InlineEngine:
    """Does jobs here and at once: an engine for tests of what is around engines."""

    source: PlainSource = field(default_factory=PlainSource)
    orders: Orders = field(default_factory=Orders)
    told: list[Event] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    stopped: bool = False

    def room(self) -> int:
        return 0 if self.told else 1

    def submit(self, job: Job) -> None:
        self.jobs.append(job)
        unfinished = list(job.names)

        def say(event: Said) -> None:
            if isinstance(event, Unfit):
                self.told.append(Withdrawn(job, tuple(unfinished), event.failure))
                return
            if isinstance(event, Ended):
                unfinished.remove(event.video)
            self.told.append(event)

        Worker(self.source, self.orders, Seat(0, 1)).do(job, say)
        self.told.append(Returned(job))

    def events(self, timeout_s: float) -> list[Event]:
        told, self.told = self.told, []
        if not told:
            time.sleep(min(timeout_s, 0.02))
        return told

    def stop(self) -> tuple[()]:
        self.stopped = True
        return ()


def videos_of(folder: Path) -> list[Video]:
    """Every mp4 below a folder."""
    return [Video(path.relative_to(folder).as_posix(), path) for path in sorted(folder.rglob("*.mp4"))]


def extract_all(
    folder: Path,
    out: Path,
    engine=None,
    *,
    wanted: Wanted | None = None,
    layout="ascnet",
    **options,
) -> dict[str, Outcome]:
    """Plan and make the features of a folder's videos; each one's outcome by its name."""
    wanted = wanted or Wanted(RGB)
    plan = make_plan(items_of(videos_of(folder), out, layout), wanted)
    out.mkdir(parents=True, exist_ok=True)
    engine = engine or InlineEngine(PlainSource(wanted.recipe), Orders(wanted.dtype, wanted.strict))
    return {outcome.video: outcome for outcome in run_plan(plan, engine, out, wanted, **options)}


def contents(folder: Path) -> dict[str, str]:
    """Every file below a folder and the hash of its content."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def run(arguments: Sequence[str], delay_s: float = 0.0, file_limit: int | None = None) -> None:
    """For a process of its own: `ascnet ARGUMENTS` with the plain extractor in place of the networks."""
    from ascnet_cli.cli.app import main

    if file_limit is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))
    sys.argv = ["ascnet", *arguments]
    source = PlainSource(RGB, delay_s)
    with mock.patch("ascnet_cli.extraction.extractor_spec", return_value=source):
        main()


def started(
    *arguments: str | Path, delay_s: float = 0.0, file_limit: int | None = None, cwd: Path | None = None
) -> subprocess.Popen[str]:
    """A process that does `run`."""
    call = f"run({[str(argument) for argument in arguments]!r}, {delay_s!r}, {file_limit!r})"
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from tests.extraction_tools import run; {call}"
    return subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("SLURM_")},
            # Python would put a cut file in the place of a module's bytecode: no later start could read it.
            **({"PYTHONDONTWRITEBYTECODE": "1"} if file_limit is not None else {}),
        },
    )


def ended(process: subprocess.Popen[str], timeout_s: float = 120.0) -> tuple[int, str, str]:
    """Its exit code, and what it said on standard output and error."""
    try:
        out, err = process.communicate(timeout=timeout_s)
    finally:
        process.kill()
        process.wait()
    return process.returncode, out, err


def until(holds: Callable[[], bool], timeout_s: float = 60.0) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)
