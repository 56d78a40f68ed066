"""A file at its final path is complete: written beside it, flushed, renamed.

Everything that any package writes goes through `replacing`.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from weights.errors import AscnetError, OutputError, StorageError
from weights.processes import Owner, has_ended, machine_tag

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
_TEMPORARY = re.compile(r"\.ascnet-(?P<machine>[0-9a-f]{8})-(?P<pid>\d{1,9})-[0-9a-f]{8}\.tmp")
_RENAME_WAITS_S = (0.02, 0.05, 0.1, 0.2)
FORGOTTEN_S = 24 * 3600.0  # a file that another machine has not written to for so long is nobody's


@contextmanager
def replacing(path: Path, before: Callable[[Path, Path], None] | None = None) -> Iterator[BinaryIO]:
    """Open a temporary file in the folder of `path`; it takes the name of `path` when all went well.

    An exception inside the block, a kill or a full disk leaves `path` as it was. A link is followed.

    Args:
        path: the file.
        before: called with the whole temporary file and the final place just before the one takes the name of
            the other; what it raises leaves `path` as it was, too.

    Raises:
        OutputError: the folder is missing or cannot be written to, or the path is a folder.
        StorageError: the disk is full or broken.
    """
    if path.is_dir():
        raise OutputError(f"{path} is a folder", hint="give the name of a file in it")
    final = path.resolve()
    temporary = temporary_name(final.parent)
    try:
        try:
            with temporary.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if before is not None:
                before(temporary, final)
            _rename(temporary, final)
        finally:
            temporary.unlink(missing_ok=True)
    except BrokenPipeError:  # what was written about, not the disk
        raise
    except OSError as error:
        raise write_error(error, path) from error


def check_writable(path: Path) -> None:
    """Hold, before any work is done, that `replacing` will find its place.

    What a killed process left half written in that folder is removed: see `sweep`.

    Raises:
        OutputError: the folder is missing or cannot be written to, or the path is a folder.
        StorageError: the disk is full.
    """
    if path.is_dir():
        raise OutputError(f"{path} is a folder", hint="give the name of a file in it")
    try:
        temporary = temporary_name(path.resolve().parent)
        temporary.touch(exist_ok=False)
        temporary.unlink()
    except OSError as error:
        raise write_error(error, path) from error
    sweep(temporary.parent)


def _rename(temporary: Path, final: Path) -> None:
    """Give a whole file its name; where another program has the old one open (Windows), wait a little."""
    for wait_s in _RENAME_WAITS_S:
        try:
            temporary.replace(final)
        except PermissionError:
            time.sleep(wait_s)
        else:
            return
    temporary.replace(final)


def write_error(error: OSError, path: Path) -> AscnetError:
    """The error of the tree that says what an operating system's refusal to write means."""
    if error.errno in _NO_ROOM:
        return StorageError(
            f"{path}: the disk could not take it: {error.strerror}",
            hint="free some space or choose another disk, then run the same command again",
        )
    if error.errno == errno.ENAMETOOLONG:
        return OutputError(
            f"{path.name[:60]}...: the name is too long for this disk, with what is added to it",
            hint="rename the file to under 230 bytes",
        )
    # Where permissions forbid the look, "does not exist" would be a guess, and the look itself would fail.
    if error.errno == errno.ENOENT and not path.parent.exists():
        return OutputError(f"{path}: the folder {path.parent} does not exist", hint="make it first")
    return OutputError(
        f"{path}: cannot be written: {error.strerror or error}",
        hint="choose another place or check its permissions",
    )


def temporary_name(folder: Path) -> Path:
    """A name for a file on its way, which says whose it is; short, whatever the final name will be."""
    return folder / f".ascnet-{machine_tag()}-{os.getpid()}-{secrets.token_hex(4)}.tmp"


def sweep(folder: Path, over: Collection[Owner] = ()) -> int:
    """Remove the temporary files in one folder that nobody will finish; how many there were.

    These are files of a process of this machine that is over, and files of another machine that have not
    been written to for a day by the clock of the disk. What cannot be removed stays.

    Args:
        folder: where.
        over: processes of other machines that are known to have ended, or to be of no use any more.
    """
    n_removed = 0
    with suppress(OSError):
        for file in folder.iterdir():
            owner = _TEMPORARY.fullmatch(file.name)
            if owner is None:
                continue
            process = owner["machine"], int(owner["pid"])
            if owner["machine"] == machine_tag():
                left = has_ended(process[1])
            else:
                left = process in over or age_s(file) > FORGOTTEN_S
            if left:
                with suppress(OSError):
                    file.unlink()
                    n_removed += 1
    return n_removed


def age_s(file: Path) -> float:
    """Seconds since a file was written to; 0 where that is not known.

    Both times are stamps that the disk's own machine gives: of the file, and of one that is made for this.
    """
    mark = temporary_name(file.parent)
    try:
        mark.touch(exist_ok=False)
        try:
            return mark.stat().st_mtime - file.stat().st_mtime
        finally:
            mark.unlink()
    except OSError:
        return 0.0
