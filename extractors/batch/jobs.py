"""What goes to a worker process and what comes back: plain values that every engine can send."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from extractors.layouts import Place
from weights.processes import Owner

Stage = Literal["open", "decode", "flow", "network", "write", "worker"]


@dataclass(frozen=True, slots=True)
class Video:
    """A file to make features of.

    Attributes:
        name: what outputs call it, `/` for sub-folders.
        path: where it is.
    """

    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class Item:
    """A video with the place of its features."""

    video: Video
    place: Place


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker is given at a time: a video, or several short ones that share a network's batches."""

    items: tuple[Item, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The videos' names, in order."""
        return tuple(item.video.name for item in self.items)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a video has no features.

    Attributes:
        stage: where it went wrong; "worker": the process died or was ended.
        error_class: the exception's class.
        message: what is wrong.
        hint: what to do about it; empty where there is nothing to say.
        exit_code: what a command ends with that fails for this reason alone.
        ends_run: no other video would fare better, wherever it is made (the disk is full).
        ends_place: no other video would fare better where this one was made (something is not installed).
        ends_worker: the process cannot be trusted any more (a GPU after an error).
    """

    stage: Stage
    error_class: str
    message: str
    hint: str = ""
    exit_code: int = 3
    ends_run: bool = False
    ends_place: bool = False
    ends_worker: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """Features that were written.

    Attributes:
        n_rows: T.
        duration_s: of the video, seconds.
        warnings: what a person should know although it is done.
    """

    n_rows: int
    duration_s: float
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Starting:
    """A job has found a machine: what a worker elsewhere says first, before it is ready or not.

    Attributes:
        place: the machine, as its cluster calls it.
        owner: the process, by which its unfinished files are known.
    """

    place: str
    owner: Owner


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker can begin: its extractor is made.

    Attributes:
        device: where its networks run.
    """

    device: str


@dataclass(frozen=True, slots=True)
class Unfit:
    """A worker can make no features, of whatever video: said in place of all that was still to come.

    Attributes:
        failure: why.
    """

    failure: Failure


@dataclass(frozen=True, slots=True)
class Progressed:
    """How far a video is; the first one says that it has begun.

    Attributes:
        video: its name.
        done_s: seconds of video done.
        total_s: seconds of video in all by the file's header, or None.
    """

    video: str
    done_s: float
    total_s: float | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """A video is over, one way or the other.

    Attributes:
        video: its name.
        result: features, or why there are none.
        seconds: that it took.
    """

    video: str
    result: Made | Failure
    seconds: float


@dataclass(frozen=True, slots=True)
class Returned:
    """A worker has gone through a job, and takes another one."""

    job: Job


@dataclass(frozen=True, slots=True)
class Broken:
    """A worker was lost in the middle of a job.

    Attributes:
        job: what it had.
        unfinished: names of those videos that had not ended.
        failure: what became of it.
        for_memory: the system ended it, most likely for want of memory.
    """

    job: Job
    unfinished: tuple[str, ...]
    failure: Failure
    for_memory: bool = False


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A place for workers is given up: none gets ready there, which is no fault of its videos.

    Attributes:
        job: what was tried there.
        unfinished: names of those videos that had not ended; they are to be given out again.
        failure: why.
        place: the machine; empty where it is this one.
        any_left: another place is there to go on with.
    """

    job: Job
    unfinished: tuple[str, ...]
    failure: Failure
    place: str = ""
    any_left: bool = False


Said = Starting | Ready | Unfit | Progressed | Ended  # by a worker
Event = Ready | Progressed | Ended | Returned | Broken | Withdrawn
