"""What a worker does with a video: read it, make its features, write them, and say what became of it."""

from __future__ import annotations

import shutil
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from extractors.batch.inputs import is_list
from extractors.batch.jobs import Ended, Failure, Item, Job, Made, Progressed, Ready, Said, Stage, Unfit
from extractors.batch.source import ExtractorSource, FeatureMaker, Seat
from extractors.errors import OptionError, VideoError
from extractors.mishaps import is_gpu_error, known_error
from extractors.store import Dtype, MadeFeatures, fingerprint, write_features
from extractors.video import check_file
from weights.atomic import write_error
from weights.errors import AscnetError, StorageError

Say = Callable[[Said], None]

_TELL_EVERY_S = 0.2
_LONGEST = 1000  # characters of an error; a message must fit into a pipe at once
_PACKAGE = Path(__file__).resolve().parents[1]
# What of this package stands in the traceback of an error, and the stage that it belongs to; the first that
# fits. A reader opens its file inside `open_video`, and decodes when it is asked for frames.
_STAGES: tuple[tuple[str, str, Stage], ...] = (
    ("flow", "", "flow"),
    ("i3d", "", "network"),
    ("backbones", "", "network"),
    ("video", "open_video", "open"),
    ("video", "check_file", "open"),
    ("decode_", "", "decode"),
    ("snippets", "", "decode"),
    ("pictures", "", "decode"),
)


@dataclass(frozen=True, slots=True)
class Orders:
    """What holds for every video of a run.

    Attributes:
        dtype: of the numbers in the files.
        strict: a video that ends before its header promises counts as failed.
    """

    dtype: Dtype = "float32"
    strict: bool = False


class Worker:
    """Makes features, one job after the other.

    Args:
        source: of its extractor, which is made for the first job.
        orders: what holds for every video.
        seat: its place on the machine.
    """

    def __init__(self, source: ExtractorSource, orders: Orders, seat: Seat) -> None:
        self._source, self._orders, self._seat = source, orders, seat
        self._maker: FeatureMaker | None = None

    def do(self, job: Job, say: Say) -> bool:
        """Go through a job; nothing is raised, every video is said to have ended, or the worker to be unfit.

        Returns:
            Whether this process can be used again. If not, it must end, and of a job of several videos those
            that were not said to have ended are to be tried one by one.
        """
        if self._maker is None:
            try:
                self._maker, device = self._source.build(self._seat)
            except Exception as error:  # noqa: BLE001 - whatever it is, no video can be begun
                say(Unfit(failure_of(error, "worker")))
                return True
            say(Ready(device))
        for ended in self._all(self._maker, job.items, say):
            if isinstance(ended.result, Failure) and ended.result.ends_place:
                say(Unfit(ended.result))
                return True
            lost = isinstance(ended.result, Failure) and ended.result.ends_worker
            if not lost or len(job.items) == 1:
                say(ended)
            if lost:  # of several videos nobody can say whose fault it is: each is tried by itself
                return False
        return True

    def _all(self, maker: FeatureMaker, items: Sequence[Item], say: Say) -> Iterator[Ended]:
        many = getattr(maker, "extract_many", None)
        if len(items) == 1 or many is None:
            for item in items:
                yield self._one(maker, item, say)
        else:
            yield from self._several(many, items, say)

    def _one(self, maker: FeatureMaker, item: Item, say: Say) -> Ended:
        started = time.monotonic()
        name = item.video.name
        say(Progressed(name, 0.0))
        try:
            source = _Source(item.video.path)
            features = maker.extract(item.video.path, progress=_teller(name, say))
        except Exception as error:  # noqa: BLE001 - whatever a damaged file sets off, the batch goes on
            return Ended(name, _failure(error, item), time.monotonic() - started)
        return Ended(name, self._written(item, features, source), time.monotonic() - started)

    def _several(self, many: Callable[..., Any], items: Sequence[Item], say: Say) -> Iterator[Ended]:
        """Short videos together, so that their snippets fill a network's batches."""
        started = time.monotonic()
        # In a line, not by path: one file may be there under two names.
        sources: list[tuple[Item, _Source]] = []
        for item in items:
            say(Progressed(item.video.name, 0.0))
            try:
                sources.append((item, _Source(item.video.path)))
            except Exception as error:  # noqa: BLE001 - as above
                yield Ended(item.video.name, _failure(error, item), time.monotonic() - started)
        all_made = many([item.video.path for item, _ in sources])
        for (item, source), (_, made) in zip(sources, all_made, strict=True):
            if isinstance(made, Exception):
                result: Made | Failure = _failure(made, item)
            else:
                result = self._written(item, made, source)
            yield Ended(item.video.name, result, time.monotonic() - started)
            started = time.monotonic()

    def _written(self, item: Item, features: MadeFeatures, source: _Source) -> Made | Failure:
        report = features.report
        try:
            if source.changed():
                # Nobody can say which bytes these features are of, so they are not kept.
                raise VideoError("the file changed while it was read", hint="run the same command again")
            if self._orders.strict and report.truncated:
                raise VideoError(report.truncation, hint="get the whole file, or run without --strict")
        except VideoError as error:
            return failure_of(error, "decode")
        try:
            write_features(item.place, item.video.name, features, source.told, self._orders.dtype)
        except StorageError as error:
            told = _with_room(error, item.place.sidecar.parent, features.values.nbytes)
            return failure_of(told, "write", ends_run=True)
        except (AscnetError, OSError) as error:
            known = write_error(error, item.place.sidecar) if isinstance(error, OSError) else error
            return failure_of(known, "write")
        warnings = tuple(filter(None, (report.truncation, report.damage, *report.notes)))
        return Made(len(features.values), features.duration_s, warnings)


