"""One of n parts of a list of videos, by name: the same for every machine, whatever else is in the list."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from extractors.errors import OptionError


@dataclass(frozen=True, slots=True)
class Shard:
    """Part `index` of `count`.

    Attributes:
        index: from 1.
        count: how many parts there are.

    Raises:
        OptionError: there is no such part.
    """

    index: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.index <= self.count:
            raise OptionError(
                f"there is no shard {self.index}/{self.count}", hint="shards are counted from 1: 1/4 to 4/4"
            )

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def has(self, video: str) -> bool:
        """Whether a video, by its name in the outputs, is in this part; each is in one part alone."""
        digest = hashlib.sha256(os.fsencode(video)).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.index - 1


def parse_shard(text: str) -> Shard:
    """Read `i/n`.

    Raises:
        OptionError: it is something else, or there is no such part.
    """
    match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text.strip())
    if match is None:
        raise OptionError(f"{text!r} is not a shard", hint="for example --shard 2/8, the second of eight")
    return Shard(int(match[1]), int(match[2]))


def shard_of_array(environment: Mapping[str, str]) -> Shard | None:
    """The part of this task of a SLURM job array; None outside of one, and in one with a single task.

    Source: https://slurm.schedmd.com/job_array.html (SLURM_ARRAY_TASK_ID, _COUNT, _MIN and _STEP).

    Raises:
        OptionError: the array's numbers have gaps, so that the task's place among them cannot be told.
    """
    names = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT")
    if any(name not in environment for name in names):
        return None
    try:
        number, count = (int(environment[name]) for name in names)
        first = int(environment.get("SLURM_ARRAY_TASK_MIN", 0))
        step = int(environment.get("SLURM_ARRAY_TASK_STEP", 1))
    except ValueError as error:
        raise OptionError(f"SLURM's job array cannot be read: {error}", hint="give --shard i/n") from error
    if count <= 1:
        return None
    place, rest = divmod(number - first, max(step, 1))
    if rest or not 0 <= place < count:
        raise OptionError(
            f"task {number} of a SLURM job array of {count} tasks from {first} in steps of {step}: its place"
            " among them cannot be told",
            hint="number the tasks without gaps (--array=1-8), or give --shard i/n",
        )
    return Shard(place + 1, count)
