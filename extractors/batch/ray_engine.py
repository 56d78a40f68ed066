"""Workers on a Ray cluster: one task a video, wherever there is room.

Every node must see the videos and the output folder under the paths that this process sees, and have ascnet
installed in the same version. Weights travel: they are put into Ray's object store once, and each node gets
them once. A task tells how it is going as it goes (a streaming generator), and writes its features itself, so
that the files are those of local workers. A task whose worker was killed, or whose node went away, is given
out again from here.

Ray is an optional extra: `pip install 'ascnet[ray]'`.
"""

from __future__ import annotations

import inspect
import logging
import math
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from extractors.batch.engine import TimeLimit
from extractors.batch.jobs import Broken, Ended, Event, Failure, Job, Progressed, Returned
from extractors.batch.ray_task import Said, do_job
from extractors.batch.source import ExtractorSource, ExtractorSpec
from extractors.batch.worker import Orders
from extractors.errors import OptionError

_LOOK_S = 0.2  # how often time limits are looked at
_CONNECT_S = 10.0
_COUNT_EVERY_S = 5.0  # nodes come and go
# A decoder that crashes does so again; a machine that was taken away is nobody's fault.
_WORKER_ATTEMPTS, _NODE_ATTEMPTS = 3, 20


@dataclass(frozen=True, slots=True)
class RayOptions:
    """What a person may say of a cluster.

    Attributes:
        address: of a running one, `auto` or host:port; None: one is started on this machine, and ended.
        n_cpus: processor cores of a task, which are its threads; None: four, or what the largest node has.
        n_gpus: graphics cards of a task, fractions share one; None: one where the cluster has any.

    Raises:
        OptionError: an address that tasks cannot report through, or a number out of its range.
    """

    address: str | None = None
    n_cpus: int | None = None
    n_gpus: float | None = None

    def __post_init__(self) -> None:
        if self.address is not None and self.address.startswith("ray://"):
            raise OptionError(
                f"{self.address} is for Ray's client, which this cannot use",
                hint="run ascnet on a node of the cluster, with --address auto",
            )
        if self.n_cpus is not None and self.n_cpus < 1:
            raise OptionError(f"--num-cpus must be at least 1, not {self.n_cpus}", hint="for example 4")
        if self.n_gpus is not None and not 0 <= self.n_gpus < math.inf:
            raise OptionError(f"--num-gpus must be 0 or more, not {self.n_gpus}", hint="for example 0.5")


@dataclass(slots=True)
class _Running:
    """A job that the cluster has.

    Attributes:
        job: as it was given.
        unfinished: names of its videos that have not ended.
        since_s: when it began with the video at hand; None: it waits for room.
        total_s: duration of that video, as far as known.
        lost_workers: how often its worker was lost.
        lost_nodes: how often its node was.
    """

    job: Job
    unfinished: list[str]
    since_s: float | None = None
    total_s: float = 0.0
    lost_workers: int = 0
    lost_nodes: int = 0

    @property
    def rest(self) -> Job:
        """What is still to be done of it."""
        return Job(tuple(item for item in self.job.items if item.video.name in self.unfinished))


