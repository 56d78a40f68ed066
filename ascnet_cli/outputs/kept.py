"""What is kept of a file that is replaced: the one that was there, beside it as `NAME~`, one step back.

A label that a person corrected leaves a file that looks as ascnet writes it. So no look at a file can tell
whether a second run may replace it, and nothing that was there is lost instead.
"""

from __future__ import annotations

import filecmp
import os
import shutil
from pathlib import Path

from ascnet_cli.errors import OutputError
from weights import atomic

MARK = "~"  # after the name, as editors do; no ending of anything that ascnet reads


def kept_name(path: Path) -> Path:
    """Where the file is kept that stood at `path` before; beside what a link leads to."""
    final = path.resolve()
    return final.with_name(final.name + MARK)


def keeps(path: Path) -> bool:
    """Whether there is anything to keep: a regular file that is not empty."""
    return path.is_file() and path.stat().st_size > 0


def check_keepable(path: Path) -> None:
    """Hold, before any work is done, that what is there can be kept.

    Raises:
        OutputError: a folder is in the way, or the name is too long with its mark.
    """
    try:
        if not keeps(path):
            return
        place = kept_name(path)
        place.lstat()  # a name that is too long says so here
    except FileNotFoundError:
        return
    except OSError as error:
        raise atomic.write_error(error, path) from error
    if place.is_dir() and not place.is_symlink():
        raise OutputError(
            f"{place} is in the way: {path} would be kept there", hint="give another place, or move it"
        )


def keep(new: Path, old: Path) -> Path | None:
    """Give what stands at `old` its second name, unless `new` has the same content.

    `old` is there all the time: a hard link to it, or a copy where the disk has none, takes the name.

    Args:
        new: the whole file that is about to take the place of `old`.
        old: no link.

    Returns:
        Where it is kept; None where there is nothing to keep.

    Raises:
        OSError: the disk did not take it; `old` and what was kept before are as they were.
    """
    if not keeps(old) or filecmp.cmp(new, old, shallow=False):
        return None
    place, second = kept_name(old), atomic.temporary_name(old.parent)
    try:
        try:
            os.link(old, second)
        except OSError:
            _copy(old, second)
        second.replace(place)
    finally:
        second.unlink(missing_ok=True)  # still there where both names were one file already
    return place


def _copy(old: Path, copy: Path) -> None:
    with old.open("rb") as source, copy.open("xb") as target:
        shutil.copyfileobj(source, target)
        target.flush()
        os.fsync(target.fileno())
    shutil.copystat(old, copy)
