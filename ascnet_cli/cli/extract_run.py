"""A request of `ascnet extract` carried out: the plan, who does the work, and how it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ascnet_cli.cli.extract_request import Request
    from extractors.batch.engine import Engine, TimeLimit
    from extractors.batch.estimate import Estimate
    from extractors.batch.plan import Plan
    from extractors.batch.worker import Orders

_TOGETHER = 8  # short videos that a worker is given at a time


def make(request: Request, json_summary: bool) -> int:
    """Carry a request out; the exit code.

    Raises:
        OutputError: the folder cannot be written to.
        StorageError: there is not enough room.
        AscnetError: no video can be made.
    """
    from ascnet_cli.cli.extract_view import View, plan_line
    from ascnet_cli.cli.signals import stopping
    from ascnet_cli.cli.text import say
    from extractors.batch.claims import Claims
    from extractors.batch.failures import failed_before
    from extractors.batch.folder import prepare_folder
    from extractors.batch.plan import make_plan
    from extractors.batch.run import run_plan

    if _nothing_is_there(request):
        return _refused(request, json_summary)
    claims = Claims()
    prepare_folder(request.out, claims)
    with stopping("stopping: what is not finished will be made by the next run") as stop:
        plan = make_plan(
            request.items,
            request.wanted,
            failed=failed_before(request.out),
            progress=lambda _done: stop.raise_if_asked(),
        )
        say(plan_line(plan))
        video_s = _check_room(plan, request, duration_wanted=View.has_bars())
        _write_grid(request)
        view = View(len(plan.tasks), video_s, request.out, json_summary)
        engine = _engine(request, len(plan.to_do), say)
        try:
            with view:
                for outcome in run_plan(
                    plan,
                    engine,
                    request.out,
                    request.wanted,
                    claims=claims,
                    together=_TOGETHER,
                    watch=view.watch,
                    should_stop=stop.asked,
                ):
                    view.add(outcome)
        except BaseException:
            # A full disk, a second Ctrl-C: what is finished is not lost.
            view.close(stopped=True)
            raise
        view.close(stopped=stop.asked())
        stop.raise_if_asked()
    return view.exit_code()


def _nothing_is_there(request: Request) -> bool:
    """Whether no file is there of all that were named, and no folder of an earlier run: a typo, likely."""
    import os

    videos = [item.video.path for item in request.items]
    return bool(videos) and not any(map(os.path.lexists, videos)) and not os.path.lexists(request.out)


def _refused(request: Request, json_summary: bool) -> int:
    """Say of each video that it is not there, and leave no folder behind; the exit code."""
    from ascnet_cli.cli.extract_view import View
    from ascnet_cli.errors import VideoError
    from extractors.batch.run import Outcome
    from extractors.batch.worker import failure_of
    from extractors.video import check_file

    with View(len(request.items), None, request.out, json_summary) as view:
        for item in request.items:
            try:
                check_file(item.video.path)
            except VideoError as error:
                view.add(Outcome(item.video.name, "failed", failure=failure_of(error, "open")))
        view.close(stopped=False)
    return view.exit_code()


def _engine(request: Request, n_to_do: int, say: Callable[[str], None]) -> Engine:
    """Whoever does the work.

    Raises:
        OptionError: there is no such cluster.
    """
    from extractors.batch.engine import time_limit
    from extractors.batch.worker import Orders

    orders = Orders(request.wanted.dtype, request.wanted.strict)
    limit = time_limit(request.work.timeout_s, flow="flow" in request.source.recipe.streams)
    if request.work.engine == "ray" and n_to_do:
        return _ray_engine(request, orders, limit, say)
    from ascnet_cli.cli.text import counted
    from extractors.batch.local import LocalEngine
    from extractors.batch.machine import default_workers, threads_each

    # Threads by the machine, not by what is left to do: in dense context they decide the last bits.
    most = request.work.n_workers or default_workers(request.work.device)
    n_workers, n_threads = min(most, max(n_to_do, 1)), threads_each(most)
    if n_to_do:
        say(f"{counted(n_workers, 'worker')}, {counted(n_threads, 'thread')} each")
    return LocalEngine(request.source, orders, n_workers=n_workers, n_threads=n_threads, limit=limit)


def _ray_engine(request: Request, orders: Orders, limit: TimeLimit, say: Callable[[str], None]) -> Engine:
    """A Ray cluster.

    Raises:
        OptionError: Ray is not installed, no cluster answers, or no node is large enough.
    """
    from ascnet_cli.cli.text import counted
    from extractors.batch.ray_cluster import RayOptions
    from extractors.batch.ray_engine import RayEngine

    work = request.work
    options = RayOptions(work.address, work.n_cpus, work.n_gpus)
    made = RayEngine(request.source, orders, options=options, limit=limit)
    say(f"Ray: {counted(made.n_cpus, 'core')} and {counted(made.n_gpus, 'graphics card')} a task")
    return made


def cost_of(plan: Plan, request: Request) -> Estimate:
    """What is still to be made will take, by the videos' headers."""
    from extractors.batch.estimate import estimate

    videos = [task.item.video for task in plan.to_do]
    return estimate(videos, request.wanted.recipe, request.item_bytes)


def _check_room(plan: Plan, request: Request, *, duration_wanted: bool) -> float | None:
    """Hold that there is room for the features; seconds of video to be made, where they were looked at.

    Headers are read, in a process of their own, only where the videos' sizes do not tell enough.

    Raises:
        StorageError: there is not.
    """
    from extractors.batch.estimate import most_bytes
    from extractors.batch.folder import check_room, free_bytes

    videos = [task.item.video for task in plan.to_do]
    at_most = most_bytes(videos, request.wanted.recipe, request.item_bytes)
    if at_most <= free_bytes(request.out) and not duration_wanted:
        return None
    cost = cost_of(plan, request)
    check_room(request.out, cost.n_bytes)
    return cost.video_s


def _write_grid(request: Request) -> None:
    """Layouts of other code have no place for when a row is: `grid.json` says it to ours."""
    from ascnet_cli.datasets.features import write_grid

    if request.layout != "ascnet":
        write_grid(request.out, request.wanted.recipe.grid)
