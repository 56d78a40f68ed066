"""Trainings in several real processes on this machine, each with a folder of its own.

The processes are forked from a server that has loaded torch: neither from the test, whose backward passes
have started threads that do not survive a fork, nor anew, which would load torch for each of them.
"""

import dataclasses
import math
import multiprocessing
import os
import pickle
import signal
import socket

import torch

from ascnet_cli.errors import AscnetError, FeatureError
from tests.ascnet_cli.training_tools import toy_network, toy_schedule, toy_train, toy_videos

WAIT_S = 200  # on a busy machine; a deadlock ends here, and the exit code says so

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["ascnet_cli.training.loop", "torch._dynamo"])  # Adam loads the latter


def in_processes(n, task, folder, *arguments):
    """Calls `task(rank, folder_of_rank, *arguments)` in n processes; each one's exit code and answer."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    folders = [folder / f"rank{rank}" for rank in range(n)]
    processes = [
        _CONTEXT.Process(target=_in_process, args=(rank, n, port, task, own, arguments))
        for rank, own in enumerate(folders)
    ]
    for own, process in zip(folders, processes, strict=True):
        own.mkdir(parents=True, exist_ok=True)
        process.start()
    for process in processes:
        process.join(WAIT_S)
        if process.is_alive():
            process.kill()
            process.join()
    answers = [own / "answer" for own in folders]
    return [
        (process.exitcode, pickle.loads(answer.read_bytes()) if answer.exists() else None)  # noqa: S301
        for process, answer in zip(processes, answers, strict=True)
    ]


def _in_process(rank, n, port, task, folder, arguments):
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(n)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"}
    torch.set_num_threads(1)
    answer = task(rank, folder, *arguments)
    (folder / "answer").write_bytes(pickle.dumps(answer))


def trained(run, **settings):
    """A training: what it reported and came to, or its error."""
    seen, notes = [], []
    try:
        result = toy_train(run, progress=seen.append, notes=notes.append, **settings)
    except (AscnetError, ZeroDivisionError) as error:
        return {"error": f"{type(error).__name__}: {error}", "hint": getattr(error, "hint", "")}
    return {
        "losses": [dict(done.losses) for done in seen],
        "maps": [done.validation_map for done in seen if done.validation_map is not None],
        "result": (result.step, result.finished, result.best, result.checkpoint is not None),
        "notes": notes,
    }


def trained_each(rank, folder, cases):
    """Trainings one after the other in the same processes, by name."""
    return {name: trained(folder / name, **settings) for name, settings in cases.items()}


def gone_wrong(rank, folder):
    """Everything that may go wrong in process 1, one after the other; at last it is killed."""
    unreadable = FeatureError("video07: cannot be read", hint="extract it again")
    at_a_step = {"network": toy_network(subtract_mean=False)}  # the mean would be read before the first
    return {
        "error": trained(folder / "error", videos=_in_process_1(rank, _Unreadable, unreadable), **at_a_step),
        "bug": trained(
            folder / "bug", videos=_in_process_1(rank, _Unreadable, ZeroDivisionError("a bug")), **at_a_step
        ),
        "numbers": trained(folder / "numbers", videos=_in_process_1(rank, _not_finite), **at_a_step),
        "mean": trained(folder / "mean", videos=_in_process_1(rank, _not_finite)),
        "stop": trained(folder / "stop", should_stop=_at_call(6, lambda: rank == 1)),
        "batch": trained(folder / "batch", schedule=toy_schedule(batch_size=1)),
        "settings": trained(folder / "settings", schedule=toy_schedule(seed=rank)),
        "data": trained(folder / "data", videos=_in_process_1(rank, _a_little_else, later=False)),
        "unread": trained(
            folder / "unread", videos=_in_process_1(rank, _Unreadable, unreadable, later=False)
        ),
        "kill": trained(folder / "kill", should_stop=_at_call(6, lambda: rank == 1 and _kill())),
    }


def _at_call(number, do):
    calls = []

    def asked():
        calls.append(1)
        return len(calls) == number and do()

    return asked


def _kill():
    os.kill(os.getpid(), signal.SIGKILL)


class _Unreadable:
    """Rows that are described and cannot be read."""

    def __init__(self, values, error):
        self.values, self.error = values, error
        self.shape, self.dtype, self.ndim = values.shape, values.dtype, values.ndim

    def __len__(self):
        return len(self.values)

    def __getitem__(self, rows):
        raise self.error


def _a_little_else(values):
    return values + values.dtype.type(1e-3)


def _not_finite(values):
    return values * math.nan


def _in_process_1(rank, change, *arguments, later=True):
    videos = toy_videos()
    if rank != 1:
        return videos
    features = {name: change(values, *arguments) for name, values in videos.features.items()}
    changed = dataclasses.replace(videos, features=features)
    if later:  # they were whole when all processes compared what they have
        vars(changed)["features_sha256"] = videos.features_sha256
    return changed
