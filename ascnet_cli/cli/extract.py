"""`ascnet extract`: thousands of videos in, feature files out; run again, it does what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from extractors.batch.engine import Engine, TimeLimit
    from extractors.batch.estimate import Estimate
    from extractors.batch.inputs import Inputs
    from extractors.batch.jobs import Item
    from extractors.batch.plan import Plan
    from extractors.batch.source import ExtractorSource
    from extractors.batch.state import Wanted
    from extractors.batch.worker import Orders
    from extractors.layouts import Layout


_TOGETHER = 8  # short videos that a worker is given at a time


def extract(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE|FOLDER|-]...",
            help="Videos, folders of videos, or - for a list of paths on standard input.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where features go; made if need be.")
    ] = Path("features"),
    listed: Annotated[
        str | None,
        typer.Option(
            "--list", metavar="FILE", help="Paths of videos or folders, one a line; mirrored as written."
        ),
    ] = None,
    context: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="snippet (isolated 16 frames, the default) or dense (one pass, a row every 8 frames).",
        ),
    ] = None,
    streams: Annotated[
        str | None, typer.Option(metavar="NAMES", help="rgb (the default), rgb,flow or flow.")
    ] = None,
    flow: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Of the flow stream: tvl1 (the default), tvl1-opencv, dis or raft."
        ),
    ] = None,
    backbone: Annotated[
        str | None, typer.Option(metavar="NAME", help="i3d (the default) or i3d_r50 (RGB alone).")
    ] = None,
    weights_rgb: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", help="Weights of the RGB stream; default: i3d-rgb-kinetics400."),
    ] = None,
    weights_flow: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", help="Weights of the flow stream; none come with ascnet."),
    ] = None,
    decoder: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="pyav (the default) or decord (see the README)."),
    ] = None,
    engine_i3d: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What computes I3D: torch (the default), torch-bfloat16, torch-float16, openvino or"
            " openvino-int8.",
        ),
    ] = None,
    for_model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="Make features as this model wants them (kinetics400, mocap, a checkpoint), instead of all"
            " of the above.",
        ),
    ] = None,
    dtype: Annotated[
        str,
        typer.Option(metavar="NAME", help="float32, or float16 in half the place with three digits."),
    ] = "float32",
    layout: Annotated[
        str, typer.Option(metavar="NAME", help="ascnet, acm-net or cola: whose code will read the files.")
    ] = "ascnet",
    device: Annotated[str, typer.Option(metavar="NAME", help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    engine: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="local: worker processes on this machine; ray: a Ray cluster (an extra)."
        ),
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT", help="With ray: of a running cluster, or auto; default: one for this run."
        ),
    ] = None,
    num_cpus: Annotated[
        int | None,
        typer.Option(metavar="N", help="With ray: cores, and so threads, of a video's task; default: 4."),
    ] = None,
    num_gpus: Annotated[
        float | None,
        typer.Option(
            metavar="N", help="With ray: graphics cards of a video's task; default: 1 where there are any."
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Processes; default: one a graphics card, else one for four processor cores."
        ),
    ] = None,
    video_timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="A video that takes longer fails alone; 0: never. Default: 10 minutes and 60 s for a second"
            " of video (300 s with flow).",
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Only the I-th of N parts, from 1/N; in a SLURM job array this is set by itself.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Make all features again.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done and what it takes; write nothing.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Count a truncated video as failed.")] = False,
    json_summary: Annotated[
        bool, typer.Option("--json", help="Print one JSON summary on standard output.")
    ] = False,
) -> None:
    """Make features of videos: a .npy and a .json a video, below --out as the videos lie in their folders.

    Run it again after an interruption, with more videos, or in several terminals and on several machines at
    once: each video is done once, and what is there and right is left alone. Videos that fail are in
    failures.jsonl in the output folder.

    Exit codes: 0 all done; 2 usage; 3 some videos failed, the rest done; 4 none succeeded; 5 weights missing
    or damaged; 6 disk or memory; 130 Ctrl-C; 143 SIGTERM.
    """
    from ascnet_cli.extraction import Choices, extractor_spec

    work = _Work(engine, workers, video_timeout, address, num_cpus, num_gpus)
    work.check()
    found = _found(inputs or [], listed)
    choices = Choices(context, streams, flow, backbone, weights_rgb, weights_flow, decoder, engine_i3d)
    source = extractor_spec(choices, for_model=for_model, device=device)
    request = _request(found, source, out, layout, dtype, strict=strict, force=force, work=work)
    request = _narrowed(request, shard)
    code = _tell(request, device, json_summary) if dry_run else _make(request, device, json_summary)
    raise typer.Exit(code)


@dataclass(frozen=True, slots=True)
class _Work:
    """How the work is to be done.

    Attributes:
        engine: where.
        n_workers: processes; None: by the machine.
        timeout_s: for a video; None: by its duration.
        address: of a Ray cluster.
        n_cpus: of a Ray task.
        n_gpus: of a Ray task.
    """

    engine: str
    n_workers: int | None
    timeout_s: float | None
    address: str | None
    n_cpus: int | None
    n_gpus: float | None

    def check(self) -> None:
        """Hold that it can be done so.

        Raises:
            OptionError: an engine that is unknown, or a number out of its range.
        """
        import math

        from ascnet_cli.errors import OptionError

        if self.engine not in ("local", "ray"):
            raise OptionError(f"unknown engine {self.engine!r}", hint="choose local or ray")
        of_ray = {"--address": self.address, "--num-cpus": self.n_cpus, "--num-gpus": self.n_gpus}
        said = [name for name, value in of_ray.items() if value is not None]
        if self.engine == "local" and said:
            raise OptionError(f"{' and '.join(said)} without --engine ray", hint="add --engine ray")
        if self.engine == "ray":
            from extractors.batch.ray_cluster import RayOptions

            RayOptions(self.address, self.n_cpus, self.n_gpus)
        if self.engine == "ray" and self.n_workers is not None:
            raise OptionError("--workers with --engine ray", hint="say what a task gets with --num-cpus")
        if self.n_workers is not None and self.n_workers < 1:
            raise OptionError(f"--workers must be at least 1, not {self.n_workers}", hint="for example 4")
        if self.timeout_s is not None and not 0 <= self.timeout_s < math.inf:
            raise OptionError(
                f"--video-timeout must be seconds, not {self.timeout_s}", hint="for example 3600; 0: never"
            )


@dataclass(frozen=True, slots=True)
class _Request:
    """What a person asked for, settled: which videos, what of them, where to, how."""

    items: tuple[Item, ...]
    source: ExtractorSource
    wanted: Wanted
    out: Path
    layout: Layout
    work: _Work


def _found(inputs: Sequence[str], listed: str | None) -> Inputs:
    """The videos that were named.

    Raises:
        OptionError: nothing was named, or a list cannot be read.
        VideoError: there is no video.
    """
    from ascnet_cli.cli.text import counted, say
    from ascnet_cli.errors import OptionError, VideoError
    from extractors.batch.inputs import STDIN, gather, read_list

    if not inputs and listed is None:
        raise OptionError("no video was named", hint="give files, folders, --list FILE, or - for a list")
    if "" in inputs:
        raise OptionError("a file name is empty", hint="is a variable of your shell not set?")
    named = [] if listed is None else list(read_list(listed))
    if STDIN in inputs:
        named += read_list(STDIN)
    try:
        found = gather([name for name in inputs if name != STDIN], named)
    except VideoError as error:
        error.exit_code = 4  # nothing to do is nothing done
        raise
    if found.n_other:
        say(f"{counted(found.n_other, 'other file')} in the folders passed over (links to folders, too)")
    return found


def _request(
    found: Inputs,
    source: ExtractorSource,
    out: Path,
    layout: str,
    dtype: str,
    *,
    strict: bool,
    force: bool,
    work: _Work,
) -> _Request:
    from ascnet_cli.errors import OptionError
    from extractors.batch.plan import items_of
    from extractors.batch.state import Wanted
    from extractors.layouts import check_layout

    if dtype not in ("float32", "float16"):
        raise OptionError(f"unknown dtype {dtype!r}", hint="choose float32 or float16")
    kept = check_layout(layout, source.recipe.streams, [video.name for video in found.videos])
    wanted = Wanted(source.recipe, "float16" if dtype == "float16" else "float32", strict, force)
    return _Request(tuple(items_of(found.videos, out, kept)), source, wanted, out, kept, work)


def _narrowed(request: _Request, shard: str | None) -> _Request:
    """This process's part of the videos, where there are several: as asked for, or a job array's."""
    import dataclasses
    import os

    from ascnet_cli.cli.text import counted, say
    from extractors.batch.shards import parse_shard, shard_of_array

    part = parse_shard(shard) if shard is not None else shard_of_array(os.environ)
    if part is None:
        return request
    items = tuple(item for item in request.items if part.has(item.video.name))
    origin = "" if shard is not None else ", by SLURM_ARRAY_TASK_ID"
    say(f"shard {part}{origin}: {len(items)} of {counted(len(request.items), 'video')}")
    return dataclasses.replace(request, items=items)


def _make(request: _Request, device: str, json_summary: bool) -> int:
    """Carry a request out; the exit code.

    Raises:
        OutputError: the folder cannot be written to.
        StorageError: there is not enough room.
        AscnetError: no video can be made.
    """
    from ascnet_cli.cli.extract_view import View, plan_line
    from ascnet_cli.cli.signals import stopping
    from ascnet_cli.cli.text import say
    from extractors.batch.folder import prepare_folder
    from extractors.batch.plan import make_plan
    from extractors.batch.run import run_plan

    prepare_folder(request.out)
    with stopping("stopping: what is not finished will be made by the next run") as stop:
        plan = make_plan(request.items, request.wanted, progress=lambda _done: stop.raise_if_asked())
        say(plan_line(plan))
        video_s = _check_room(plan, request, duration_wanted=View.has_bars())
        _write_grid(request)
        view = View(len(plan.tasks), video_s, request.out, json_summary)
        engine = _engine(request, len(plan.to_do), device, say)
        try:
            with view:
                for outcome in run_plan(
                    plan,
                    engine,
                    request.out,
                    request.wanted,
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


def _engine(request: _Request, n_to_do: int, device: str, say: Callable[[str], None]) -> Engine:
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
    most = request.work.n_workers or default_workers(device)
    n_workers, n_threads = min(most, max(n_to_do, 1)), threads_each(most)
    if n_to_do:
        say(f"{counted(n_workers, 'worker')}, {counted(n_threads, 'thread')} each")
    return LocalEngine(request.source, orders, n_workers=n_workers, n_threads=n_threads, limit=limit)


def _ray_engine(request: _Request, orders: Orders, limit: TimeLimit, say: Callable[[str], None]) -> Engine:
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
    say(f"Ray: {counted(made.n_cpus, 'core')} and {made.n_gpus:g} graphics cards a task")
    return made


def _estimate(plan: Plan, request: _Request) -> Estimate:
    from extractors.batch.estimate import estimate

    videos = [task.item.video for task in plan.to_do]
    return estimate(videos, request.wanted.recipe, _item_bytes(request))


def _check_room(plan: Plan, request: _Request, *, duration_wanted: bool) -> float | None:
    """Hold that there is room for the features; seconds of video to be made, where they were looked at.

    Headers are read, in a process of their own, only where the videos' sizes do not tell enough.

    Raises:
        StorageError: there is not.
    """
    from extractors.batch.estimate import most_bytes
    from extractors.batch.folder import check_room, free_bytes

    videos = [task.item.video for task in plan.to_do]
    at_most = most_bytes(videos, request.wanted.recipe, _item_bytes(request))
    if at_most <= free_bytes(request.out) and not duration_wanted:
        return None
    cost = _estimate(plan, request)
    check_room(request.out, cost.n_bytes)
    return cost.video_s


def _item_bytes(request: _Request) -> int:
    return 2 if request.wanted.dtype == "float16" else 4


def _write_grid(request: _Request) -> None:
    """Layouts of other code have no place for when a row is: `grid.json` says it to ours."""
    from ascnet_cli.datasets.features import write_grid

    if request.layout != "ascnet":
        write_grid(request.out, request.wanted.recipe.grid)


def _tell(request: _Request, device: str, json_summary: bool) -> int:
    """Say what would be done and what it takes; nothing is written. The exit code."""
    from ascnet_cli.cli.extract_view import tell_plan
    from extractors.batch.estimate import measure_rate
    from extractors.batch.folder import free_bytes
    from extractors.batch.machine import default_workers, threads_each
    from extractors.batch.plan import make_plan
    from extractors.batch.source import Seat

    plan = make_plan(request.items, request.wanted)
    cost = _estimate(plan, request)
    n_workers = min(request.work.n_workers or default_workers(device), max(cost.n_videos, 1))
    rate = None
    if plan.to_do:
        videos = [task.item.video for task in plan.to_do]
        rate = measure_rate(request.source, videos, Seat(0, threads_each(n_workers)))
    tell_plan(plan, cost, rate, n_workers, request.out, free_bytes(request.out), json_summary)
    return 0
