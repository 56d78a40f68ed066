"""What a person should know about what was asked for, where a run goes on all the same.

Each function gives lines of plain text, none where there is nothing to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ascnet_cli.targets import Plan

MOST_VIDEOS = 5  # that get a line each
_MOST_NAMES = 3


def lacking_truth(plan: Plan) -> tuple[str, ...]:
    """Videos that the file of the ground truth does not know, or not for sure."""
    path = plan.wanted.truth
    lacking = [name for name in plan.sources if name not in plan.truth]
    if path is None or not lacking:
        return ()
    known = truth_names(path)
    has = f"it has {_listed(known)}" if known else "it has no video"
    return _bounded([f"no truth for {name} in {path} ({has})" for name in lacking])


def truth_names(path: Path) -> tuple[str, ...]:
    """The videos that a file of ground truth names.

    Raises:
        PredictionsError: it cannot be read.
    """
    from ascnet_cli.datasets.activitynet_json import read_activitynet

    return tuple(video.video for video in read_activitynet(path).videos)


def _bounded(lines: Sequence[str]) -> tuple[str, ...]:
    """A few lines, and how many more there would be."""
    if len(lines) <= MOST_VIDEOS:
        return tuple(lines)
    return (*lines[:MOST_VIDEOS], f"the same for {len(lines) - MOST_VIDEOS} more")


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MOST_NAMES])
    return shown if len(names) <= _MOST_NAMES else f"{shown} and {len(names) - _MOST_NAMES} more"
