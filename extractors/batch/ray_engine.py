"""Workers on a Ray cluster: one task a video, wherever there is room.

Every node must see the videos and the output folder under the paths that this process sees, and have ascnet
installed in the same version. Weights travel: they are put into Ray's object store once, and each node gets
them once. A task tells how it is going as it goes (a streaming generator), and writes its features itself, so
that the files are those of local workers. A task whose worker was killed, or whose node went away, is given
out again from here. A node on which no worker gets ready (something is not installed there, its card is
broken, it takes for ever) is given no more tasks, and the others do its part; the run ends where there are no
others.

Ray is an optional extra: `pip install 'ascnet[ray]'`.
"""

from __future__ import annotations

import inspect
import logging
import math
import os
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from extractors.batch.deaths import task_failed, task_lost, task_lost_at_start
from extractors.batch.engine import TimeLimit, never_ready
from extractors.batch.jobs import (
    Broken,
    Ended,
    Event,
    Failure,
    Job,
    Progressed,
    Returned,
    Said,
    Starting,
    Unfit,
    Withdrawn,
)
from extractors.batch.ray_cluster import RayOptions, connected
from extractors.batch.ray_task import do_job
from extractors.batch.source import ExtractorSource, ExtractorSpec
from extractors.batch.worker import Orders
from extractors.errors import OptionError
from weights.processes import Owner

_NODE_LABEL = "ray.io/node-id"  # that Ray gives every node
_LOOK_S = 0.2  # how often time limits are looked at
_COUNT_EVERY_S = 5.0  # nodes come and go
# A decoder that crashes does so again; a machine that was taken away is nobody's fault.
_WORKER_ATTEMPTS, _NODE_ATTEMPTS = 3, 20
# Workers that are lost before they are known to be ready, where none has been: with different videos, or one.
_START_VIDEOS, _START_ATTEMPTS = 2, 4


