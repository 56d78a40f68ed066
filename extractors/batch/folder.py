"""The output folder before a run: that it can be written to, and what killed runs left in it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from extractors.batch.claims import Claims
from weights.atomic import sweep, temporary_name, write_error
from weights.errors import OutputError, StorageError


def check_folder(folder: Path) -> None:
    """Hold that a run could write to a folder, or make it; nothing stays of the trial.

    Raises:
        OutputError: something else stands there, or nothing may be written.
        StorageError: the disk is full.
    """
    _refuse_file(folder)
    near = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    mark = temporary_name(near)
    try:
        mark.touch(exist_ok=False)
        mark.unlink()
    except OSError as error:
        raise write_error(error, folder) from error


def _refuse_file(folder: Path) -> None:
    try:
        is_folder = stat.S_ISDIR(folder.stat().st_mode)
    except FileNotFoundError:
        return
    except OSError as error:  # a name that is too long, something below a file
        raise write_error(error, folder) from error
    if not is_folder:
        raise OutputError(f"{folder} is a file, not a folder", hint="give the name of a folder")


def prepare_folder(folder: Path, claims: Claims) -> None:
    """Make a folder, hold that files can be written there, and sweep up what killed processes left.

    Args:
        folder: the output folder.
        claims: of this process; it watches those of others from now on.

    Raises:
        OutputError: something else stands there, or nothing may be written.
        StorageError: the disk is full.
    """
    _refuse_file(folder)
    mark = temporary_name(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        mark.touch(exist_ok=False)
        mark.unlink()
    except OSError as error:
        raise write_error(error, folder if not folder.is_dir() else mark) from error
    for base, _, files in os.walk(folder):
        sweep(Path(base))
        for name in files:
            if name.endswith(".claim"):
                claims.clear(Path(base) / name)


def free_bytes(folder: Path) -> int:
    """Room on the disk where a folder is, or would be."""
    for near in (folder, *folder.absolute().parents):
        try:
            status = os.statvfs(near)
        except OSError:
            continue
        return status.f_bavail * status.f_frsize
    return 0


def check_room(folder: Path, needed_bytes: int) -> None:
    """Hold, before any work is done, that features will have room.

    Raises:
        StorageError: with what is needed and what there is.
    """
    free = free_bytes(folder)
    if needed_bytes > free:
        raise StorageError(
            f"{folder}: about {needed_bytes / 1e6:.1f} MB are needed and {free / 1e6:.1f} MB are free",
            hint="choose another disk with --out, or halve it with --dtype float16",
        )
