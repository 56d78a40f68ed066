"""Which clips are for training videos and which for test videos: whole groups of one source."""

from __future__ import annotations

import random
from collections.abc import Sequence

from ascnet_cli.datasets.stitch_clips import Clip
from ascnet_cli.errors import OptionError


def split_clips(
    clips: Sequence[Clip], test_share: float, seed: int
) -> tuple[tuple[Clip, ...], tuple[Clip, ...]]:
    """Divide clips so that no group is on both sides, and every class is on each.

    Classes with few groups choose first. A group that several classes share is decided once, for all of them.

    Args:
        clips: of all classes.
        test_share: of each class's groups, how many are for tests: the nearest number, at least one and
            never all of them.
        seed: of the draw.

    Returns:
        The clips for training and those for tests, each in the order of `clips`.

    Raises:
        OptionError: a class has one group alone, or groups shared with others leave one side without it.
    """
    draw = random.Random(f"{seed} split")  # noqa: S311 - not for secrets
    groups = _groups_by_class(clips)
    train: set[str] = set()
    test: set[str] = set()
    for label in sorted(groups, key=lambda label: (len(groups[label]), label)):
        wanted = min(max(round(test_share * len(groups[label])), 1), len(groups[label]) - 1)
        open_ = [group for group in groups[label] if group not in train | test]
        draw.shuffle(open_)
        n_more = max(wanted - len(test.intersection(groups[label])), 0)
        test.update(open_[:n_more])
        train.update(open_[n_more:])
        if not (train.intersection(groups[label]) and test.intersection(groups[label])):
            raise OptionError(
                f"all groups of the class {label!r} would be on one side, since other classes share them",
                hint="choose another --seed, or another --group-pattern",
            )
    return (
        tuple(clip for clip in clips if clip.group in train),
        tuple(clip for clip in clips if clip.group in test),
    )


def _groups_by_class(clips: Sequence[Clip]) -> dict[str, list[str]]:
    """The groups of each class, sorted; every class with at least two."""
    groups: dict[str, set[str]] = {}
    for clip in clips:
        groups.setdefault(clip.label, set()).add(clip.group)
    for label, found in groups.items():
        if len(found) < 2:
            raise OptionError(
                f"all clips of the class {label!r} are of one group ({min(found)}):"
                " they cannot be split into training and test",
                hint="add clips of another source, or say how names tell sources apart with --group-pattern",
            )
    return {label: sorted(found) for label, found in groups.items()}
