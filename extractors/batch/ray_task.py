"""What runs on a node of a Ray cluster: a job, and what it tells on the way."""

from __future__ import annotations

import dataclasses
import math
import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

from extractors.batch.jobs import Job, Progressed, Ready, Said, Starting
from extractors.batch.source import ExtractorSource, Seat
from extractors.batch.worker import Orders, Worker
from weights.processes import this_owner

_TELL_EVERY_S = 1.0  # progress goes over a network


class _Here:
    """What a process keeps from one task to the next.

    Attributes:
        key: of the run that the worker is of.
        worker: with its networks.
        thread: one for all tasks, since torch keeps its number of threads for each.
    """

    def __init__(self) -> None:
        self.key = ""
        self.worker: Worker | None = None
        self.thread = ThreadPoolExecutor(1)


_here: _Here | None = None


def here() -> _Here:
    """This process's."""
    global _here
    _here = _here or _Here()
    return _here


def do_job(key: str, setup: tuple[ExtractorSource, Orders, int], job: Job) -> Iterator[Said]:
    """All that a task does: go through a job, and tell.

    Args:
        key: of the run; tasks of one run share the worker of their process.
        setup: the source of its extractor, what holds for every video, and its threads.
        job: what to do.

    Yields:
        Where it is, and what the worker says, progress once a second at most.
    """
    import ray

    yield Starting(ray.get_runtime_context().get_node_id(), this_owner())
    kept = here()
    if kept.worker is None or kept.key != key:
        source, orders, n_threads = setup
        kept.worker, kept.key = Worker(source, orders, Seat(0, n_threads)), key
    told: SimpleQueue[Said | None] = SimpleQueue()
    done = kept.thread.submit(_go, kept.worker, job, told)
    last_s = -math.inf
    while (event := told.get()) is not None:
        if isinstance(event, Progressed) and event.done_s > 0:
            if time.monotonic() - last_s < _TELL_EVERY_S:
                continue
            last_s = time.monotonic()
        elif isinstance(event, Ready):
            event = dataclasses.replace(event, device=f"{event.device} on {socket.gethostname()}")
        yield event
    if not done.result():
        time.sleep(_TELL_EVERY_S)  # for what was told last to arrive
        os._exit(1)  # a card after an error is of no use to this process any more


def _go(worker: Worker, job: Job, told: SimpleQueue[Said | None]) -> bool:
    """Go through a job; the last that is told is None. Whether the worker can be used again."""
    try:
        return worker.do(job, told.put)
    finally:
        told.put(None)
