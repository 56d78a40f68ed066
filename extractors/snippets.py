"""The time grid: seconds, grid frames, snippets, and back; nowhere else is this arithmetic done.

A video's frames are presented when their timestamps say so. The grid asks at 25 Hz which frame is nearest
(`resample`), so that 16 grid frames are always 0.64 s, whatever the file's frame rate was, constant or
not. Rows of features lie on that grid: one every 16 frames for isolated snippets, one every 8 for dense
features.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Float64

GRID_FPS = 25  # Hz; section IV-A's features, as the field extracts them
SNIPPET_FRAMES = 16  # frames; section IV-A
# Two timestamps of a file are never this close; float rounding of pts x time base is far below.
_EPSILON_S = 1e-6
_MOST_FRAMES = 10**9  # of a stride, a window, a second: beyond that a number is damaged


@runtime_checkable
class Timed(Protocol):
    """Anything that is presented at a time."""

    @property
    def time_s(self) -> float:
        """Seconds from the first presented frame."""


FrameT = TypeVar("FrameT", bound=Timed)


@dataclass(frozen=True, slots=True)
class TimeGrid:
    """Where the rows of a feature matrix lie in time.

    Attributes:
        stride_frames: grid frames from one row to the next.
        window_frames: grid frames that a row stands for.
        fps: grid frames a second.
        lag_frames: how much later than the middle of its window a row's network looks.
    """

    stride_frames: int
    window_frames: int
    fps: int = GRID_FPS
    lag_frames: float = 0.0

    def __post_init__(self) -> None:
        counts = (self.stride_frames, self.window_frames, self.fps)
        if not all(type(n) is int and 1 <= n <= _MOST_FRAMES for n in counts):
            raise ValueError(f"a time grid needs positive whole numbers, not {self}")
        if type(self.lag_frames) not in (int, float) or not abs(self.lag_frames) <= _MOST_FRAMES:
            raise ValueError(f"a time grid needs positive numbers, not {self}")

    @property
    def step_s(self) -> float:
        """Seconds from one row to the next."""
        return self.stride_frames / self.fps

    def n_rows(self, n_frames: int) -> int:
        """Rows that cover this many grid frames; the last one may be partly padding."""
        if n_frames < 1:
            raise ValueError(f"a video has at least one frame, not {n_frames}")
        return max(math.ceil((n_frames - self.window_frames) / self.stride_frames), 0) + 1

    def span_s(self, row: int) -> tuple[float, float]:
        """The window of a row, [start, end) in seconds."""
        start = row * self.stride_frames
        return start / self.fps, (start + self.window_frames) / self.fps

    def centres_s(self, n_rows: int) -> Float64[np.ndarray, " t"]:
        """The middle of what each row's network sees, in seconds."""
        first = self.window_frames / 2 + self.lag_frames
        centres: Float64[np.ndarray, " t"] = (np.arange(n_rows) * self.stride_frames + first) / self.fps
        return centres

    def row_at(self, time_s: float) -> int:
        """The row whose window holds this time; of several, the latest that starts at or before it."""
        if time_s < 0:
            raise ValueError(f"times start at 0, not {time_s}")
        return math.floor(time_s * self.fps / self.stride_frames + _EPSILON_S)

    def valid_frames_of_last(self, n_frames: int) -> int:
        """Grid frames of the last row's window that the video really has; the others are padding."""
        return n_frames - (self.n_rows(n_frames) - 1) * self.stride_frames


SNIPPETS = TimeGrid(stride_frames=SNIPPET_FRAMES, window_frames=SNIPPET_FRAMES)
# I3D's own temporal stride. 'SAME' padding is one frame longer behind than in front wherever a stride meets
# an even length, so row k's receptive field is centred on frame 8 k + 5, not between 8 k + 3 and 8 k + 4.
DENSE = TimeGrid(stride_frames=8, window_frames=8, lag_frames=1.5)
GRIDS = {"snippet": SNIPPETS, "dense": DENSE}


def n_grid_frames(duration_s: float, fps: int = GRID_FPS) -> int:
    """Grid frames of a video: the grid times k / fps that lie before its end, at least one.

    Args:
        duration_s: from the first frame's presentation to the end of the last one's.
        fps: grid frames a second.
    """
    if not (math.isfinite(duration_s) and duration_s >= 0):
        raise ValueError(f"a duration is finite and not negative, not {duration_s}")
    return max(math.ceil((duration_s - _EPSILON_S) * fps), 1)


class Resampler:
    """Puts presented frames on the grid, one at a time and in bounded memory.

    Grid frame k is the presented frame nearest to k / fps seconds; of two that are equally near, the
    earlier. Frames must come in the order of their times.
    """

    def __init__(self, fps: int = GRID_FPS) -> None:
        self._fps = fps
        self.n_frames = 0

    def _until(self, limit_s: float) -> int:
        """How many grid times after those already given are at or before the limit."""
        return max(math.floor(limit_s * self._fps + _EPSILON_S) + 1 - self.n_frames, 0)

    def resample(self, frames: Iterable[FrameT], end_s: Iterable[float] = ()) -> Iterator[FrameT]:
        """The frame for each grid time, in order; a frame may come several times or not at all.

        Args:
            frames: presented frames with strictly growing times, the first at 0 s.
            end_s: asked for its first value once `frames` has run out: the video's duration in seconds
                (known only then). Without it the last frame is shown for one grid step.

        Raises:
            ValueError: times that do not grow.
        """
        held: FrameT | None = None
        for frame in frames:
            if held is not None:
                if frame.time_s <= held.time_s:
                    raise ValueError(f"frame times must grow, not {held.time_s} then {frame.time_s}")
                for _ in range(self._until((held.time_s + frame.time_s) / 2)):
                    self.n_frames += 1
                    yield held
            held = frame
        if held is None:
            return
        duration_s = next(iter(end_s), held.time_s + 1 / self._fps)
        # The last frame's own time always counts: nothing is later than it.
        total = max(n_grid_frames(duration_s, self._fps), self.n_frames, 1)
        while self.n_frames < total:
            self.n_frames += 1
            yield held