class RayEngine:
    """See `extractors.batch.engine.Engine`.

    Args:
        source: of each worker's extractor.
        orders: what holds for every video.
        options: which cluster, and what a task gets.
        limit: how long a video may take, once it has begun.
        clock: a monotonic one, seconds.

    Raises:
        OptionError: Ray is not installed, no cluster answers, or no node is large enough for a task.
    """

    def __init__(
        self,
        source: ExtractorSource,
        orders: Orders,
        *,
        options: RayOptions,
        limit: TimeLimit,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ray, self._limit, self._clock = _connected(options.address), limit, clock
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        most_cpus = max((int(node.get("CPU", 0)) for node in nodes), default=0)
        self.n_cpus = options.n_cpus or max(min(4, most_cpus), 1)
        any_gpu = any(node.get("GPU", 0) for node in nodes)
        self.n_gpus = options.n_gpus if options.n_gpus is not None else float(any_gpu)
        if not any(self._fits(node) for node in nodes):
            self._ray.shutdown()
            raise OptionError(
                f"no node has {self.n_cpus} processor cores and {self.n_gpus:g} graphics cards",
                hint=f"ask for less with --num-cpus and --num-gpus; the largest node has {most_cpus} cores",
            )
        sent = source.sent() if isinstance(source, ExtractorSpec) else source
        self._setup = self._ray.put((sent, orders, self.n_cpus))
        # Unwrapped: Ray wants to see a generator, whatever has been put around it.
        self._task = self._ray.remote(inspect.unwrap(do_job)).options(
            num_cpus=self.n_cpus, num_gpus=self.n_gpus, num_returns="streaming", max_retries=0
        )
        self._key = os.urandom(8).hex()
        self._running: dict[Any, _Running] = {}
        self._slots, self._counted_s = 0, -math.inf

    def room(self) -> int:
        """Tasks that the cluster has room for, and some that wait at its door so that it never idles."""
        if self._clock() - self._counted_s > _COUNT_EVERY_S:
            self._counted_s = self._clock()
            alive = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
            self._slots = sum(self._fits(node) for node in alive)
        return max(self._slots + math.ceil(self._slots / 4) - len(self._running), 0)

    def submit(self, job: Job) -> None:
        """Give the cluster a job."""
        self._give(_Running(job, list(job.names)))

    def events(self, timeout_s: float) -> Sequence[Event]:
        """See `Engine.events`; also where lost workers, lost nodes and time limits are noticed."""
        until = self._clock() + timeout_s
        found: list[Event] = []
        while not found:
            left = until - self._clock()
            if left <= 0:
                break
            if not self._running:
                time.sleep(min(left, _LOOK_S))
                continue
            ready, _ = self._ray.wait(list(self._running), num_returns=1, timeout=min(left, _LOOK_S))
            for generator in ready:
                found += self._heard(generator)
            found += self._too_slow()
        return found

    def stop(self) -> None:
        """End what is running, and leave the cluster."""
        for generator in self._running:
            self._cancel(generator)
        self._running.clear()
        self._ray.shutdown()

    def _fits(self, node: dict[str, float]) -> int:
        """How many tasks fit on a node."""
        by_cpu = int(node.get("CPU", 0) // self.n_cpus)
        return by_cpu if not self.n_gpus else min(by_cpu, int(node.get("GPU", 0) / self.n_gpus))

    def _give(self, running: _Running) -> None:
        running.since_s, running.total_s = None, 0.0
        self._running[self._task.remote(self._key, self._setup, running.rest)] = running

    def _cancel(self, generator: Any) -> None:  # noqa: ANN401 - Ray's own type
        try:
            self._ray.cancel(generator, force=True)
        except Exception:  # it has ended by itself, or the cluster has
            logging.getLogger(__name__).debug("a task could not be cancelled", exc_info=True)

    def _heard(self, generator: Any) -> list[Event]:  # noqa: ANN401
        """The next thing that a task has told, or its end."""
        running = self._running[generator]
        try:
            event: Said = self._ray.get(next(generator))
        except StopIteration:
            del self._running[generator]
            if running.unfinished:  # what it told last was lost on the way
                return self._again_or_broken(running, self._ray.exceptions.WorkerCrashedError())
            return [Returned(running.job)]
        except self._ray.exceptions.RayError as error:
            del self._running[generator]
            return self._again_or_broken(running, error)
        if isinstance(event, Ended):
            if event.video not in running.unfinished:
                return []
            running.unfinished.remove(event.video)
            running.since_s, running.total_s = self._clock(), 0.0
        elif isinstance(event, Progressed):
            if running.since_s is None:
                running.since_s = self._clock()
            running.total_s = max(running.total_s, event.total_s or 0.0)
        return [event]

    def _again_or_broken(self, running: _Running, error: Exception) -> list[Event]:
        exceptions = self._ray.exceptions
        for_memory = isinstance(error, exceptions.OutOfMemoryError)
        node_lost = isinstance(
            error, (exceptions.NodeDiedError, exceptions.ObjectLostError, exceptions.LocalRayletDiedError)
        )
        ours = isinstance(error, exceptions.RayTaskError)  # an error of the code, not of the machine
        running.lost_nodes += node_lost
        running.lost_workers += not node_lost
        if not running.unfinished:
            return [Returned(running.job)]
        if (
            not for_memory
            and not ours
            and running.lost_workers < _WORKER_ATTEMPTS
            and running.lost_nodes < _NODE_ATTEMPTS
        ):
            self._give(running)
            return []
        return [Broken(running.job, tuple(running.unfinished), _failure(running, error, ours), for_memory)]

    def _too_slow(self) -> list[Event]:
        found: list[Event] = []
        for generator, running in list(self._running.items()):
            if running.since_s is None:
                continue
            allowed_s = self._limit.of(running.total_s)
            if self._clock() - running.since_s > allowed_s:
                self._cancel(generator)
                del self._running[generator]
                failure = Failure(
                    stage="worker",
                    error_class="TimeoutError",
                    message=f"took longer than {allowed_s:.0f} s",
                    hint="give it more time with --video-timeout, or look at the file with a player",
                )
                found.append(Broken(running.job, tuple(running.unfinished), failure))
        return found


def _failure(running: _Running, error: Exception, ours: bool) -> Failure:
    """What the loss of a task means."""
    if ours:
        return Failure(
            stage="worker",
            error_class=type(error).__name__,
            message=f"its task failed: {str(error).strip().splitlines()[-1][:500]}",
            hint="install the same version of ascnet on every node",
            exit_code=1,
        )
    lost = running.lost_workers + running.lost_nodes
    return Failure(
        stage="worker",
        error_class=type(error).__name__,
        message=f"its worker was lost {lost} times, most likely since the decoder crashed or memory ran out",
        hint="remux or convert the file, try another --decoder, or give tasks more with --num-cpus",
    )


def _connected(address: str | None) -> Any:  # noqa: ANN401 - the module itself
    """Ray, connected to a cluster.

    Raises:
        OptionError: it is not installed, or none answers.
    """
    # Ray reports its use over the network unless it is told not to before it is loaded.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise OptionError("Ray is not installed", hint="pip install 'ascnet[ray]'") from error
    if address not in (None, "auto", "local"):
        _answers(address)
    here: dict[str, Any] = {} if address else {"include_dashboard": False}
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **here)
    except (ConnectionError, ValueError, RuntimeError, OSError, TimeoutError) as error:
        raise _no_cluster(address, str(error)) from error
    if threading.current_thread() is threading.main_thread():
        for number, handler in handlers.items():  # Ray puts its own there, which end the process at once
            signal.signal(number, handler)
    return ray


def _answers(address: str) -> None:
    """Hold that something listens: Ray itself ends the process after a minute where nothing does.

    Raises:
        OptionError: nothing listens there, or it is no address.
    """
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_S).close()
    except (OSError, ValueError, OverflowError) as error:
        raise _no_cluster(address, str(error)) from error


def _no_cluster(address: str | None, why: str) -> OptionError:
    where = f"no Ray cluster answers at {address}" if address else "Ray could not be started here"
    return OptionError(
        f"{where}: {why.splitlines()[0] if why else 'no reason given'}",
        hint="start one with `ray start --head`, and give the address that it prints",
    )
