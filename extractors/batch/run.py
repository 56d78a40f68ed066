"""A plan carried out: videos are claimed and handed to an engine, and what becomes of each is recorded."""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from extractors.batch.claims import Claims
from extractors.batch.engine import Engine
from extractors.batch.failures import FailureLog, record_of
from extractors.batch.jobs import Broken, Ended, Event, Failure, Job, Progressed, Ready, Withdrawn
from extractors.batch.plan import Plan, Task, has_changed
from extractors.batch.state import Wanted, made_otherwise, why_make
from weights.atomic import sweep
from weights.errors import AscnetError, OutputError

_POLL_S = 0.2  # how long a look at the engine may take, so that a stop is noticed
_SHORT_BYTES = 2_000_000  # half a minute at the usual quality of a clip
_SHARES = 4  # a worker is given this part of what is waiting at the most
_LOOK_AGAIN_S = 0.5  # at videos that another process has claimed

Watcher = Callable[[Ready | Progressed | Withdrawn], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one video.

    Attributes:
        video: its name.
        state: "done", "up_to_date" or "failed".
        reason: why it was made; empty where it was up to date.
        seconds: how long it took; 0 where it was not made here.
        n_rows: T, where it was made here.
        duration_s: of the video, where its features were made here.
        warnings: what a person should know although it is done.
        failure: what is wrong, where it failed.
        by_other: another process did this while this one ran.
    """

    video: str
    state: Literal["done", "up_to_date", "failed"]
    reason: str = ""
    seconds: float = 0.0
    n_rows: int = 0
    duration_s: float = 0.0
    warnings: tuple[str, ...] = ()
    failure: Failure | None = None
    by_other: bool = False


def run_plan(
    plan: Plan,
    engine: Engine,
    folder: Path,
    wanted: Wanted,
    *,
    claims: Claims | None = None,
    together: int = 1,
    watch: Watcher = lambda _event: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Outcome]:
    """Make what a plan says, and tell what becomes of each video as it happens.

    Asked to stop, or left by an exception, it ends what is running; what was finished stays.

    Args:
        plan: from `make_plan`.
        engine: does the work; it is stopped at the end.
        folder: the output folder, with the record of failures.
        wanted: what features are to be.
        claims: of this process, not entered yet; None: new ones.
        together: how many short videos a worker is given at a time.
        watch: told when a worker is ready, or none can be at some place, and how far videos are.
        should_stop: asked several times a second.

    Yields:
        An outcome a video, those that are up to date first. At the end, a second one for each whose features
        another process with other options has replaced since: it counts, not the first.

    Raises:
        AscnetError: no other video would fare better (the disk is full, no worker can be made ready); its
            exit code says which.
    """
    with claims or Claims() as held:
        try:
            yield from _Run(plan, engine, folder, wanted, held, together, watch, should_stop).outcomes()
        finally:
            # While the claims are still ours: what a worker was writing is swept up when it has ended.
            over = engine.stop()
            places = [task.item.place for task in plan.to_do]
            for parent in {file.parent for place in places for file in (*place.data, place.sidecar)}:
                sweep(parent, over)


class _Run:
    """The state of a run. A video waits, is with the engine, is another process's, or is over."""

    def __init__(
        self,
        plan: Plan,
        engine: Engine,
        folder: Path,
        wanted: Wanted,
        claims: Claims,
        together: int,
        watch: Watcher,
        should_stop: Callable[[], bool],
    ) -> None:
        self._engine, self._claims, self._together = engine, claims, together
        self._unforced = dataclasses.replace(wanted, force=False)
        self._watch, self._should_stop = watch, should_stop
        self._log = FailureLog(folder, claims)
        self._tasks = {task.item.video.name: task for task in plan.tasks}
        self._waiting: deque[Task] = deque(plan.to_do)
        self._again: deque[Task] = deque()  # claimed already, each to be tried by itself
        self._alone: deque[Task] = deque()  # the same, with nothing else at the same time
        self._with_engine: set[str] = set()
        self._others: deque[Task] = deque()
        self._looked_s = 0.0
        self._tried_alone: set[str] = set()
        self._succeeded = [task.item.video.name for task in plan.tasks if not task.reason]

    def outcomes(self) -> Iterator[Outcome]:
        for name in self._succeeded:
            yield Outcome(name, "up_to_date")
        try:
            while not self._should_stop():
                yield from self._hand_out()
                if not (self._with_engine or self._waiting or self._others or self._again or self._alone):
                    break
                for event in self._engine.events(_POLL_S):
                    yield from self._outcomes_of(event)
            if not self._should_stop():
                yield from self._replaced()
        finally:
            # Nothing of this is worth hiding another error for.
            with suppress(AscnetError):
                self._log.update({}, self._succeeded, give_up=self._should_stop)

    def _hand_out(self) -> Iterator[Outcome]:
        """Give the engine what it has room for, and settle what others have done."""
        while self._engine.room() > 0 and not self._should_stop():
            if self._again:
                self._submit([self._again.popleft()])
            elif self._waiting:
                yield from self._begin_some()
            elif self._alone and not self._with_engine:
                self._submit([self._alone.popleft()])
            elif self._others and time.monotonic() - self._looked_s >= _LOOK_AGAIN_S:
                self._looked_s = time.monotonic()
                # Those that are still another's join the end of the line again.
                for _ in range(len(self._others)):
                    if self._engine.room() > 0 and not self._should_stop():
                        claimed = yield from self._begin(self._others.popleft())
                        self._submit([claimed] if claimed else [])
                return
            else:
                return

    def _begin_some(self) -> Iterator[Outcome]:
        """Hand over the next video; with those after it, if all are short and many are waiting."""
        group: list[Task] = []
        # Fewer towards the end, so that no worker, here or of another process, goes without.
        most = min(self._together, len(self._waiting) // (_SHARES * self._engine.room()))
        while (
            self._waiting
            and not self._should_stop()
            and (not group or (len(group) < most and _is_short(self._waiting[0])))
        ):
            claimed = yield from self._begin(self._waiting.popleft())
            if claimed is not None:
                group.append(claimed)
                if not _is_short(claimed):
                    break
        self._submit(group)

    def _begin(self, task: Task) -> Generator[Outcome, None, Task | None]:
        """Claim a video; None where another process has it or has done it."""
        name = task.item.video.name
        failed = self._log.recorded_since(name)
        if failed is not None:
            yield Outcome(name, "failed", task.reason, failure=failed, by_other=True)
            return None
        try:
            claimed = self._claims.take(task.item.place.claim)
        except OutputError as error:  # a name too long for this disk, a file where a folder should be
            failure = Failure("write", type(error).__name__, str(error), error.hint, error.exit_code)
            yield self._failed(name, failure, 0.0)
            return None
        if not claimed:
            self._others.append(task)
            return None
        if has_changed(task) and not why_make(
            task.item.place, task.item.video.path, self._unforced, just_made=True
        ):
            self._claims.release(task.item.place.claim)
            self._succeeded.append(name)
            yield Outcome(name, "up_to_date", by_other=True)
            return None
        return task

    def _submit(self, tasks: Sequence[Task]) -> None:
        if tasks:
            self._with_engine.update(task.item.video.name for task in tasks)
            self._engine.submit(Job(tuple(task.item for task in tasks)))

    def _outcomes_of(self, event: Event) -> Iterator[Outcome]:
        if isinstance(event, Ready | Progressed):
            self._watch(event)
        elif isinstance(event, Ended):
            yield from self._ended(event)
        elif isinstance(event, Broken):
            yield from self._broken(event)
        elif isinstance(event, Withdrawn):
            self._withdrawn(event)

    def _ended(self, event: Ended) -> Iterator[Outcome]:
        if event.video not in self._with_engine:
            return
        self._with_engine.discard(event.video)
        result = event.result
        if isinstance(result, Failure):
            if result.ends_run:
                raise _as_error(result)
            yield self._failed(event.video, result, event.seconds)
            return
        task = self._tasks[event.video]
        self._claims.release(task.item.place.claim)
        self._succeeded.append(event.video)
        yield Outcome(
            event.video,
            "done",
            task.reason,
            event.seconds,
            result.n_rows,
            result.duration_s,
            result.warnings,
        )

    def _broken(self, event: Broken) -> Iterator[Outcome]:
        """A worker was lost: the one video that it had is to blame; of several, each is tried by itself."""
        if self._should_stop():
            return  # whoever asked us to stop may have asked the workers too
        for name in event.unfinished:
            self._with_engine.discard(name)
            task = self._tasks[name]
            if event.for_memory and name not in self._tried_alone:
                self._tried_alone.add(name)
                self._alone.append(task)
            elif len(event.job.items) > 1:
                self._again.append(task)
            else:
                yield self._failed(name, event.failure, 0.0)

    def _withdrawn(self, event: Withdrawn) -> None:
        """No worker gets ready at one place: its videos go to the others, if there are any.

        Raises:
            AscnetError: there are none.
        """
        if self._should_stop():
            return
        if not event.any_left:
            raise _as_error(event.failure)
        self._watch(event)
        for name in event.unfinished:
            self._with_engine.discard(name)
            self._again.append(self._tasks[name])

    def _replaced(self) -> Iterator[Outcome]:
        """Videos that this run calls done, but whose features another process has made otherwise since.

        Of several processes that work with unequal options, the one that looks last sees what stays. There is
        no record of it: the features are right, for the other one.
        """
        for name in self._succeeded:
            how = made_otherwise(self._tasks[name].item.place, self._unforced)
            if how:
                failure = Failure(
                    "write",
                    "OutputError",
                    f"another process with other options has replaced its features ({how})",
                    "give each set of options a folder of its own (--out), and run this again",
                )
                yield Outcome(name, "failed", self._tasks[name].reason, failure=failure)

    def _failed(self, name: str, failure: Failure, seconds: float) -> Outcome:
        """Record first, then let go: whoever finds the claim free finds the record too."""
        task = self._tasks[name]
        record = record_of(task.item.video, failure)
        self._log.update({name: record}, (), give_up=self._should_stop)
        self._claims.release(task.item.place.claim)
        return Outcome(name, "failed", task.reason, seconds, failure=failure)


def _is_short(task: Task) -> bool:
    """Whether a video is so short that starting with it takes a good part of its time, by its size."""
    try:
        return task.item.video.path.stat().st_size <= _SHORT_BYTES
    except OSError:
        return False


def _as_error(failure: Failure) -> AscnetError:
    """A failure that ends the run, as the error that it was in the worker."""
    error = AscnetError(failure.message, hint=failure.hint)
    error.exit_code = failure.exit_code
    return error
