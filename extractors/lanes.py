"""Isolated clips through a network on the processor: one clip a lane, all lanes side by side.

A lane is a thread that computes one clip at a time, by itself. Clips do not wait for one
another inside an operator, as the threads of one large batch do, so that nothing is lost where another
thread (the decoder, another program) takes a core for a while. And since every clip is computed alone,
its features cannot depend on which clips it was given together with, nor, since it is computed by one
thread, on how many there are: from three threads an operation has on, oneDNN adds up in another order.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float32, Shaped
from torch import Tensor

from extractors.backbones import Backbone

# Each lane holds one clip's activations (about 0.1 GB), so there are never many; a worker with more threads
# leaves the others idle, and more workers use them.
MAX_LANES = 8
_WAITING = 2  # clips a lane, running or waiting to run

T = TypeVar("T")


@runtime_checkable
class Clips(Protocol):
    """Takes clips and gives a future row of features for each; clips may be gathered before they run."""

    def submit(self, clip: Shaped[np.ndarray, "t h w c"]) -> Future[Float32[np.ndarray, " d"]]:
        """Put a clip in line: (t, 224, 224, c), 8-bit pictures or flow in [-1, 1].

        Returns at once or after an earlier clip has run, so that the line stays short.
        """

    def flush(self) -> None:
        """Run what has been gathered so far."""


def network_input(backbone: Backbone, clip: Shaped[np.ndarray, "t h w c"]) -> Tensor:
    """(c, t, h, w) on the network's device: 8-bit pictures scaled, flow as it is."""
    frames = torch.from_numpy(np.ascontiguousarray(clip)).to(backbone.device)
    if clip.dtype == np.uint8:
        return backbone.pixels(frames)
    return frames.to(backbone.dtype).permute(3, 0, 1, 2)


def n_lanes(n_threads: int) -> int:
    """Lanes where so many threads may be used."""
    return min(n_threads, MAX_LANES)


class Lanes:
    """The threads that clips are computed in; use it in a `with`, which ends them.

    With one thread in all there is one lane, and it is the caller's own thread.

    Args:
        n_threads: cores to be used; None takes what PyTorch uses here.
    """

    def __init__(self, n_threads: int | None = None) -> None:
        self._n_threads = n_threads or torch.get_num_threads()
        self._n_lanes = n_lanes(self._n_threads)
        self._room = threading.Semaphore(_WAITING * self._n_lanes)
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Lanes:
        # One lane of a process with several threads is a thread of its own, too.
        if self._n_threads > 1:
            self._pool = self._started()
        return self

    def _started(self) -> ThreadPoolExecutor:
        before = torch.get_num_threads()
        pool = ThreadPoolExecutor(self._n_lanes, "lane", _compute_alone)
        # A task that waits for the others on each thread: all threads are there once they are through.
        together = threading.Barrier(self._n_lanes + 1)
        for _ in range(self._n_lanes):
            pool.submit(together.wait)
        together.wait()
        # The number holds for the thread that sets it, and for threads made later: the latter is taken back.
        torch.set_num_threads(before)
        return pool

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def run(self, task: Callable[[], T]) -> Future[T]:
        """Run a task in a lane; waits while every lane has another one waiting."""
        if self._pool is None:
            return _done(task)
        self._room.acquire()
        future = self._pool.submit(task)
        future.add_done_callback(lambda _future: self._room.release())
        return future


def _compute_alone() -> None:
    """Let this thread's operations use no other one."""
    torch.set_num_threads(1)
    # PyTorch takes the number that was set last, wherever that was, when a thread first asks for it: now.
    torch.get_num_threads()


def _done(task: Callable[[], T]) -> Future[T]:
    future: Future[T] = Future()
    try:
        future.set_result(task())
    except Exception as error:  # noqa: BLE001 - as a pool's future: it is raised where the result is asked for
        future.set_exception(error)
    return future


class LaneClips:
    """See `Clips`; every clip runs alone, in one of the lanes."""

    def __init__(self, backbone: Backbone, lanes: Lanes) -> None:
        self._backbone, self._lanes = backbone, lanes

    def submit(self, clip: Shaped[np.ndarray, "t h w c"]) -> Future[Float32[np.ndarray, " d"]]:
        """See `Clips.submit`."""

        def task() -> Float32[np.ndarray, " d"]:
            features, _ = self._backbone.snippets(network_input(self._backbone, clip).unsqueeze(0))
            row: Float32[np.ndarray, " d"] = features[0].float().cpu().numpy()
            return row

        return self._lanes.run(task)

    def flush(self) -> None:
        """Nothing is gathered here."""
