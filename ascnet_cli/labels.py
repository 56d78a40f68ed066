"""Which classes a person means."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Sequence

from ascnet_cli.errors import OptionError

LONGEST_LABEL = 1000  # characters
_MOST_LISTED = 20  # classes, in one line of an error
_SHOWN = 40  # characters of a label that is too long


def find_labels(wanted: Sequence[str], known: Sequence[str], where: str = "the model") -> tuple[str, ...]:
    """The own spelling of labels; capitals and underscores make no difference.

    Args:
        wanted: as a person wrote them.
        known: all there are.
        where: what has them, for the error.

    Raises:
        OptionError: a label that is not there, with those that it may mean.
    """
    by_folded = {_folded(label): label for label in known}
    for label in wanted:
        if label not in known and _folded(label) not in by_folded:
            near = [name for name in by_folded if _folded(label) in name][:5]
            near = near or difflib.get_close_matches(_folded(label), by_folded, n=3, cutoff=0.5)
            names = " or ".join(repr(by_folded[name]) for name in near)
            raise OptionError(
                f"{where} has no class {label!r}",
                hint=f"did you mean {names}?" if names else f"it has {_listed(known)}",
            )
    return tuple(label if label in known else by_folded[_folded(label)] for label in wanted)


def label_fault(label: str) -> str:
    """Why a text cannot be the name of a class that a model is trained for, in words; empty: it can.

    Such a name goes into tables, subtitles and pages, and onto terminals.
    """
    if not label.strip():
        return f"the label {label!r} is blank" if len(label) <= _SHOWN else "a label is blank"
    if len(label) > LONGEST_LABEL:
        return f"the label {label[:_SHOWN]!r}... has {len(label)} characters, more than {LONGEST_LABEL}"
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in label):
        return f"the label {label[:_SHOWN]!r} has control characters"
    return ""


def _listed(known: Sequence[str]) -> str:
    """All classes, or how many and the first where all would fill a screen."""
    if len(known) <= _MOST_LISTED:
        return ", ".join(map(repr, known))
    return f"{len(known)} classes, such as {', '.join(map(repr, known[:3]))}"


def _folded(label: str) -> str:
    return label.casefold().replace("_", " ")
