"""`ascnet extract --dry-run`: what a run would do and what it would take; nothing is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from ascnet_cli.cli.text import counted, one_line, say, write_stdout

if TYPE_CHECKING:
    from ascnet_cli.cli.extract_request import Request
    from extractors.batch.estimate import Estimate
    from extractors.batch.plan import Plan
    from extractors.batch.rate import Rate, Unmeasured

_SHOWN_TASKS = 20  # videos of a plan that are named


def tell(request: Request, json_summary: bool) -> int:
    """Say what would be done and what it takes; the exit code.

    What is being looked at is said on standard error as it goes, since it takes a while.

    Raises:
        OutputError: the folder could not be written to.
        StorageError: there would not be room, said once all else is told.
        AscnetError: the extractor cannot be made here.
    """
    from ascnet_cli.cli.extract_run import cost_of
    from extractors.batch.failures import failed_before
    from extractors.batch.folder import check_folder, check_room, free_bytes
    from extractors.batch.machine import default_workers, threads_each
    from extractors.batch.plan import make_plan
    from extractors.batch.rate import measure_rate
    from extractors.batch.source import Seat

    check_folder(request.out)
    say(f"looking at {counted(len(request.items), 'video')} ...")
    plan = make_plan(request.items, request.wanted, failed=failed_before(request.out))
    if plan.to_do:
        say("reading how long they are ...")
    cost = cost_of(plan, request)
    n_workers = min(request.work.n_workers or default_workers(request.work.device), max(cost.n_videos, 1))
    rate = None
    if plan.to_do:
        videos = [task.item.video for task in plan.to_do]
        rate = measure_rate(request.source, videos, Seat(0, threads_each(n_workers)), say=say)
    free = free_bytes(request.out)
    if json_summary:
        _print_json(plan, cost, rate, n_workers, request.out, free)
    else:
        _print_lines(plan, cost, rate, n_workers, request.out, free)
    if plan.to_do:
        check_room(request.out, cost.n_bytes)
    return 0


def _needed_s(cost: Estimate, rate: Rate | Unmeasured | None, n_workers: int) -> float | None:
    """How long a run would take, where a rate is known."""
    from extractors.batch.rate import Rate

    return cost.video_s / (rate.factor * n_workers) if isinstance(rate, Rate) else None


def _print_json(
    plan: Plan, cost: Estimate, rate: Rate | Unmeasured | None, n_workers: int, out: Path, free: int
) -> None:
    from extractors.batch.rate import Rate

    needed_s = _needed_s(cost, rate, n_workers)
    told = {
        "dry_run": True,
        "to_do": len(plan.to_do),
        "up_to_date": len(plan.tasks) - len(plan.to_do),
        "video_s": round(cost.video_s, 3),
        "rows": cost.n_rows,
        "bytes": cost.n_bytes,
        "free_bytes": free,
        "rate": round(rate.factor, 3) if isinstance(rate, Rate) else None,
        "seconds": round(needed_s, 1) if needed_s is not None else None,
        "videos": [
            {
                "video": task.item.video.name,
                "state": "to_do" if task.reason else "up_to_date",
                "reason": task.reason or None,
            }
            for task in plan.tasks
        ],
        "out": str(out),
    }
    write_stdout(json.dumps(told) + "\n")


def _print_lines(
    plan: Plan, cost: Estimate, rate: Rate | Unmeasured | None, n_workers: int, out: Path, free: int
) -> None:
    from ascnet_cli.cli.extract_view import plan_line
    from extractors.batch.rate import Rate

    for task in plan.to_do[:_SHOWN_TASKS]:
        write_stdout(f"{one_line(task.item.video.name)}: {one_line(task.reason)}\n")
    if len(plan.to_do) > _SHOWN_TASKS:
        write_stdout(f"... and {len(plan.to_do) - _SHOWN_TASKS} more\n")
    write_stdout(plan_line(plan) + "\n")
    if rate is None:
        return
    source = "" if cost.n_read == cost.n_videos else f" (by {cost.n_read} of {cost.n_videos} headers)"
    write_stdout(
        f"{_hours(cost.video_s)} of video{source}, {counted(cost.n_rows, 'row')} of features,"
        f" {_size(cost.n_bytes)} needed in {one_line(str(out))}, {_size(free)} free\n"
    )
    needed_s = _needed_s(cost, rate, n_workers)
    if needed_s is None or not isinstance(rate, Rate):
        write_stdout(f"no time estimate: {rate.reason if not isinstance(rate, Rate) else ''}\n")
        return
    write_stdout(
        f"about {_hours(needed_s)} with {counted(n_workers, 'worker')} on {rate.device}: an estimate from"
        f" {rate.video_s:.1f} s of your videos, which took one worker {rate.seconds:.1f} s just now\n"
    )


def _hours(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.1f} MB"
