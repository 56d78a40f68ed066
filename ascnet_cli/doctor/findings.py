"""What a look at one thing came to, and what all of them say together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

State = Literal["ok", "warning", "problem"]

# Of several problems, the one that would end `ascnet detect` first: the place for its results and the device
# are looked at before weights are read, and all of that before anything is computed.
_FIRST_TO_LAST = (2, 5, 6, 1)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a look at one thing came to.

    Attributes:
        check: what was looked at, in a word or two.
        state: "problem" where `ascnet detect` will not work, "warning" where something less will not.
        text: what was found, in one line.
        hint: what to do about it; empty where nothing is to be done.
        exit_code: what `ascnet detect` would end with; 0 unless it is a problem.
        facts: the same for programs: values that JSON knows.

    Raises:
        ValueError: a problem or a warning without a hint, or an exit code that does not fit the state.
    """

    check: str
    state: State
    text: str
    hint: str = ""
    exit_code: int = 0
    facts: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.state == "ok") == bool(self.hint):
            raise ValueError(f"{self.check}: what is not ok needs a hint, and what is ok none: {self.hint!r}")
        wanted = _FIRST_TO_LAST if self.state == "problem" else (0,)
        if self.exit_code not in wanted:
            raise ValueError(f"{self.check}: a {self.state} has no exit code {self.exit_code}")

    def as_dict(self) -> dict[str, object]:
        """The object that `--json` prints of it."""
        return {
            "check": self.check,
            "state": self.state,
            "text": self.text,
            "hint": self.hint or None,
            "facts": dict(self.facts),
        }


def exit_code_of(findings: Iterable[Finding]) -> int:
    """0 where `ascnet detect` will work; else the exit code of the problem that it would meet first."""
    codes = {finding.exit_code for finding in findings if finding.state == "problem"}
    return next((code for code in _FIRST_TO_LAST if code in codes), 0)
