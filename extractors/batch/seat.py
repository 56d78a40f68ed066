"""One worker process on this machine, what it has told, and what its end means.

It is a pool of one (pebble's `ProcessPool`), which starts another process where one has ended, with a pipe of
its own to this process.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from extractors.batch.engine import TimeLimit
from extractors.batch.jobs import Broken, Ended, Event, Failure, Job, Progressed, Ready, Returned
from extractors.batch.source import ExtractorSource, Seat
from extractors.batch.worker import Orders, Worker, end_with_parent

_START_S = 900.0  # a worker loads torch and weights, perhaps over a network, before it says anything


@dataclass(slots=True)
class _Current:
    """The job that a worker is at, and what it has told of it.

    Attributes:
        number: of the job; what comes late from an earlier one is not listened to.
        job: itself.
        future: of its end.
        unfinished: names of videos that have not ended.
        since_s: when the worker last began with a video, or was given the job.
        total_s: duration of the videos that it has begun, as far as known.
        begun: whether it has begun with a video.
    """

    number: int
    job: Job
    future: ProcessFuture[None]
    unfinished: list[str]
    since_s: float
    total_s: float = 0.0
    begun: bool = False


class SeatedWorker:
    """One worker process, and the next one in its place."""

    def __init__(
        self,
        source: ExtractorSource,
        orders: Orders,
        seat: Seat,
        clock: Callable[[], float],
        limit: TimeLimit,
    ) -> None:
        self._arguments = (source, orders, seat)
        self._clock, self._limit = clock, limit
        self._number = 0
        self._current: _Current | None = None
        self._open()

    @property
    def job(self) -> Job | None:
        """What it works on."""
        return self._current.job if self._current else None

    def begin(self, job: Job) -> None:
        """Give it a job; it must have none."""
        self._number += 1
        with _uninterrupted():
            if not self._pool.active:
                self.stop()
                self.join()
                self._open()
            future = self._pool.schedule(_work, args=(self._number, job))
        self._current = _Current(self._number, job, future, list(job.names), self._clock())

    def events(self) -> list[Event]:
        """What it has told since, and whether it is lost or too slow."""
        current = self._current
        if current is None:
            return []
        # In this order: whatever it said, it said before it ended.
        over = current.future.done()
        found = self._heard(current)
        if self._current is None:
            return found
        if over:
            found.append(self._lost(current))
        elif self._clock() - current.since_s > self._allowed_s(current):
            current.future.cancel()  # type: ignore[no-untyped-call]  # ends the process
            found.append(self._too_slow(current))
        return found

    def stop(self) -> None:
        """End the process; `join` waits for it."""
        with suppress(RuntimeError):
            self._pool.stop()  # type: ignore[no-untyped-call]

    def join(self) -> None:
        """Wait until the process has ended."""
        with suppress(RuntimeError):
            self._pool.join()
        self.receiver.close()
        self._sender.close()

    def _open(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.receiver, self._sender = context.Pipe(duplex=False)
        self._pool = ProcessPool(
            max_workers=1, context=context, initializer=_start, initargs=(*self._arguments, self._sender)
        )

    def _heard(self, current: _Current) -> list[Event]:
        found: list[Event] = []
        while self.receiver.poll():
            number, event = self.receiver.recv()
            if number != current.number:
                continue  # of a job that was given up
            if isinstance(event, Returned):
                self._current = None
                if current.unfinished:  # a fault of ours; nobody would ever hear of these again
                    failure = Failure(
                        stage="worker",
                        error_class="WorkerEnded",
                        message="its worker returned without it",
                        hint="run the same command again; if it happens again, report it as a bug",
                        exit_code=1,
                    )
                    event = Broken(current.job, tuple(current.unfinished), failure)
            elif isinstance(event, Ended):
                if event.video in current.unfinished:
                    current.unfinished.remove(event.video)
                current.since_s, current.total_s = self._clock(), 0.0
            elif isinstance(event, Progressed):
                if not current.begun:
                    current.begun, current.since_s = True, self._clock()
                current.total_s = max(current.total_s, event.total_s or 0.0)
            found.append(event)
        return found

    def _allowed_s(self, current: _Current) -> float:
        if not current.begun:
            return math.inf if self._limit.fixed_s == 0 else _START_S
        return self._limit.of(current.total_s)

    def _too_slow(self, current: _Current) -> Event:
        allowed = self._allowed_s(current)
        what = f"took longer than {allowed:g} s" if current.begun else "its worker did not start"
        return self._broken(
            current,
            Failure(
                stage="worker",
                error_class="TimeoutError",
                message=what,
                hint="give it more time with --video-timeout, or look at the file with a player",
            ),
        )

    def _lost(self, current: _Current) -> Event:
        """The process has ended without saying so; or it had said all there was."""
        if not current.unfinished:
            self._current = None
            return Returned(current.job)
        error = current.future.exception()
        if isinstance(error, ProcessExpired):
            failure, for_memory = _death(error.exitcode)
        else:
            failure, for_memory = (
                Failure(
                    stage="worker",
                    error_class=type(error).__name__,
                    message=f"its worker failed: {error}",
                    exit_code=1,
                ),
                False,
            )
        return self._broken(current, failure, for_memory=for_memory)

    def _broken(self, current: _Current, failure: Failure, *, for_memory: bool = False) -> Event:
        self._current = None
        return Broken(current.job, tuple(current.unfinished), failure, for_memory)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """A block in which processes and threads are started that Ctrl-C does not reach, from their first moment.

    A terminal sends it to all processes; the one that gives out the work decides what it means.
    """
    if not hasattr(signal, "pthread_sigmask"):  # not on Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _death(exit_code: int) -> tuple[Failure, bool]:
    """What the end of a worker process means, and whether memory was the reason."""
    if exit_code == -signal.SIGKILL:
        return (
            Failure(
                stage="worker",
                error_class="WorkerKilled",
                message="its worker was killed (signal 9), most likely for want of memory",
                hint="use fewer --workers, or a machine with more memory",
                exit_code=6,
            ),
            True,
        )
    if exit_code < 0:
        return (
            Failure(
                stage="worker",
                error_class="WorkerCrashed",
                message=f"decoder crashed (signal {-exit_code})",
                hint="remux or convert the file, or try another --decoder",
            ),
            False,
        )
    return (
        Failure(
            stage="worker",
            error_class="WorkerEnded",
            message=f"its worker ended (exit code {exit_code})",
            hint="run the same command again; if it happens again, report it as a bug",
        ),
        False,
    )


# One a process: the worker, and its line to the process that gives it jobs.
_here: tuple[Worker, Connection] | None = None


def _start(source: ExtractorSource, orders: Orders, seat: Seat, sender: Connection) -> None:
    """Set a new process up; quickly, since nothing can be told from here."""
    global _here
    end_with_parent()
    _here = (Worker(source, orders, seat), sender)


def _work(number: int, job: Job) -> None:
    """All that a worker process does with a job."""
    if _here is None:
        raise RuntimeError("a worker that was not set up")
    worker, sender = _here

    def say(event: Ready | Progressed | Ended) -> None:
        sender.send((number, event))

    usable = worker.do(job, say)
    if not usable:
        # Every video has ended, so nobody misses this process; the next one starts afresh.
        os._exit(1)
    sender.send((number, Returned(job)))