class _Source:
    """The video file: its fingerprint before it is read, and whether it is still the same afterwards.

    Raises:
        VideoError: not a regular file with something in it.
        OSError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        check_file(path)  # before it is opened: a pipe would keep us for ever
        self._path = path
        self._state = self._now()
        self.told = fingerprint(path)

    def changed(self) -> bool:
        """Whether the file was written to since."""
        try:
            return self._now() != self._state
        except OSError:
            return True

    def _now(self) -> tuple[int, int, int]:
        status = self._path.stat()
        return status.st_size, status.st_mtime_ns, status.st_ino


def _teller(name: str, say: Say) -> Callable[[float, float | None], None]:
    """Passes progress on, but not more often than somebody can look."""
    last = -_TELL_EVERY_S

    def tell(done_s: float, total_s: float | None) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _TELL_EVERY_S:
            last = now
            say(Progressed(name, done_s, total_s))

    return tell


def _failure(error: Exception, item: Item) -> Failure:
    """What failed a video that was being read; of a list of videos it is said how to give one."""
    failure = failure_of(error)
    if failure.stage == "open" and is_list(item.video.path):
        return replace(failure, hint=f"if this is a list of videos, give it with --list {item.video.path}")
    return failure


def failure_of(error: Exception, stage: Stage | None = None, *, ends_run: bool = False) -> Failure:
    """What failed a video, as a record that a person can act on.

    Args:
        error: what was raised.
        stage: where; None: where its traceback says.
        ends_run: no other video would fare better, wherever.
    """
    known = known_error(error, memory_hint="use fewer --workers")
    return Failure(
        stage=stage or stage_of(error),
        error_class=type(error).__name__,
        message=str(known)[:_LONGEST],
        hint=known.hint[:_LONGEST],
        exit_code=known.exit_code,
        ends_run=ends_run,
        # What was asked for contradicts itself or is not installed here: so it is for every video.
        ends_place=isinstance(error, OptionError),
        ends_worker=is_gpu_error(error),
    )


def stage_of(error: Exception) -> Stage:
    """Where an error comes from, by the modules of this package in its traceback."""
    frames = [
        (Path(frame.filename).stem, frame.name)
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).parent == _PACKAGE
    ]
    for module, function, stage in _STAGES:
        if any(name.startswith(module) and function in ("", called) for name, called in frames):
            return stage
    return "open" if isinstance(error, OSError) else "network"


def _with_room(error: StorageError, folder: Path, n_bytes: int) -> StorageError:
    """The same error with what is needed and what there is."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return error
    told = f"{error} (about {n_bytes / 1e6:.1f} MB needed, {free / 1e6:.1f} MB free)"
    return StorageError(told, hint=error.hint)
