"""What is written below a folder stays in it, whatever links lie there."""

from __future__ import annotations

import os
from pathlib import Path

from ascnet_cli.errors import OutputError


def check_inside(folder: Path, path: Path) -> None:
    """Hold that a file that is to be written below a folder is not led out of it by a link.

    Raises:
        OutputError: it is; the message names the link.
    """
    root = os.path.realpath(folder)
    if _is_below(os.path.realpath(path), root):
        return
    on_way = [place for place in (path, *path.parents) if place != folder and folder in place.parents]
    link = next((place for place in reversed(on_way) if not _is_below(os.path.realpath(place), root)), path)
    raise OutputError(
        f"{link} is a link that leads out of {folder}, to {os.path.realpath(link)}",
        hint="remove the link, or name what it leads to as a target of its own",
    )


def _is_below(place: str, root: str) -> bool:
    return place == root or place.startswith(root.rstrip(os.sep) + os.sep)
