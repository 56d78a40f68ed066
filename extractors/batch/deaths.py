"""What it means that a worker process or a task of a cluster has ended before its work was done."""

from __future__ import annotations

import signal

from extractors.batch.jobs import Failure


def death(exit_code: int) -> tuple[Failure, bool]:
    """What the end of a worker process means, and whether memory was the reason."""
    if exit_code == -signal.SIGKILL:
        return (
            Failure(
                stage="worker",
                error_class="WorkerKilled",
                message="its worker was killed (signal 9), most likely for want of memory",
                hint="use fewer --workers, or a machine with more memory",
                exit_code=6,
            ),
            True,
        )
    if exit_code < 0:
        return (
            Failure(
                stage="worker",
                error_class="WorkerCrashed",
                message=f"decoder crashed (signal {-exit_code})",
                hint="remux or convert the file, or try another --decoder",
            ),
            False,
        )
    return (
        Failure(
            stage="worker",
            error_class="WorkerEnded",
            message=f"its worker ended (exit code {exit_code})",
            hint="run the same command again; if it happens again, report it as a bug",
        ),
        False,
    )


def death_at_start(exit_code: int) -> Failure:
    """What it means that a process ended before it was ready, twice."""
    if exit_code == -signal.SIGKILL:
        return Failure(
            stage="worker",
            error_class="WorkerKilled",
            message="a worker was killed (signal 9) while it loaded its networks, most likely for want of"
            " memory",
            hint="use fewer --workers, or a machine with more memory",
            exit_code=6,
        )
    how = f"signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"
    return Failure(
        stage="worker",
        error_class="WorkerEnded",
        message=f"a worker ended while it loaded its networks ({how})",
        hint="run the same command again; if it happens again, report it as a bug",
        exit_code=1,
    )


def task_failed(error: Exception) -> Failure:
    """What an error of a cluster's task means that is not of the machine but of the code there."""
    return Failure(
        stage="worker",
        error_class=type(error).__name__,
        message=f"its task failed: {str(error).strip().splitlines()[-1][:500]}",
        hint="install the same version of ascnet on every node",
        exit_code=1,
    )


def task_lost(error: Exception, times: int) -> Failure:
    """What it means that the worker of a cluster's task was lost so many times."""
    return Failure(
        stage="worker",
        error_class=type(error).__name__,
        message=f"its worker was lost {times} times, most likely since the decoder crashed or memory ran out",
        hint="remux or convert the file, try another --decoder, or give tasks more with --num-cpus",
    )


def task_lost_at_start(error: Exception) -> Failure:
    """What it means that workers are lost on a node before they are ready."""
    return Failure(
        stage="worker",
        error_class=type(error).__name__,
        message="workers are lost while they load their networks",
        hint="look at that node's memory and at Ray's logs there",
        exit_code=4,
    )
