"""Several processes at one training: which part each does, and how they stay together.

`torchrun` starts them and tells each its rank in the environment. Each process computes the losses of its
part of a step's batch; the gradients are summed, weighted by the part's share, and every process takes
the same step. So the number of processes changes neither what a step sees nor what it does.

torch's DistributedDataParallel is not used. It averages the processes' gradients, which is the batch's
gradient only where all parts are equally large, and it has to search every step for parameters without a
gradient. Here the settings alone decide which parameters have one, so all processes agree on it without
asking. What it would gain is little: it sends gradients while others are still computed, but most of the
network is the embedding, whose gradient comes last.

Messages between processes are bytes and tensors, never pickles. They go through gloo; the gradients of
CUDA devices through NCCL.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from ascnet_cli import errors
from ascnet_cli.errors import AscnetError, DeviceError, OptionError, TrainingError

# A process that died is noticed at once; this is for one that is slow, as in reading features over a
# network for the first time or in writing a checkpoint there.
TIMEOUT = timedelta(minutes=30)
_ENVIRONMENT = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_groups = itertools.count()


@dataclass(frozen=True, slots=True)
class Ranks:
    """The processes of a training as one of them sees them; without arguments a process on its own.

    Everything but `part` and `share` waits for the others where there are any, and so must be called by
    all of them, in the same order. A process that is gone or silent is a `TrainingError` in the others.

    Attributes:
        rank: of this process, from 0.
        n: the number of processes.
    """

    rank: int = 0
    n: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that writes files and reports."""
        return self.rank == 0

    def part(self, n_videos: int) -> slice:
        """Which of a batch's videos are this process's; parts differ by one video at most."""
        size, larger = divmod(n_videos, self.n)
        start = self.rank * size + min(self.rank, larger)
        return slice(start, start + size + (self.rank < larger))

    def share(self, n_videos: int) -> float:
        """The part's size over the batch's: the weight of a mean over the part in the batch's mean."""
        return len(range(n_videos)[self.part(n_videos)]) / n_videos

    @contextmanager
    def together(self) -> Iterator[None]:
        """A block that each process does for itself; an error in one of them ends it in all.

        The process where it happened raises its own error; the others one of the same kind with its
        message. Nothing inside the block may wait for other processes.
        """
        if self.n == 1:
            yield
            return
        try:
            yield
        except Exception as error:
            with suppress(TrainingError):  # where the others are gone too, this error still is the cause
                self.any(True)
                self.gather(_told(error))
            raise
        if self.any(False):
            reports = self.gather(b"")
            rank = next(rank for rank, report in enumerate(reports) if report)
            raise _error_of(reports[rank], rank)

    def any(self, flag: bool) -> bool:
        """Whether it is so in any process."""
        if self.n == 1:
            return flag
        count = torch.tensor([int(flag)])
        self.sum_([count])
        return bool(count)

    def sum_(self, tensors: Sequence[Tensor]) -> None:
        """Replaces each tensor by its sum over the processes: the same bits in all of them."""
        if self.n == 1:
            return
        with _answered():
            for work in [distributed.all_reduce(tensor, async_op=True) for tensor in tensors]:
                if work is not None:  # None would be a process outside of the group
                    work.wait()

    def gather(self, data: bytes) -> list[bytes]:
        """What each process gave, by rank."""
        return [self._from(rank, data) for rank in range(self.n)]

    def from_first(self, data: bytes) -> bytes:
        """What the first process gave; that of the others is not looked at."""
        return self._from(0, data)

    def _from(self, source: int, data: bytes) -> bytes:
        if self.n == 1:
            return data
        own = self.rank == source
        size = torch.tensor([len(data) if own else 0])
        with _answered():
            distributed.broadcast(size, source)
            content = torch.zeros(int(size), dtype=torch.uint8)
            if own and data:
                content = torch.frombuffer(bytearray(data), dtype=torch.uint8)
            distributed.broadcast(content, source)
        return content.numpy().tobytes()


ALONE = Ranks()


