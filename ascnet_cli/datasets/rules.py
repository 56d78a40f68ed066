"""What can be wrong with annotations, what is done about each, and the report that counts it.

Nothing is repaired in silence. Each rule has a name and a policy:

- `error`: the file is refused, with the first place where it happens;
- `drop`: the instance or video is left out, and counted;
- `keep`: it stays as it is, and is counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Literal, get_args

from ascnet_cli.errors import OptionError, PredictionsError

Policy = Literal["error", "drop", "keep"]

_EXAMPLES = 3  # places that a report names for each rule

# What a rule found, as a sentence about a number of places; and the policies that make sense for it.
RULES: Mapping[str, tuple[str, tuple[Policy, ...]]] = MappingProxyType(
    {
        "missing_subset": ("videos that no subset is said for", ("error", "drop", "keep")),
        "empty_segment": ("instances that end before or when they start", ("error", "drop")),
        "negative_start": ("instances that start before the video", ("error", "drop")),
        "wrong_duration": (
            "durations that are not frames / frame rate, taken instead",
            ("error", "drop", "keep"),
        ),
        "beyond_duration": ("instances that end after the video", ("error", "drop", "keep")),
        "unknown_class": ("labels that are no class of the data set", ("error", "drop")),
        "duplicate": ("instances that are there twice", ("error", "drop", "keep")),
        "double_label": ("instances that another class has with the same times", ("error", "keep")),
        "text_number": ("numbers written as text", ("error", "keep")),
        "empty_video": ("videos without any label", ("error", "drop", "keep")),
        "class_without_training": ("classes without a training video", ("error", "keep")),
        "known_bad": ("videos known to be annotated wrongly", ("error", "drop", "keep")),
        "unknown_video": ("videos of a list that are not annotated", ("error", "drop")),
    }
)


@dataclass(frozen=True, slots=True)
class Policies:
    """A policy for each rule of `RULES`; the defaults suit a file of one's own.

    An instance beyond the video's end is kept, since the duration is what circulating files get wrong
    (16 of THUMOS14's 412 in one of them), never the annotation.

    Raises:
        OptionError: a policy that its rule does not have.
    """

    missing_subset: Policy = "keep"
    empty_segment: Policy = "error"
    negative_start: Policy = "error"
    wrong_duration: Policy = "drop"
    beyond_duration: Policy = "keep"
    unknown_class: Policy = "error"
    duplicate: Policy = "drop"
    double_label: Policy = "keep"
    text_number: Policy = "keep"
    empty_video: Policy = "keep"
    class_without_training: Policy = "keep"
    known_bad: Policy = "drop"
    unknown_video: Policy = "error"

    def __post_init__(self) -> None:
        for rule in fields(self):
            chosen, (says, allowed) = getattr(self, rule.name), RULES[rule.name]
            if chosen not in allowed:
                raise OptionError(
                    f"the rule {rule.name} ({says}) has no policy {chosen!r}",
                    hint=f"choose one of {', '.join(allowed)}",
                )

    def of(self, rule: str) -> Policy:
        """The policy of a rule by its name."""
        chosen: Policy = getattr(self, rule)
        return chosen


@dataclass(frozen=True, slots=True)
class Finding:
    """How often a rule applied.

    Attributes:
        rule: its name in `RULES`.
        policy: what was done.
        count: at how many places; at least 1.
        places: the first few of them.
    """

    rule: str
    policy: Policy
    count: int
    places: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.rule not in RULES or self.policy not in get_args(Policy) or self.count < 1:
            raise ValueError(f"no such finding: {self.rule!r}, {self.policy!r}, {self.count}")

    def line(self) -> str:
        """The finding as a line of the report."""
        done = {"drop": "left out", "keep": "kept", "error": "refused"}[self.policy]
        more = ", ..." if self.count > len(self.places) else ""
        return f"{self.rule}: {self.count} {RULES[self.rule][0]}, {done} ({', '.join(self.places)}{more})"


@dataclass(slots=True)
class Findings:
    """Gathers what rules find while annotations are read.

    Attributes:
        policies: what to do about each.
        source: the file or folder that is read, for messages.
    """

    policies: Policies
    source: str
    _places: dict[str, list[str]] = field(default_factory=dict)

    def found(self, rule: str, place: str) -> bool:
        """Note that a rule applies.

        Args:
            rule: its name in `RULES`.
            place: where, as a person would look for it.

        Returns:
            Whether what is there stays.

        Raises:
            PredictionsError: the rule's policy is `error`.
        """
        if self.policies.of(rule) == "error":
            raise PredictionsError(
                f"{self.source}: {RULES[rule][0]}: {place}",
                hint=f"correct the annotations (the rule is called {rule})",
            )
        self._places.setdefault(rule, []).append(place)
        return self.policies.of(rule) == "keep"

    def all(self) -> tuple[Finding, ...]:
        """What was found so far, in the order of `RULES`."""
        return tuple(
            Finding(rule, self.policies.of(rule), len(places), tuple(places[:_EXAMPLES]))
            for rule in RULES
            if (places := self._places.get(rule))
        )
