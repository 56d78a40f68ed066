"""Which files a person means, and what outputs call them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ascnet_cli.errors import (
    OptionError,
    VideoError,
)
from extractors.video import VIDEO_ENDINGS, find_videos

FEATURE_ENDING = ".npy"


@dataclass(frozen=True, slots=True)
class VideoInput:
    """One file to look at.

    Attributes:
        name: what outputs call it: the video's name, also where its kept features are given.
        path: where it is.
    """

    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class Found:
    """What there is to look at.

    Attributes:
        videos: each once, in order.
        n_other: files in folders that were passed over, links to folders among them.
    """

    videos: tuple[VideoInput, ...]
    n_other: int


def collect(paths: Sequence[Path]) -> list[VideoInput]:
    """The files that a person means, see `find`."""
    return list(find(paths).videos)


def find(paths: Sequence[Path], own: Sequence[Path] = ()) -> Found:
    """The files that a person means: files as they are, folders searched for videos.

    A file is called by its name, a file in a folder by its path below that folder; kept features by the
    name of their video. A folder without videos is searched for kept features. The same file twice is taken
    once. A file that is not there is kept: it fails on its own, not the others with it.

    Args:
        paths: files and folders.
        own: folders that this run writes videos to. What ascnet wrote there in a run before is no input of
            the same command when it is run again.

    Raises:
        VideoError: nothing was given, or folders without a video.
        OptionError: two files would have one name in the outputs, or a folder cannot be read.
    """
    found: dict[str, VideoInput] = {}
    empty: list[Path] = []
    n_other = 0
    for path in paths:
        if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises on a name that is too long
            files = [file for file in find_videos(path) if not _is_own(file, own)]
            n_used = len(files)
            if not files:
                files = _find_features(path)
                n_used = 2 * len(files)  # each with its sidecar
            n_other += max(_n_files(path) - n_used, 0)
            inside = [_input(file, below=path) for file in files]
            if not inside:
                empty.append(path)
        else:
            inside = [_input(path)]
        for video in inside:
            known = found.setdefault(video.name, video)
            if known is not video and os.path.realpath(known.path) != os.path.realpath(video.path):
                raise OptionError(
                    f"{known.path} and {video.path} would both be called {video.name!r} in the outputs",
                    hint="give the folder that holds both, or run them one after the other",
                )
    if empty and not found:
        raise VideoError(
            f"no video in {', '.join(map(str, empty))} (looked for {' '.join(sorted(VIDEO_ENDINGS))})",
            hint="name a file itself if its ending is another one",
        )
    if not found:
        raise VideoError("no video was given", hint="give files or folders")
    return Found(tuple(found.values()), n_other)


def _input(path: Path, *, below: Path | None = None) -> VideoInput:
    name = path.name if below is None else path.relative_to(below).as_posix()
    return VideoInput(name.removesuffix(FEATURE_ENDING) or name, path)


def _is_own(file: Path, folders: Sequence[Path]) -> bool:
    """Whether a file lies below one of these folders and is a video that ascnet wrote."""
    where = os.path.realpath(file)
    if not any(os.path.realpath(folder) in (where, *map(str, Path(where).parents)) for folder in folders):
        return False
    from ascnet_cli.outputs.video.file import is_ours

    return is_ours(file)


def _find_features(folder: Path) -> list[Path]:
    """Feature files below a folder; without a sidecar an array is something else."""
    return sorted(file for file in folder.rglob(f"*{FEATURE_ENDING}") if file.with_suffix(".json").is_file())


def _n_files(folder: Path) -> int:
    """Files below a folder, and links to folders, which are not followed."""
    return sum(
        len(files) + sum((Path(base) / name).is_symlink() for name in folders)
        for base, folders, files in os.walk(folder)
    )
