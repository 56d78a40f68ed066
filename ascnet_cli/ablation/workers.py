"""Runs one after the other here, or several at once in processes of their own.

A run that fails is a reason, and the others go on; so is a process that dies.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from ascnet_cli.ablation.measure import complete
from ascnet_cli.ablation.plan import Run
from ascnet_cli.errors import AscnetError, OutputError, StorageError
from ascnet_cli.training.data import TrainingData, load_data
from ascnet_cli.training.loop import Progress

_ASK_EVERY_S = 0.5  # whether to stop
_TELL_EVERY_STEPS = 10


@dataclass(frozen=True, slots=True)
class RunState:
    """How one run is going.

    Attributes:
        run: which.
        step: updates done.
        n_steps: in all; 0 before the first.
        ended: whether it is over.
        reason: why it failed; empty where it did not.
    """

    run: Run
    step: int = 0
    n_steps: int = 0
    ended: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a process finds the data again: as `load_data` takes it.

    Attributes:
        dataset: a name, a folder or a file.
        data: where a known one lies.
        features: the folder of features.
    """

    dataset: str
    data: Path | None = None
    features: Path | None = None


def run_here(
    runs: Sequence[Run],
    data: TrainingData,
    out: Path,
    *,
    device: str,
    report: Callable[[RunState], None],
    should_stop: Callable[[], bool],
) -> None:
    """Complete runs in this process, one after the other.

    Args:
        runs: which.
        data: to learn from.
        out: the ablation's folder.
        device: where to.
        report: called with each run's state.
        should_stop: asked after each step.

    Raises:
        OutputError: the folder cannot be written to.
        StorageError: the disk is full.
    """
    for run in runs:
        if should_stop():
            return
        report(RunState(run))

        def step(progress: Progress, run: Run = run) -> None:
            report(RunState(run, progress.step, progress.n_steps))

        try:
            if not complete(run, data, out, device=device, progress=step, should_stop=should_stop):
                return
        except (OutputError, StorageError):
            raise  # the next one would meet the same
        except AscnetError as error:
            report(RunState(run, ended=True, reason=_said(error)))
        else:
            report(RunState(run, ended=True))


def run_at_once(
    runs: Sequence[Run],
    source: Source,
    out: Path,
    *,
    jobs: int,
    device: str,
    report: Callable[[RunState], None],
    should_stop: Callable[[], bool],
) -> None:
    """Complete runs, `jobs` at a time, each in a process of its own.

    Asked to stop, it ends the processes; each run is taken up again from its last checkpoint.

    Args:
        runs: which.
        source: of the data.
        out: the ablation's folder.
        jobs: processes at a time; they share the processor's cores.
        device: where to.
        report: called with each run's state.
        should_stop: asked twice a second.
    """
    waiting = list(runs)
    active: dict[Connection, tuple[Run, BaseProcess]] = {}
    try:
        while (waiting or active) and not should_stop():
            while waiting and len(active) < jobs:
                run = waiting.pop(0)
                report(RunState(run))
                active.update([_start(run, source, out, device, max(1, (os.cpu_count() or 1) // jobs))])
            for ready in wait(list(active), timeout=_ASK_EVERY_S):
                if not isinstance(ready, Connection):
                    continue
                run, process = active[ready]
                message = _received(ready, process)
                report(RunState(run, *message))
                if message[2]:
                    process.join()
                    ready.close()
                    del active[ready]
    finally:
        for connection, (_, process) in active.items():
            process.terminate()
            process.join()
            connection.close()


_Message = tuple[int, int, bool, str]  # the fields of a report after its run


def _start(
    run: Run, source: Source, out: Path, device: str, n_threads: int
) -> tuple[Connection, tuple[Run, BaseProcess]]:
    # Spawned, since a fork of a process that has used CUDA or threads cannot use them.
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(
        target=_work, args=(sender, run, source, out, device, n_threads), daemon=True, name=run.title
    )
    process.start()
    sender.close()  # the other side's alone, so that its end is seen here
    return receiver, (run, process)


def _received(connection: Connection, process: BaseProcess) -> _Message:
    try:
        message: _Message = connection.recv()
    except EOFError:
        process.join()
        code = process.exitcode or 0
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return 0, 0, True, f"its process ended: {how}"
    return message


def _work(connection: Connection, run: Run, source: Source, out: Path, device: str, n_threads: int) -> None:
    """All that a process does."""
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the first one decides
    torch.set_num_threads(n_threads)

    def step(progress: Progress) -> None:
        if progress.step % _TELL_EVERY_STEPS == 0 or progress.step == progress.n_steps:
            connection.send((progress.step, progress.n_steps, False, ""))

    try:
        complete(
            run,
            load_data(source.dataset, source.data, source.features),
            out,
            device=device,
            progress=step,
        )
        last = ""
    except AscnetError as error:
        last = _said(error)
    with suppress(BrokenPipeError):
        connection.send((0, 0, True, last))


def _said(error: AscnetError) -> str:
    return f"{error} ({error.hint})" if error.hint else str(error)
