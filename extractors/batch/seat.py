"""One worker process on this machine, what it has told, and what its end means.

It is a pool of one (pebble's `ProcessPool`), which starts another process where one has ended, with a pipe of
its own to this process.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from extractors.batch.deaths import death, death_at_start
from extractors.batch.engine import TimeLimit, never_ready
from extractors.batch.jobs import (
    Broken,
    Ended,
    Event,
    Failure,
    Job,
    Progressed,
    Ready,
    Returned,
    Said,
    Unfit,
    Withdrawn,
)
from extractors.batch.source import ExtractorSource, Seat
from extractors.batch.worker import Orders, Worker
from extractors.children import end_with_parent, ignore_interrupts, uninterrupted

_START_ATTEMPTS = 2  # a process that dies before it is ready is started once more


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
        self._ready, self._n_failed_starts = False, 0
        self._current: _Current | None = None
        self._open()

    @property
    def job(self) -> Job | None:
        """What it works on."""
        return self._current.job if self._current else None

    def begin(self, job: Job) -> None:
        """Give it a job; it must have none."""
        self._number += 1
        with uninterrupted():
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
            found += self._lost(current)
        elif self._clock() - current.since_s > self._allowed_s(current):
            current.future.cancel()  # type: ignore[no-untyped-call]  # ends the process
            self._ready = False
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
            if isinstance(event, Ready):
                self._ready, self._n_failed_starts = True, 0
            elif isinstance(event, Unfit):
                found.append(self._withdrawn(current, event.failure))
                break
            elif isinstance(event, Returned):
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
        return self._limit.of(current.total_s) if current.begun else self._limit.of_start()

    def _too_slow(self, current: _Current) -> Event:
        allowed_s = self._allowed_s(current)
        if not current.begun:
            return self._withdrawn(current, never_ready(allowed_s))
        failure = Failure(
            stage="worker",
            error_class="TimeoutError",
            message=f"took longer than {allowed_s:g} s",
            hint="give it more time with --video-timeout, or look at the file with a player",
        )
        return self._broken(current, failure)

    def _lost(self, current: _Current) -> list[Event]:
        """The process has ended without saying so; or it had said all there was."""
        was_ready, self._ready = self._ready, False
        if not current.unfinished:
            self._current = None
            return [Returned(current.job)]
        error = current.future.exception()
        if isinstance(error, ProcessExpired) and not was_ready:
            self._n_failed_starts += 1
            if self._n_failed_starts < _START_ATTEMPTS:
                self.begin(current.job)
                return []
            return [self._withdrawn(current, death_at_start(error.exitcode))]
        if isinstance(error, ProcessExpired):
            failure, for_memory = death(error.exitcode)
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
        return [self._broken(current, failure, for_memory=for_memory)]

    def _withdrawn(self, current: _Current, failure: Failure) -> Event:
        self._current = None
        return Withdrawn(current.job, tuple(current.unfinished), failure)

    def _broken(self, current: _Current, failure: Failure, *, for_memory: bool = False) -> Event:
        self._current = None
        return Broken(current.job, tuple(current.unfinished), failure, for_memory)


# One a process: the worker, and its line to the process that gives it jobs.
_here: tuple[Worker, Connection] | None = None


def _start(source: ExtractorSource, orders: Orders, seat: Seat, sender: Connection) -> None:
    """Set a new process up; quickly, since nothing can be told from here."""
    global _here
    ignore_interrupts()
    end_with_parent()
    _here = (Worker(source, orders, seat), sender)


def _work(number: int, job: Job) -> None:
    """All that a worker process does with a job."""
    if _here is None:
        raise RuntimeError("a worker that was not set up")
    worker, sender = _here

    def say(event: Said) -> None:
        sender.send((number, event))

    usable = worker.do(job, say)
    if not usable:
        # Every video has ended, so nobody misses this process; the next one starts afresh.
        os._exit(1)
    sender.send((number, Returned(job)))
