"""Worker processes on this machine: one that dies or hangs fails its own job alone, and is replaced.

Each worker is a pool of one with a pipe of its own (`extractors.batch.seat`). Workers share no lock, so that
none can die with one in its hand; and each keeps its place, which decides its graphics card. Processes are
spawned: a fork of a process that has threads cannot be relied on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from multiprocessing import connection

from extractors.batch.engine import TimeLimit
from extractors.batch.jobs import Broken, Event, Job, Withdrawn
from extractors.batch.seat import SeatedWorker
from extractors.batch.source import ExtractorSource, Seat
from extractors.batch.worker import Orders
from weights.processes import Owner

_LOOK_S = 0.2  # how often lost workers and time limits are looked at


class LocalEngine:
    """See `extractors.batch.engine.Engine`.

    Args:
        source: of each worker's extractor.
        orders: what holds for every video.
        n_workers: processes.
        n_threads: of each.
        limit: how long a video may take.
        clock: a monotonic one, seconds.
    """

    def __init__(
        self,
        source: ExtractorSource,
        orders: Orders,
        *,
        n_workers: int,
        n_threads: int,
        limit: TimeLimit,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock, self._limit = clock, limit
        self._seats = [
            SeatedWorker(source, orders, Seat(index, n_threads), clock, limit) for index in range(n_workers)
        ]

    def room(self) -> int:
        """Workers without a job."""
        return sum(seat.job is None for seat in self._seats)

    def submit(self, job: Job) -> None:
        """Give a job to a worker that has none.

        Raises:
            RuntimeError: there is none; ask `room` first.
        """
        for seat in self._seats:
            if seat.job is None:
                seat.begin(job)
                return
        raise RuntimeError("every worker has a job already")

    def events(self, timeout_s: float) -> Sequence[Event]:
        """See `Engine.events`; also where lost workers and time limits are noticed."""
        until = self._clock() + timeout_s
        found: list[Event] = []
        while not found:
            busy = [seat for seat in self._seats if seat.job is not None]
            left = until - self._clock()
            if left <= 0 or not busy:
                if left > 0:
                    time.sleep(min(left, _LOOK_S))
                break
            connection.wait([seat.receiver for seat in busy], timeout=min(left, _LOOK_S))
            for seat in busy:
                found += self._settled(seat, seat.events())
        self._lower(found)
        return found

    def stop(self) -> Collection[Owner]:
        """End all workers; none is of another machine."""
        for seat in self._seats:
            seat.stop()
        for seat in self._seats:
            seat.join()
        return ()

    def _settled(self, seat: SeatedWorker, found: Sequence[Event]) -> list[Event]:
        """The same events; a worker's place that cannot be used is taken away, but the last one stays."""
        if not any(isinstance(event, Withdrawn) for event in found):
            return list(found)
        any_left = len(self._seats) > 1
        if any_left:
            self._remove(seat)
        return [
            replace(event, any_left=any_left) if isinstance(event, Withdrawn) else event for event in found
        ]

    def _remove(self, seat: SeatedWorker) -> None:
        self._seats.remove(seat)
        seat.stop()
        seat.join()

    def _lower(self, found: Sequence[Event]) -> None:
        """Where memory did not suffice for so many workers, go on with one less."""
        for event in found:
            if isinstance(event, Broken) and event.for_memory and len(self._seats) > 1:
                idle = next((seat for seat in self._seats if seat.job is None), None)
                if idle is not None:
                    self._remove(idle)
