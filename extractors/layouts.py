"""Whose files features become, and where each video's lie.

| layout | files of the video `train/a.mp4` | sidecar |
|---|---|---|
| `ascnet` | `train/a.mp4.npy` | `train/a.mp4.json` |
| `acm-net` | `train/a.npy`, RGB then flow | `train/a.json` |
| `cola` | `train/rgb/a.npy` and `train/flow/a.npy` | `train/a.json` |

The last two are what the published code of ACM-Net and CoLA reads: a folder a subset, and names without the
video's ending. The sidecar stays beside them, since a video without one is not done.
"""

from __future__ import annotations

import typing
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from extractors.errors import OptionError

Layout = Literal["ascnet", "acm-net", "cola"]
LAYOUTS: tuple[Layout, ...] = typing.get_args(Layout)
_SUBSETS = ("train", "test")  # the only folders that either code looks into
_BOTH = ("rgb", "flow")


@dataclass(frozen=True, slots=True)
class Place:
    """The files of one video's features.

    Attributes:
        sidecar: what says that they are complete; written last.
        data: one file with all streams side by side, or one a stream.
    """

    sidecar: Path
    data: tuple[Path, ...]

    @property
    def claim(self) -> Path:
        """The file that a process holds while it works on this video."""
        return self.sidecar.with_name(f"{self.sidecar.name.removesuffix('.json')}.claim")


def place_of(folder: Path, video: str, layout: Layout = "ascnet") -> Place:
    """Where a video's files go.

    Args:
        folder: of the features.
        video: its name, `/` for sub-folders; with its ending.
        layout: whose files.
    """
    if layout == "ascnet":
        return Place(folder / f"{video}.json", (folder / f"{video}.npy",))
    stem = _without_ending(video)
    sidecar = folder / f"{stem}.json"
    if layout == "acm-net":
        return Place(sidecar, (folder / f"{stem}.npy",))
    subset, _, rest = stem.partition("/")
    return Place(sidecar, tuple(folder / subset / stream / f"{rest}.npy" for stream in _BOTH))


def check_layout(layout: str, streams: Sequence[str], videos: Sequence[str]) -> Layout:
    """Hold that a layout can take these videos, before any work is done; the layout.

    Raises:
        OptionError: it is unknown, wants another set of streams, or other names of videos.
    """
    if layout not in LAYOUTS:
        raise OptionError(f"unknown layout {layout!r}", hint=f"choose {', '.join(LAYOUTS)}")
    if layout == "ascnet":
        return "ascnet"
    if tuple(streams) != _BOTH:
        raise OptionError(
            f"the layout {layout} has both streams, RGB and flow, not {' and '.join(streams)}",
            hint="extract with --streams rgb,flow, or in the layout ascnet",
        )
    for video in videos:
        subset, _, rest = video.partition("/")
        if subset not in _SUBSETS or not rest:
            raise OptionError(
                f"the layout {layout} has the folders {' and '.join(_SUBSETS)}, and {video} is in neither",
                hint="put the videos into folders of these names and give the folder that holds both",
            )
    return "acm-net" if layout == "acm-net" else "cola"


def _without_ending(video: str) -> str:
    path = PurePosixPath(video)
    return path.with_suffix("").as_posix() if path.suffix else video
