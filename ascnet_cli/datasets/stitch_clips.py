"""Trimmed clips by class, as people publish them, and which of them come from one source.

Clips that were cut out of one recording look alike; they must not be on both sides of a split. Which
recording a clip was cut out of is in its name, if anywhere: a regular expression finds it there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ascnet_cli.errors import OptionError, VideoError
from extractors.video import find_videos

# The source of a clip in the names of, one after the other:
# UCF101 (v_YoYo_g05_c02), https://www.crcv.ucf.edu/data/UCF101.php
# HMDB51 (April_09_brush_hair_u_nm_np1_ba_goo_0), https://serre.lab.brown.edu/hmdb51.html
# Kinetics (eleven characters of a YouTube video, then the seconds it was cut at: 0kOsnBqHx6E_000010_000020)
DEFAULT_GROUP_PATTERN = (
    r"^v_(.+_g\d+)_c\d+$"
    r"|^(.+)_[fhlu]_[cn]m_np\d+_(?:ba|fr|le|ri)_(?:bad|med|goo)_\d+$"
    r"|^(.{11})_\d{6}_\d{6}$"
)
_PATTERN_HINT = r"put the part of a name that says its source in parentheses, e.g. '_(g\d+)_'"


@dataclass(frozen=True, slots=True)
class Clip:
    """One trimmed clip.

    Attributes:
        name: CLASS/FILE, with slashes; no two clips share it.
        path: the file.
        label: the class: the name of its folder.
        group: the recording it was cut out of; clips of different classes may share it.
    """

    name: str
    path: Path
    label: str
    group: str


def find_clips(folders: Sequence[Path], group_pattern: str = DEFAULT_GROUP_PATTERN) -> tuple[Clip, ...]:
    """The videos in folders of folders, one a class, sorted by name.

    Args:
        folders: each with a folder a class; a class may be in several of them.
        group_pattern: a regular expression, searched for in a file's name without its ending. The text of
            its first group that matched is the clip's source; without a match a clip is its own.

    Raises:
        OptionError: the expression is none or has no group, or two clips share their name.
        VideoError: there is no such folder, or no video below any.
    """
    pattern = _compiled(group_pattern)
    clips: dict[str, Clip] = {}
    for folder in folders:
        for label, path, name in _videos_by_class(folder):
            clip = Clip(name=name, path=path, label=label, group=_group(path.stem, name, label, pattern))
            if name in clips:
                raise OptionError(
                    f"{clips[name].path} and {path} are both called {name!r}", hint="rename one of the two"
                )
            clips[name] = clip
    if not clips:
        raise VideoError(
            f"no video in {', '.join(map(str, folders))}",
            hint="there must be a folder a class: CLIPS/CLASS/*.mp4",
        )
    return tuple(clips[name] for name in sorted(clips))


def _videos_by_class(folder: Path) -> list[tuple[str, Path, str]]:
    """Class, file and name of each video below a folder."""
    try:
        classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError as error:
        raise VideoError(f"{folder}: cannot be read: {error.strerror}", hint="check the path") from error
    return [
        (inside.name, path, f"{inside.name}/{path.relative_to(inside).as_posix()}")
        for inside in classes
        for path in find_videos(inside)
    ]


def _compiled(text: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise OptionError(f"{text!r} is no regular expression: {error}", hint=_PATTERN_HINT) from error
    if not pattern.groups:
        raise OptionError(
            f"the expression {text!r} has no group",
            hint=_PATTERN_HINT,
        )
    return pattern


def _group(stem: str, name: str, label: str, pattern: re.Pattern[str]) -> str:
    """The source of a clip; HMDB51 puts the class behind it, which is not part of it."""
    found = pattern.search(stem)
    texts = [text for text in found.groups() if text] if found else []
    return texts[0].removesuffix(f"_{label}") if texts else name
