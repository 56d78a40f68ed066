"""Processes that this one starts: Ctrl-C does not reach them, and none outlives it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import connection, parent_process, resource_tracker


@contextmanager
def uninterrupted() -> Iterator[None]:
    """A block in which processes and threads are started that Ctrl-C does not reach, from their first moment.

    A terminal sends it to all processes; the one that gives out the work decides what it means. What is
    started calls `ignore_interrupts` for the rest of its life.
    """
    if not hasattr(signal, "pthread_sigmask"):  # not on Windows
        yield
        return
    # The first process that Python spawns has it start this helper, which unblocks the signal on its way out.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_interrupts() -> None:
    """For a process that was started: Ctrl-C is not for it. To be called in its main thread."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def end_with_parent() -> None:
    """End this process when the one that started it has ended, however that was (kill -9)."""
    parent = parent_process()
    if parent is None:
        return
    sentinel = parent.sentinel

    def watch() -> None:
        connection.wait([sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()
