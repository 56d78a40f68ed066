"""The current folder, its disk, the memory, and the data sets that are there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from ascnet_cli.doctor.findings import Finding
from ascnet_cli.errors import AscnetError, OutputError
from weights.atomic import check_writable

LEAST_DISK_BYTES = 10_000_000  # a table of segments, and the features of some minutes
# The default model's features of a day of video: 1024 numbers of 4 bytes every 0.32 s.
LITTLE_DISK_BYTES = 1_000_000_000
LITTLE_MEMORY_BYTES = 1_500_000_000  # `python -m tests.bench.memory` printed a peak of 994 MB

_MEMINFO = Path("/proc/meminfo")
# What a container may use at most, and what it uses: cgroups of version 2, then 1.
_CGROUPS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (
        Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ),
)


class NoFolderError(OutputError):
    """The current folder is not there: not even libraries can be loaded."""


def look_at_folder() -> Finding:
    """Whether results can be written into the current folder, and how much room its disk has.

    `ascnet detect` shows segments and writes nothing unless it is asked to, so that a folder that takes no
    files only warns.

    Raises:
        NoFolderError: the folder has been removed, or closed to whoever asks.
    """
    try:
        folder = Path.cwd()
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise NoFolderError(
            f"the current folder cannot be looked at: {error.strerror or error}", hint="go to another folder"
        ) from error
    facts: dict[str, object] = {"folder": str(folder), "free_bytes": free, "writable": False}
    text = f"{folder}: {_size(free)} free"
    try:
        check_writable(folder / "segments.csv")
    except AscnetError as error:
        hint = (
            f"`ascnet detect` shows segments here; to keep them, give --out a path elsewhere ({error.hint})"
        )
        return Finding("folder", "warning", f"{text}; nothing can be written: {error}", hint, 0, facts)
    facts["writable"] = True
    if free < LEAST_DISK_BYTES:
        hint = "`ascnet detect` shows segments; to keep them, free some space or give --out another disk"
        return Finding("folder", "warning", f"{text}, which is too little for files", hint, 0, facts)
    if free < LITTLE_DISK_BYTES:
        hint = "features of an hour of video take 46 MB: keep them elsewhere with --features-out or --out"
        return Finding("folder", "warning", f"{text}, writable", hint, 0, facts)
    return Finding("folder", "ok", f"{text}, writable", facts=facts)


def look_at_memory() -> Finding:
    """How much memory a new process may take."""
    available = available_memory_bytes()
    facts: dict[str, object] = {"available_bytes": available}
    if available is None:
        return Finding("memory", "ok", "this system does not say how much is free", facts=facts)
    text = f"{_size(available)} available"
    if available < LITTLE_MEMORY_BYTES:
        hint = "`ascnet detect` takes about 1 GB: close other programs, or give the container more"
        return Finding("memory", "warning", text, hint, 0, facts)
    return Finding("memory", "ok", text, facts=facts)


def available_memory_bytes() -> int | None:
    """What the machine and, where there is one, the container still have; None where nobody says."""
    found = []
    for line in _read(_MEMINFO).splitlines():
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            found.append(int(rest.split()[0]) * 1024)
    for most, used in _CGROUPS:
        limit, taken = _read(most).strip(), _read(used).strip()
        if limit.isdecimal() and taken.isdecimal():  # "max" is no limit
            found.append(max(int(limit) - int(taken), 0))
    return min(found, default=None)


def look_at_datasets() -> Finding:
    """Which known data sets are here; none is needed for `ascnet detect`."""
    from ascnet_cli.datasets.catalog import DATA_VARIABLE, KNOWN, data_folder, load_annotations

    counts: dict[str, int | None] = {}
    problems: dict[str, str] = {}
    for name in KNOWN:
        counts[name] = None
        try:
            if not data_folder(name).exists():
                continue
            counts[name] = len(load_annotations(name).of(None))
        except AscnetError as error:
            problems[name] = f"{error} ({error.hint})" if error.hint else str(error)
        except OSError as error:  # a name too long, a folder that is closed: never asked for by detect
            problems[name] = f"{error.filename or name}: {error.strerror or error}"
    said = os.environ.get(DATA_VARIABLE, "")
    facts: dict[str, object] = {"variable": said or None, "videos": counts, "problems": problems}
    text = _names(counts)
    if problems:
        hint = "; ".join(f"{name}: {problem}" for name, problem in problems.items())
        return Finding("data sets", "warning", text, hint, 0, facts)
    if said and not os.path.isdir(said):  # noqa: PTH112 - a name that is too long is no folder either
        hint = f"{DATA_VARIABLE} is {said!r}, which is no folder: set it to the folder of data sets"
        return Finding("data sets", "warning", text, hint, 0, facts)
    return Finding("data sets", "ok", text, facts=facts)


def _names(counts: Mapping[str, int | None]) -> str:
    here = [f"{name} ({n} videos)" for name, n in counts.items() if n is not None]
    absent = [name for name, n in counts.items() if n is None]
    parts = [", ".join(here)] if here else []
    return "; ".join([*parts, f"not here: {', '.join(absent)}"] if absent else parts)


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.0f} MB"


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError:
        return ""
