"""From numbers to pixels, and which numbers stand beside an axis."""

from __future__ import annotations

import math
from dataclasses import dataclass

_STEPS = (1, 2, 2.5, 5, 10)
_CLOCK_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 36000)


@dataclass(frozen=True, slots=True)
class Scale:
    """A straight scale.

    Attributes:
        low: the number at `begin`.
        high: the number at `end`; above `low`.
        begin: pixels.
        end: pixels; below `begin` where numbers grow upwards.
    """

    low: float
    high: float
    begin: float
    end: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"no scale from {self.low} to {self.high}")

    def __call__(self, value: float | int) -> float:
        """Where a number is."""
        return self.begin + (value - self.low) * self.per_unit

    @property
    def per_unit(self) -> float:
        """Pixels for 1."""
        return (self.end - self.begin) / (self.high - self.low)

    def ticks(self, n_most: int = 6) -> tuple[float, ...]:
        """Round numbers inside the scale, at most so many."""
        return steps_between(self.low, self.high, nice_step((self.high - self.low) / max(n_most - 1, 1)))


def nice_step(at_least: float) -> float:
    """The next of 1, 2, 2.5, 5 times a power of ten.

    Raises:
        ValueError: it is not above 0 and finite.
    """
    if not (math.isfinite(at_least) and at_least > 0):
        raise ValueError(f"no step of {at_least}")
    power = 10.0 ** math.floor(math.log10(at_least))
    return next(step * power for step in (*_STEPS, 20) if step * power >= at_least * (1 - 1e-9))


def nice_top(value: float, *, n_steps: int = 5) -> float:
    """A round number that is at least `value`; 1 for nothing."""
    if not value > 0:
        return 1.0
    step = nice_step(value / n_steps)
    return math.ceil(value / step - 1e-9) * step


def steps_between(low: float, high: float, step: float) -> tuple[float, ...]:
    """All multiples of a step from one number to another, both included."""
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(number * step for number in range(first, last + 1))


def clock_ticks(duration_s: float, n_most: int = 8) -> tuple[float, ...]:
    """Round times from 0 to a duration, at most so many and one."""
    wanted_s = duration_s / max(n_most, 1)
    fitting = [step for step in _CLOCK_STEPS_S if step >= wanted_s]
    step_s = float(fitting[0]) if fitting else math.ceil(wanted_s / 36000) * 36000.0
    if duration_s < _CLOCK_STEPS_S[0] * 2:
        step_s = nice_step(max(wanted_s, 1e-6))
    return steps_between(0.0, duration_s, step_s)


def clock(seconds: float) -> str:
    """Seconds as 0:07 or 1:02:03; with tenths where they are no whole number."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    tail = f"{rest // 10:02d}" + (f".{rest % 10}" if rest % 10 else "")
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{tail}" if hours else f"{minutes}:{tail}"


def number(value: float) -> str:
    """A number beside an axis, short."""
    return f"{value + 0.0:.4g}" if abs(value) < 1e5 else f"{value:.2g}"
