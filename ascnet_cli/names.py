"""Which of several videos a name means, with or without its ending: files of results differ in that."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath

from extractors.video import VIDEO_ENDINGS


class NameIndex:
    """Names of videos, to be found by what others call them.

    A name means the video that is called the same; else the one that is, but for a video's ending on one of
    the two; else the one whose last part is the same; else the one whose last part is, but for an ending.

    Args:
        known: names, with "/" between folders.
    """

    def __init__(self, known: Iterable[str]) -> None:
        self._levels: tuple[dict[str, list[str]], ...] = tuple(defaultdict(list) for _ in range(4))
        for name in dict.fromkeys(known):
            for level, key in zip(self._levels, _keys(name), strict=True):
                level[key].append(name)

    def find(self, name: str) -> tuple[str, ...]:
        """Those that a name may mean: none, the one, or several that it does not tell apart."""
        for level, key in zip(self._levels, _keys(name), strict=True):
            found = level.get(key, [])
            # Two different endings are two different videos.
            fitting = tuple(one for one in found if len({_ending(one), _ending(name)} - {""}) < 2)
            if fitting:
                return fitting
        return ()

    def near(self, name: str) -> tuple[str, ...]:
        """Up to three that are called alike, for a hint."""
        _, _, _, last = _keys(name)
        close = difflib.get_close_matches(last, self._levels[3], n=3, cutoff=0.6)
        return tuple(one for key in close for one in self._levels[3][key])[:3]


def _keys(name: str) -> tuple[str, str, str, str]:
    last = PurePosixPath(name).name or name
    return name, name.removesuffix(_ending(name)), last, last.removesuffix(_ending(last))


def _ending(name: str) -> str:
    ending = PurePosixPath(name).suffix
    return ending if ending.lower() in VIDEO_ENDINGS else ""
