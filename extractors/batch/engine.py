"""Where jobs are done: the few questions that a run asks of whoever schedules them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from extractors.batch.jobs import Event, Job


@runtime_checkable
class Engine(Protocol):
    """Does jobs in processes of its own, here or elsewhere, and tells what becomes of them.

    Everything that it tells is an event (`extractors.batch.jobs`), in the order in which it happened for
    each job: `Progressed` and `Ended` for each of its videos, then `Returned`; or `Broken` in place of what
    had not come yet. Files are written by the workers, records by whoever asks.
    """

    def room(self) -> int:
        """How many jobs it would take now without letting them wait for long."""

    def submit(self, job: Job) -> None:
        """Take a job."""

    def events(self, timeout_s: float) -> Sequence[Event]:
        """What happened since the last question; waits up to `timeout_s` for something to happen."""

    def stop(self) -> None:
        """End what is running; called once, at the end, whatever happened."""


LONGEST_S = 24 * 3600.0  # of a video, as far as time limits believe its header


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """How long one video may take.

    Attributes:
        fixed_s: seconds for any video; 0: as long as it takes; None: by its duration.
        base_s: without a fixed one: for opening it and for whatever does not depend on its length.
        factor: seconds for a second of video.
    """

    fixed_s: float | None = None
    base_s: float = 600.0
    factor: float = 60.0

    def of(self, total_s: float | None) -> float:
        """Seconds for a video of this duration (None: not known); infinite where there is no limit."""
        if self.fixed_s is not None:
            return self.fixed_s or float("inf")
        said_s = min(total_s or 0.0, LONGEST_S)  # a header may say anything
        return self.base_s + self.factor * said_s


def time_limit(seconds: float | None, *, flow: bool) -> TimeLimit:
    """The limit that a person asked for, or a generous one.

    Args:
        seconds: what was asked for; 0 switches it off.
        flow: whether optical flow is computed, which takes up to 40 s for a second of video on a quiet
            machine with two cores (OpenCV's TV-L1), where the networks take one.
    """
    return TimeLimit(seconds, factor=300.0 if flow else 60.0)
