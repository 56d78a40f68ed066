"""The repairs of the preset `fixed`, one at a time: the settings in which it differs from `paper`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ascnet_cli.training.settings import Settings


@dataclass(frozen=True, slots=True)
class Repair:
    """One repair.

    Attributes:
        name: as rows are called after it.
        title: what it does.
        settings: dotted names. The first is the repair; the others go with it.
    """

    name: str
    title: str
    settings: tuple[str, ...]


REPAIRS: tuple[Repair, ...] = (
    Repair("mean", "features less the mean of the training snippets", ("model.subtract_mean",)),
    Repair("selector", "snippets ranked by attention and probability (eq. 5)", ("model.selector",)),
    Repair("guide", "guide loss compares with softmax(v) (eq. 11)", ("model.guide",)),
    Repair(
        "query",
        "queries with a residual and unit length (eq. 9)",
        ("model.query_form", "model.query_dim"),
    ),
    Repair(
        "nce",
        "a temperature, and the video's own classes as targets (eq. 10)",
        ("loss.nce_temperature", "loss.nce_target"),
    ),
    Repair("whole", "inference on the whole video", ("model.inference_snippets",)),
    Repair(
        "updates",
        "trained for longer",
        ("training.updates", "training.epochs", "training.validate_every"),
    ),
    Repair("centre", "scores at the centres of windows", ("localization.centre",)),
    Repair("outer", "surroundings equal on both sides (eq. 13)", ("localization.outer_even",)),
    Repair("nms", "suppression by true overlaps", ("localization.nms_plus_one",)),
)


def values_of(settings: Settings) -> dict[str, Any]:
    """Every setting by its dotted name."""
    return {
        f"{table}.{name}": value
        for table, values in settings.tables().items()
        for name, value in values.items()
    }


def taken_from(repair: Repair, theirs: Settings, own: Settings) -> Mapping[str, str] | None:
    """What turns `own` into itself with this repair's settings as `theirs` has them.

    Returns:
        Texts by dotted name, as `settings.resolve` takes them; None where both have the repair alike.
    """
    there, here = values_of(theirs), values_of(own)
    if there[repair.settings[0]] == here[repair.settings[0]]:
        return None
    return {name: text_of(there[name]) for name in repair.settings if there[name] != here[name]}


def text_of(value: object) -> str:
    """A setting's value as it is typed on a command line."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(text_of(part) for part in value)
    return repr(value) if isinstance(value, float) else str(value)
