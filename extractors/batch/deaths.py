"""What it means that a worker process has ended by itself, by the code that the system keeps of it."""

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
