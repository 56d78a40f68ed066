"""What a person asked of `ascnet extract`, settled: which videos, what of them, where to, how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from extractors.batch.inputs import Inputs
    from extractors.batch.jobs import Item
    from extractors.batch.source import ExtractorSource
    from extractors.batch.state import Wanted
    from extractors.layouts import Layout


@dataclass(frozen=True, slots=True)
class Work:
    """How the work is to be done.

    Attributes:
        engine: where.
        device: where networks run.
        n_workers: processes; None: by the machine.
        timeout_s: for a video; None: by its duration.
        address: of a Ray cluster.
        n_cpus: of a Ray task.
        n_gpus: of a Ray task.
    """

    engine: str
    device: str
    n_workers: int | None
    timeout_s: float | None
    address: str | None
    n_cpus: int | None
    n_gpus: float | None

    def check(self) -> None:
        """Hold that it can be done so.

        Raises:
            OptionError: an engine that is unknown, or a number out of its range.
            DeviceError: the device is not there.
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
        if self.engine == "local":  # a cluster's nodes have devices of their own
            from extractors.batch.machine import check_device

            check_device(self.device)


@dataclass(frozen=True, slots=True)
class Request:
    """What a person asked for, settled: which videos, what of them, where to, how."""

    items: tuple[Item, ...]
    source: ExtractorSource
    wanted: Wanted
    out: Path
    layout: Layout
    work: Work

    @property
    def item_bytes(self) -> int:
        """Of a number in the files."""
        return 2 if self.wanted.dtype == "float16" else 4


def found_videos(inputs: Sequence[str], listed: str | None) -> Inputs:
    """The videos that were named.

    Raises:
        OptionError: nothing was named, or a list cannot be read.
        VideoError: there is no video.
    """
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
        return gather([name for name in inputs if name != STDIN], named)
    except VideoError as error:
        error.exit_code = 4  # nothing to do is nothing done
        raise


def settled(
    found: Inputs,
    source: ExtractorSource,
    out: Path,
    layout: str,
    dtype: str,
    *,
    strict: bool,
    force: bool,
    work: Work,
) -> Request:
    """All of what was asked for, checked.

    Raises:
        OptionError: something unknown, or two videos would have one place.
    """
    from ascnet_cli.errors import OptionError
    from extractors.batch.plan import items_of
    from extractors.batch.state import Wanted
    from extractors.layouts import check_layout

    if dtype not in ("float32", "float16"):
        raise OptionError(f"unknown dtype {dtype!r}", hint="choose float32 or float16")
    kept = check_layout(layout, source.recipe.streams, [video.name for video in found.videos])
    wanted = Wanted(source.recipe, "float16" if dtype == "float16" else "float32", strict, force)
    return Request(tuple(items_of(found.videos, out, kept)), source, wanted, out, kept, work)


def narrowed(request: Request, shard: str | None) -> Request:
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