@dataclass(slots=True)
class _Running:
    """A job that the cluster has.

    Attributes:
        job: as it was given.
        unfinished: names of its videos that have not ended.
        place: the node that has it; empty while it waits for room.
        begun: its worker was ready, and has begun with a video.
        since_s: when it began with the video at hand, or with getting ready; None: it waits for room.
        total_s: duration of that video, as far as known.
        lost_workers: how often its worker was lost.
        lost_nodes: how often its node was.
        lost_starts: how often its worker was lost on a node on which none has been ready.
    """

    job: Job
    unfinished: list[str]
    place: str = ""
    begun: bool = False
    since_s: float | None = None
    total_s: float = 0.0
    lost_workers: int = 0
    lost_nodes: int = 0
    lost_starts: int = 0

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
        self._ray, self._limit, self._clock = connected(options.address), limit, clock
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        most_cpus = max((int(node.get("CPU", 0)) for node in nodes), default=0)
        self.n_cpus = options.n_cpus or max(min(4, most_cpus), 1)
        any_gpu = any(node.get("GPU", 0) for node in nodes)
        self.n_gpus = options.n_gpus if options.n_gpus is not None else float(any_gpu)
        if not any(self._fits(node) for node in nodes):
            self._ray.shutdown()
            raise OptionError(
                f"no node has {_counted(self.n_cpus, 'processor core')} and"
                f" {_counted(self.n_gpus, 'graphics card')}",
                hint="ask for less with --num-cpus and --num-gpus; the largest node has"
                f" {_counted(most_cpus, 'core')}",
            )
        sent = source.sent() if isinstance(source, ExtractorSpec) else source
        self._setup = self._ray.put((sent, orders, self.n_cpus))
        # Unwrapped: Ray wants to see a generator, whatever has been put around it.
        self._task = self._ray.remote(inspect.unwrap(do_job))
        self._key = os.urandom(8).hex()
        self._running: dict[Any, _Running] = {}
        self._owners: set[Owner] = set()
        self._withdrawn: set[str] = set()  # nodes that are not used any more
        self._good: set[str] = set()  # nodes on which some worker has been ready
        self._failed_starts: dict[str, set[str]] = {}  # on other nodes: what their lost workers had
        self._slots, self._counted_s = 0, -math.inf

    def room(self) -> int:
        """Tasks that the cluster has room for, and some that wait at its door so that it never idles."""
        if self._clock() - self._counted_s > _COUNT_EVERY_S:
            self._counted_s = self._clock()
            self._slots = sum(self._fits(node["Resources"]) for node in self._nodes())
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

    def stop(self) -> Collection[Owner]:
        """End what is running, and leave the cluster, which ends all workers of this run."""
        for generator in self._running:
            self._cancel(generator)
        self._running.clear()
        self._ray.shutdown()
        return self._owners

    def _nodes(self) -> list[dict[str, Any]]:
        """Nodes that are there and were not withdrawn."""
        return [node for node in self._ray.nodes() if node["Alive"] and node["NodeID"] not in self._withdrawn]

    def _fits(self, node: dict[str, float]) -> int:
        """How many tasks fit on a node."""
        by_cpu = int(node.get("CPU", 0) // self.n_cpus)
        return by_cpu if not self.n_gpus else min(by_cpu, int(node.get("GPU", 0) / self.n_gpus))

    def _give(self, running: _Running) -> None:
        running.place, running.begun, running.since_s, running.total_s = "", False, None, 0.0
        elsewhere = {_NODE_LABEL: f"!in({','.join(sorted(self._withdrawn))})"} if self._withdrawn else None
        task = self._task.options(
            num_cpus=self.n_cpus,
            num_gpus=self.n_gpus,
            num_returns="streaming",
            max_retries=0,
            label_selector=elsewhere,
        )
        self._running[task.remote(self._key, self._setup, running.rest)] = running

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
        if isinstance(event, Starting):
            running.place, running.since_s = event.place, self._clock()
            self._owners.add(event.owner)
            return []
        if isinstance(event, Unfit):
            del self._running[generator]
            return self._withdraw({running.place}, running, event.failure)
        self._good.add(running.place)
        if isinstance(event, Ended):
            if event.video not in running.unfinished:
                return []
            running.unfinished.remove(event.video)
            running.since_s, running.total_s = self._clock(), 0.0
        elif isinstance(event, Progressed):
            if not running.begun:
                running.begun, running.since_s = True, self._clock()
            running.total_s = max(running.total_s, event.total_s or 0.0)
        return [event]

    def _withdraw(self, places: Collection[str], running: _Running, failure: Failure) -> list[Event]:
        """Give nodes up on which no worker gets ready; nothing is said of one that was given up before."""
        fresh = set(places) - self._withdrawn
        self._withdrawn |= fresh
        any_left = any(self._fits(node["Resources"]) for node in self._nodes())
        if any_left and not fresh:  # it had been sent there before
            self._give(running)
            return []
        self._counted_s = -math.inf
        names = {node["NodeID"]: node.get("NodeManagerHostname") for node in self._ray.nodes()}
        told = ", ".join(sorted({names.get(place) or place for place in fresh or places}))
        return [Withdrawn(running.job, tuple(running.unfinished), failure, told, any_left)]

    def _again_or_broken(self, running: _Running, error: Exception) -> list[Event]:
        if not running.unfinished:
            return [Returned(running.job)]
        exceptions = self._ray.exceptions
        for_memory = isinstance(error, exceptions.OutOfMemoryError)
        node_lost = isinstance(
            error, (exceptions.NodeDiedError, exceptions.ObjectLostError, exceptions.LocalRayletDiedError)
        )
        ours = isinstance(error, exceptions.RayTaskError)  # an error of the code, not of the machine
        if ours and not running.begun:
            # The task could not even be read there: no ascnet, or another one.
            at = {
                node["NodeID"]
                for node in self._ray.nodes()
                if node["NodeManagerAddress"] == getattr(error, "ip", "")
            }
            places = {running.place} if running.place else at
            if places:
                return self._withdraw(places, running, task_failed(error))
        never_ready_there = running.place and running.place not in self._good
        if never_ready_there and not (running.begun or for_memory or node_lost):
            # What a worker told last is lost with it, so it may have been ready: one video that crashes it
            # must not look like a node on which none gets ready. Two videos, or one that dies often, do.
            running.lost_starts += 1
            had = self._failed_starts.setdefault(running.place, set())
            had.add(running.unfinished[0])
            if len(had) >= _START_VIDEOS or running.lost_starts >= _START_ATTEMPTS:
                return self._withdraw({running.place}, running, task_lost_at_start(error))
            self._give(running)
            return []
        running.lost_nodes += node_lost
        running.lost_workers += not node_lost
        if (
            not for_memory
            and not ours
            and running.lost_workers < _WORKER_ATTEMPTS
            and running.lost_nodes < _NODE_ATTEMPTS
        ):
            self._give(running)
            return []
        n_lost = running.lost_workers + running.lost_nodes
        failure = task_failed(error) if ours else task_lost(error, n_lost)
        return [Broken(running.job, tuple(running.unfinished), failure, for_memory)]

    def _too_slow(self) -> list[Event]:
        found: list[Event] = []
        for generator, running in list(self._running.items()):
            if running.since_s is None:
                continue
            allowed_s = self._limit.of(running.total_s) if running.begun else self._limit.of_start()
            if self._clock() - running.since_s > allowed_s:
                self._cancel(generator)
                del self._running[generator]
                if not running.begun:
                    found += self._withdraw({running.place}, running, never_ready(allowed_s))
                    continue
                failure = Failure(
                    stage="worker",
                    error_class="TimeoutError",
                    message=f"took longer than {allowed_s:.0f} s",
                    hint="give it more time with --video-timeout, or look at the file with a player",
                )
                found.append(Broken(running.job, tuple(running.unfinished), failure))
        return found


def _counted(n: int | float, noun: str) -> str:
    return f"{n:g} {noun}{'' if n == 1 else 's'}"
