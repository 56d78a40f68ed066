"""Where jobs are done: the few questions that a run asks of whoever schedules them."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from extractors.batch.jobs import Event, Failure, Job
from weights.processes import Owner


@runtime_checkable
class Engine(Protocol):
    """Does jobs in processes of its own, here or elsewhere, and tells what becomes of them.

    Everything that it tells is an event (`extractors.batch.jobs`), in the order in which it happened for
    each job: `Progressed` and `Ended` for each of its videos, then `Returned`; or, in place of what had not
    come yet, `Broken`, or `Withdrawn` where a worker cannot even get ready. Files are written by the workers,
    records by whoever asks.
    """

    def room(self) -> int:
        """How many jobs it would take now without letting them wait for long."""

    def submit(self, job: Job) -> None:
        """Take a job."""

    def events(self, timeout_s: float) -> Sequence[Event]:
        """What happened since the last question; waits up to `timeout_s` for something to happen."""

    def stop(self) -> Collection[Owner]:
        """End what is running; called once, at the end, whatever happened.

        Returns:
            The processes of other machines that it had: what they have not finished nobody will.
        """


LONGEST_S = 24 * 3600.0  # of a video, as far as time limits believe its header


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """How long one video may take.

    Attributes:
        fixed_s: seconds for any video; 0: as long as it takes; None: by its duration.
        base_s: without a fixed one: for opening it and for whatever does not depend on its length.
        factor: seconds for a second of video.
        start_s: for a worker to load torch and weights, perhaps over a network, before it says that it is
            ready; without end where `fixed_s` is 0.
    """

    fixed_s: float | None = None
    base_s: float = 600.0
    factor: float = 60.0
    start_s: float = 900.0

    def of(self, total_s: float | None) -> float:
        """Seconds for a video of this duration (None: not known); infinite where there is no limit."""
        if self.fixed_s is not None:
            return self.fixed_s or math.inf
        said_s = min(total_s or 0.0, LONGEST_S)  # a header may say anything
        return self.base_s + self.factor * said_s

    def of_start(self) -> float:
        """Seconds for a worker to get ready."""
        return math.inf if self.fixed_s == 0 else self.start_s


def never_ready(allowed_s: float) -> Failure:
    """Why a place is given up whose worker was not ready in time."""
    return Failure(
        stage="worker",
        error_class="TimeoutError",
        message=f"a worker was not ready after {allowed_s:g} s",
        hint="look at the machine's load, and at the disk that ascnet and its weights are on",
        exit_code=4,
    )


def time_limit(seconds: float | None, *, flow: bool) -> TimeLimit:
    """The limit that a person asked for, or a generous one.

    Args:
        seconds: what was asked for; 0 switches it off.
        flow: whether optical flow is computed, which takes up to 40 s for a second of video on a quiet
            machine with two cores (OpenCV's TV-L1), where the networks take one.
    """
    return TimeLimit(seconds, factor=300.0 if flow else 60.0)
