"""The same run with several seeds: their mean, how far they lie apart, and the best by validation."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from ascnet_cli.errors import OptionError
from ascnet_cli.training.run import RunResult

_MOST = 1000


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and sample standard deviation (over n - 1) of one number over seeds; 0 with one seed."""

    mean: float
    std: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of some values.

        Raises:
            ValueError: there are none.
        """
        if not values:
            raise ValueError("no values to take a mean of")
        std = statistics.stdev(values) if len(values) > 1 else 0.0
        return cls(statistics.fmean(values), std, len(values))


def parse_seeds(text: str) -> tuple[int, ...]:
    """`0-4` or `0,2,7`, both ends included.

    Raises:
        OptionError: it is neither, or a seed is there twice.
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise OptionError(f"not seeds: {text!r}", hint="write 0-4 or 0,2,7")
        low, high = int(first), int(last or first)
        if high < low or high - low >= _MOST or high >= 2**63:
            raise OptionError(f"no seeds from {low} to {high}", hint=f"at most {_MOST}, the smaller first")
        seeds += range(low, high + 1)
    if len(set(seeds)) < len(seeds):
        raise OptionError(f"a seed is there twice: {text!r}", hint="name each once")
    return tuple(seeds)


def best_run(results: Sequence[RunResult]) -> RunResult:
    """The run whose checkpoint validated best, the first of equal ones; the test decides nothing.

    Raises:
        ValueError: there is no run.
    """
    if not results:
        raise ValueError("no runs to choose from")
    return max(results, key=lambda result: result.training.best.map if result.training.best else -math.inf)
