"""Folders of tiny trimmed clips, and plans of clips that no file stands for."""

from __future__ import annotations

from pathlib import Path

from ascnet_cli.datasets.stitch_clips import Clip
from ascnet_cli.datasets.stitch_options import StitchOptions
from tests.synthetic import SIZE, make_video

# Frames at 25 a second of each class's clips; every clip says which of its frames it shows.
LENGTHS = {"jump": 30, "wave": 45, "idle": 60}


def options(**changes) -> StitchOptions:
    """Two tiny training videos and two for tests, in the size of `tests.synthetic`."""
    values = {
        "background": ("idle",),
        "n_train": 2,
        "n_test": 2,
        "min_s": 4.0,
        "max_s": 6.0,
        "max_clip_s": 2.0,
        "width": SIZE[0],
        "height": SIZE[1],
        **changes,
    }
    return StitchOptions(**values)


def clip_folder(folder: Path) -> Path:
    """Three classes of three groups of one clip, named as in UCF101."""
    for label, n_frames in LENGTHS.items():
        (folder / label).mkdir(parents=True)
        for group in (1, 2, 3):
            make_video(folder / label / f"v_{label}_g0{group}_c01.mp4", n_frames=n_frames)
    return folder


def clips_of(groups: dict[str, list[str]], *, n_each: int = 2) -> tuple[Clip, ...]:
    """Clips without files: so many of each of the groups of each class."""
    return tuple(
        Clip(f"{label}/{group}_{index}.mp4", Path("nowhere"), label, group)
        for label in sorted(groups)
        for group in groups[label]
        for index in range(n_each)
    )