@contextmanager
def joined(device: torch.device) -> Iterator[Ranks]:
    """Joins the processes that `torchrun` started, for a block; alone where it started none.

    Where the caller has initialised torch's process group already, that one is used and left as it is;
    on CUDA it must have a backend for the CPU too (`cpu:gloo,cuda:nccl`).

    Args:
        device: where this process computes.

    Raises:
        OptionError: the environment names several processes, but not how to find them.
        TrainingError: they did not find each other.
    """
    if distributed.is_available() and distributed.is_initialized():
        yield Ranks(distributed.get_rank(), distributed.get_world_size())
        return
    if world_size() == 1:
        yield ALONE
        return
    missing = [name for name in _ENVIRONMENT if not os.environ.get(name)]
    if missing:
        raise OptionError(
            f"WORLD_SIZE is {os.environ['WORLD_SIZE']}, but {', '.join(missing)} is not set",
            hint="start several processes with torchrun, or unset WORLD_SIZE",
        )
    with _answered():
        store, rank, n = _met(tuple(os.environ[name] for name in _ENVIRONMENT))
        distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo",
            # A name of its own: what an earlier group of these processes left in the store is not its.
            store=PrefixStore(f"ascnet-{next(_groups)}", store),
            rank=rank,
            world_size=n,
            timeout=TIMEOUT,
        )
    try:
        yield Ranks(rank, n)
    finally:
        distributed.destroy_process_group()


@functools.cache
def _met(_environment: tuple[str, ...]) -> tuple[Store, int, int]:
    """The store in which processes find each other, the rank of this one, and how many there are.

    Kept for as long as the process lives. Without a launcher's store it is the first process that serves
    it: if that one closed it after a training, another that is already at the next would lose it.
    """
    store, rank, n = next(rendezvous("env://", timeout=TIMEOUT))
    return store, rank, n


def world_size() -> int:
    """How many processes the environment says there are; 1 where it says nothing.

    Raises:
        OptionError: WORLD_SIZE is no positive number.
    """
    return _number("WORLD_SIZE", 1, at_least=1)


def is_first() -> bool:
    """Whether the environment calls this process the first one, or the only one: the one to report."""
    return _number("RANK", 0) == 0


def own_device(device: torch.device) -> torch.device:
    """Where this process of several computes: each has the CUDA device of its own local rank.

    Raises:
        DeviceError: the machine has fewer devices than processes.
    """
    if world_size() == 1 or device.type != "cuda":
        return device
    index, n_devices = _number("LOCAL_RANK", 0), torch.cuda.device_count()
    if index >= n_devices:
        raise DeviceError(
            f"process {index} of this machine has no CUDA device of its own: there are {n_devices}",
            hint=f"start at most {n_devices} processes here: torchrun --nproc-per-node {n_devices}",
        )
    return torch.device("cuda", index)


def _number(name: str, default: int, *, at_least: int = 0) -> int:
    text = os.environ.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and int(text) >= at_least):
        raise OptionError(
            f"the environment's {name} must be a number from {at_least}, not {text!r}",
            hint="torchrun sets it; unset it for a training in one process",
        )
    return int(text)


@contextmanager
def _answered() -> Iterator[None]:
    """A wait for other processes; torch has no narrower error for one that is gone."""
    try:
        yield
    except RuntimeError as error:
        raise TrainingError(
            f"another process of this training ended, or did not answer: {str(error).splitlines()[0]}",
            hint="see what it said; then resume the run from its last checkpoint",
        ) from error


def _told(error: Exception) -> bytes:
    """An error as a message to other processes."""
    known = isinstance(error, AscnetError)
    message = str(error) if known else f"{type(error).__name__}: {error}"
    hint = error.hint if isinstance(error, AscnetError) else ""
    return json.dumps([type(error).__name__ if known else "TrainingError", message, hint]).encode()


def _error_of(report: bytes, rank: int) -> AscnetError:
    name, message, hint = json.loads(report)
    kind = getattr(errors, name) if name in errors.__all__ else TrainingError
    return kind(f"process {rank} stopped: {message}", hint=hint)
