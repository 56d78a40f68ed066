"""What there is to do: each video with the reason why its features are to be made, or none."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from extractors.batch.jobs import Item, Video
from extractors.batch.state import NEW, Stamp, Wanted, stamp, why_make
from extractors.errors import OptionError
from extractors.layouts import Layout, Place, place_of

_AT_ONCE = 8  # files read at the same time: hashing releases the interpreter, and disks like company


@dataclass(frozen=True, slots=True)
class Task:
    """One video of a plan.

    Attributes:
        item: the video and the place of its features.
        reason: why they are to be made; empty where they are up to date.
        seen: the sidecar when this was found out.
    """

    item: Item
    reason: str
    seen: Stamp


@dataclass(frozen=True, slots=True)
class Plan:
    """All videos of a run, in order."""

    tasks: tuple[Task, ...]

    @property
    def to_do(self) -> tuple[Task, ...]:
        """Those to be made."""
        return tuple(task for task in self.tasks if task.reason)

    def reasons(self) -> dict[str, int]:
        """How many videos are to be made for each reason, most first; recipes count as one reason."""
        counts = Counter(task.reason.partition(":")[0] for task in self.to_do)
        return dict(counts.most_common())


def items_of(videos: Sequence[Video], folder: Path, layout: Layout) -> list[Item]:
    """Each video with the place of its features.

    Raises:
        OptionError: two videos would have one place, or one outside of the folder, or where a video lies;
            both are named.
    """
    items = [Item(video, place_of(folder, video.name, layout)) for video in videos]
    taken: dict[str, Item] = {}
    inputs = {os.path.realpath(video.path): video for video in videos}
    folds = _ignores_case(folder)
    for item in items:
        _check_inside(item.video)
        for file in (*item.place.data, item.place.sidecar):
            key = os.path.normpath(file)
            known = taken.setdefault(key.casefold() if folds else key, item)
            if known is not item:
                raise OptionError(
                    f"{known.video.path} and {item.video.path} would both have their features in {file}",
                    hint="give one of them another name, or extract them into two folders",
                )
            met = inputs.get(os.path.realpath(file))
            if met is not None:
                raise OptionError(
                    f"the features of {item.video.path} would replace {met.path}, which is an input",
                    hint="choose another folder with --out",
                )
    _check_folders(items, taken, folder, folds=folds)
    return items


def make_plan(
    items: Sequence[Item],
    wanted: Wanted,
    *,
    failed: Mapping[str, str] | None = None,
    progress: Callable[[int], None] = lambda _done: None,
) -> Plan:
    """Look at what is there; nothing is written.

    Args:
        items: from `items_of`.
        wanted: what features are to be.
        failed: why videos failed in an earlier run, by their names; they are tried again.
        progress: called with the number of videos that were looked at.
    """
    tasks: list[Task] = []
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        try:
            for task in threads.map(lambda item: look(item, wanted, failed or {}), items):
                tasks.append(task)
                progress(len(tasks))
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise
    return Plan(tuple(tasks))


def look(item: Item, wanted: Wanted, failed: Mapping[str, str]) -> Task:
    """What is to be done with one video, as things are now."""
    seen = stamp(item.place.sidecar)
    reason = why_make(item.place, item.video.path, wanted)
    if reason == NEW and item.video.name in failed:
        reason = f"failed before: {failed[item.video.name]}"
    return Task(item, reason, seen)


def has_changed(task: Task) -> bool:
    """Whether somebody has written this video's features since the plan."""
    return stamp(task.item.place.sidecar) != task.seen


def _check_inside(video: Video) -> None:
    parts = video.name.split("/")
    if video.name.startswith("/") or any(part in ("", ".", "..") for part in parts):
        raise OptionError(
            f"the features of {video.path} would lie outside of the output folder, as {video.name!r}",
            hint="give paths below the current folder, without `..`",
        )


def _check_folders(items: Sequence[Item], taken: dict[str, Item], root: Path, *, folds: bool) -> None:
    """Hold that no video's features stand where another's need a folder (`a` and `a.npy/b`)."""
    looked_at: set[str] = set()
    inside = os.path.realpath(root)
    for item in items:
        for folder in _folders_of(item.place, looked_at):
            real = os.path.realpath(folder)
            if os.path.commonpath((inside, real)) not in (inside, real):
                raise OptionError(
                    f"the features of {item.video.path} would lie in {real}, outside of {root}, by a link",
                    hint="remove the link, or give that folder with --out",
                )
            key = folder.casefold() if folds else folder
            if key in taken:
                raise OptionError(
                    f"the features of {taken[key].video.path} would stand where those of"
                    f" {item.video.path} need the folder {folder}",
                    hint="give one of them another name",
                )


def _folders_of(place: Place, looked_at: set[str]) -> Iterator[str]:
    """The folders above a video's features that were not looked at yet."""
    for file in (*place.data, place.sidecar):
        for parent in file.parents:
            folder = os.path.normpath(parent)
            if folder in looked_at:
                break
            looked_at.add(folder)
            yield folder


def _ignores_case(folder: Path) -> bool:
    """Whether a disk takes `A` and `a` for one name, told by the nearest folder that exists."""
    for near in (folder, *folder.absolute().parents):
        other = near.with_name(near.name.swapcase()) if near.name else near
        # Path.exists raises on a name that is too long
        if os.path.exists(near) and other.name != near.name:  # noqa: PTH110
            return other.exists() and other.samefile(near)
    return False
