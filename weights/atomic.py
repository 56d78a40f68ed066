"""A file at its final path is complete: written beside it, flushed, renamed.

Everything that any package writes goes through `replacing`.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from weights.errors import AscnetError, OutputError, StorageError

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file in the folder of `path`; it takes the name of `path` when all went well.

    An exception inside the block, a kill or a full disk leaves `path` as it was. A link is followed.

    Raises:
        OutputError: the folder is missing or cannot be written to, or the path is a folder.
        StorageError: the disk is full or broken.
    """
    if path.is_dir():
        raise OutputError(f"{path} is a folder", hint="give the name of a file in it")
    final = path.resolve()
    temporary = _temporary(final)
    try:
        try:
            with temporary.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(final)
        finally:
            temporary.unlink(missing_ok=True)
    except BrokenPipeError:  # what was written about, not the disk
        raise
    except OSError as error:
        raise write_error(error, path) from error


def check_writable(path: Path) -> None:
    """Hold, before any work is done, that `replacing` will find its place.

    Raises:
        OutputError: the folder is missing or cannot be written to, or the path is a folder.
        StorageError: the disk is full.
    """
    if path.is_dir():
        raise OutputError(f"{path} is a folder", hint="give the name of a file in it")
    try:
        temporary = _temporary(path.resolve())
        temporary.touch(exist_ok=False)
        temporary.unlink()
    except OSError as error:
        raise write_error(error, path) from error


def write_error(error: OSError, path: Path) -> AscnetError:
    """The error of the tree that says what an operating system's refusal to write means."""
    if error.errno in _NO_ROOM:
        return StorageError(
            f"{path}: the disk could not take it: {error.strerror}",
            hint="free some space or choose another disk, then run the same command again",
        )
    if not path.parent.exists():
        return OutputError(f"{path}: the folder {path.parent} does not exist", hint="make it first")
    return OutputError(
        f"{path}: cannot be written: {error.strerror or error}",
        hint="choose another place or check its permissions",
    )


def _temporary(final: Path) -> Path:
    """A name beside the final file, so that renaming stays on one disk; short, whatever the name is."""
    return final.parent / f".ascnet-{os.getpid()}-{secrets.token_hex(4)}.tmp"
