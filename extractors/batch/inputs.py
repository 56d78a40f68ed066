"""Which videos a person means, and what outputs call them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from extractors.batch.jobs import Video
from extractors.errors import OptionError, VideoError
from extractors.video import VIDEO_ENDINGS, refuse_folder

STDIN = "-"
_HEAD = 4096  # bytes of a file that tell whether it is a list


@dataclass(frozen=True, slots=True)
class Inputs:
    """What was found.

    Attributes:
        videos: each once, in order.
        n_other: files in folders whose ending is not that of a video.
    """

    videos: tuple[Video, ...]
    n_other: int


def gather(paths: Sequence[str], listed: Iterable[str] = ()) -> Inputs:
    """The videos that a person means: files as they are, folders searched for videos.

    A file is called by its name, a file in a folder by its path below that folder. A path in a list is called
    as it is written there, if it is relative, so that a list mirrors a tree. The same file twice under one
    name is taken once. A file that is not there is kept: it fails on its own, not the others with it.

    Args:
        paths: files and folders, from the command line.
        listed: files and folders, from a list.

    Raises:
        VideoError: there is no video.
        OptionError: two files would have one name.
    """
    found: dict[str, Video] = {}
    n_other = 0
    for path, prefix in (*((path, "") for path in paths), *((path, _written(path)) for path in listed)):
        # Path.is_dir raises on a name that is too long
        if os.path.isdir(path):  # noqa: PTH112
            videos, n_more = _walk(path, prefix)
            n_other += n_more
        else:
            videos = [Video(prefix or Path(path).name, Path(path))]
        for video in videos:
            known = found.setdefault(video.name, video)
            if known is not video and os.path.realpath(known.path) != os.path.realpath(video.path):
                raise OptionError(
                    f"{known.path} and {video.path} would both be called {video.name!r}",
                    hint="give the folder that holds both, or a list of paths relative to it",
                )
    if not found:
        looked = f" (looked for {' '.join(sorted(VIDEO_ENDINGS))})" if paths or n_other else ""
        raise VideoError(
            f"no video was found{looked}", hint="name a file itself if its ending is another one"
        )
    return Inputs(tuple(found.values()), n_other)


def read_list(source: str) -> Iterator[str]:
    """The paths of a list: one a line, or with a zero byte after each, as `find -print0` writes them.

    A line that begins with `#` is a comment, unless there is a file or folder of that name: nothing that
    exists is passed over. Between zero bytes there are no comments.

    Args:
        source: a file, or `-` for standard input.

    Raises:
        OptionError: the file cannot be read.
    """
    try:
        data = sys.stdin.buffer.read() if source == STDIN else Path(source).read_bytes()
    except OSError as error:
        raise OptionError(
            f"the list {source} cannot be read: {error.strerror}", hint="check its path"
        ) from error
    separator = b"\0" if b"\0" in data else b"\n"
    for entry in data.split(separator):
        path = os.fsdecode(entry if separator == b"\0" else entry.rstrip(b"\r"))
        if path and not (separator == b"\n" and path.startswith("#") and not os.path.lexists(path)):
            yield path


def is_list(path: Path) -> bool:
    """Whether a file that was given as a video is text, and its first entry names what may be a video."""
    if not path.is_file():  # a pipe would keep us for ever
        return False
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD).replace(b"\0", b"\n")
        first = next(line for line in head.splitlines() if line and not line.startswith(b"#")).decode()
    except (OSError, ValueError, StopIteration):
        return False
    return first.isprintable() and (Path(first).suffix.lower() in VIDEO_ENDINGS or os.path.lexists(first))


def _written(path: str) -> str:
    """What a path in a list is called; one that is absolute has its name alone."""
    return Path(path).name if os.path.isabs(path) else os.path.normpath(path)  # noqa: PTH117


def _walk(folder: str, prefix: str) -> tuple[list[Video], int]:
    """Videos below a folder, sorted by name, and how many other files; links to folders are not followed."""
    videos: list[Video] = []
    n_other = 0
    top = Path(folder)
    for base, folders, files in os.walk(folder, onerror=refuse_folder):
        n_other += sum((Path(base) / name).is_symlink() for name in folders)
        for name in files:
            # macOS leaves a "._" companion, no video, beside every file that it copies elsewhere.
            if Path(name).suffix.lower() in VIDEO_ENDINGS and not name.startswith("._"):
                path = Path(base) / name
                below = path.relative_to(top).as_posix()
                videos.append(Video(below if prefix in ("", ".") else f"{prefix}/{below}", path))
            else:
                n_other += 1
    return sorted(videos, key=lambda video: video.name), n_other
