"""Seconds, grid frames, snippets, and back, for any frame rate."""

from __future__ import annotations

import bisect
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from extractors.snippets import (
    DENSE,
    GRID_FPS,
    GRIDS,
    SNIPPETS,
    Resampler,
    TimeGrid,
    n_grid_frames,
)


@dataclass(frozen=True, eq=False)
class Shown:
    """A frame that is a number and a time."""

    number: int
    time_s: float


def resampled(times: list[Fraction], end: Fraction | None = None, fps: int = GRID_FPS) -> list[int]:
    """The number of the frame at each grid time."""
    frames = [Shown(number, float(time)) for number, time in enumerate(times)]
    return [f.number for f in Resampler(fps).resample(frames, [] if end is None else [float(end)])]


def nearest(times: list[Fraction], at: Fraction) -> int:
    """The frame nearest to a time, of two the earlier: the definition, in exact numbers."""
    following = bisect.bisect_left(times, at)
    around = range(max(following - 1, 0), min(following + 1, len(times)))
    return min(around, key=lambda number: (abs(times[number] - at), number))


grids = st.builds(TimeGrid, st.integers(1, 64), st.integers(1, 64), st.sampled_from([5, 24, 25, 30]))
rates = st.sampled_from(["1/2", "6", "19.62", "24000/1001", "25", "30000/1001", "30", "60", "240"]).map(
    Fraction
)
# Steps in ticks of 1/90000 s: 1/1000 s to 2 s.
ticks = st.lists(st.integers(90, 180_000), min_size=1, max_size=40)


# ---------------------------------------------------------------- the resampler


@given(rates, st.integers(1, 120))
def test_any_constant_rate_gives_the_nearest_frames(rate: Fraction, n_frames: int) -> None:
    times = [k / rate for k in range(n_frames)]
    end = n_frames / rate
    chosen = resampled(times, end)
    assert len(chosen) == n_grid_frames(float(end))
    assert chosen == [nearest(times, Fraction(k, GRID_FPS)) for k in range(len(chosen))]


@given(ticks)
def test_any_variable_rate_gives_the_nearest_frames(steps: list[int]) -> None:
    times = [Fraction(0)]
    for step in steps:
        times.append(times[-1] + Fraction(step, 90_000))
    *times, end = times
    chosen = resampled(times, end)
    assert len(chosen) == n_grid_frames(float(end))
    assert chosen == [nearest(times, Fraction(k, GRID_FPS)) for k in range(len(chosen))]
    assert chosen == sorted(chosen)


@given(st.integers(1, 200), st.sampled_from([5, 24, 25, 30]))
def test_a_video_on_the_grid_passes_unchanged(n_frames: int, fps: int) -> None:
    times = [Fraction(k, fps) for k in range(n_frames)]
    assert resampled(times, Fraction(n_frames, fps), fps) == list(range(n_frames))


@pytest.mark.parametrize("digits", [3, 6])
def test_rounded_stamps_do_not_disturb_a_video_on_the_grid(digits: int) -> None:
    thirty = [round(Fraction(k, 30), digits) for k in range(300)]  # as Matroska stores them
    exact = [Fraction(k, 30) for k in range(300)]
    differing = sum(
        a != b for a, b in zip(resampled(thirty, Fraction(10)), resampled(exact, Fraction(10)), strict=True)
    )
    assert differing <= 50  # only where two frames are equally near
    grid = [round(Fraction(k, 25), digits) for k in range(300)]
    assert resampled(grid, Fraction(12)) == list(range(300))


def test_of_two_equally_near_frames_the_earlier_is_taken() -> None:
    # 50 Hz without every other frame, moved by half a step: grid time 1/25 lies midway.
    assert resampled([Fraction(0), Fraction(2, 25)], Fraction(3, 25)) == [0, 0, 1]


def test_one_frame_fills_the_whole_video() -> None:
    assert resampled([Fraction(0)], Fraction(1, 25)) == [0]
    assert resampled([Fraction(0)], Fraction(1)) == [0] * 25
    assert resampled([Fraction(0)], Fraction(0)) == [0]
    assert resampled([Fraction(0)]) == [0]


def test_the_last_frame_is_shown_until_the_end_of_the_video() -> None:
    times = [Fraction(0), Fraction(1, 25)]
    assert resampled(times, Fraction(10, 25)) == [0] + [1] * 9
    assert resampled(times) == [0, 1]  # unknown: one grid step


def test_a_long_picture_is_repeated() -> None:
    assert resampled([Fraction(0), Fraction(2)], Fraction(51, 25)) == [0] * 26 + [1] * 25


def test_no_frames_give_no_frames() -> None:
    assert resampled([]) == []


def test_the_end_is_asked_for_after_the_last_frame() -> None:
    order = []

    def frames() -> Iterator[Shown]:
        yield Shown(0, 0.0)
        order.append("frames")

    def end() -> Iterator[float]:
        order.append("end")
        yield 0.08

    assert len(list(Resampler().resample(frames(), end()))) == 2
    assert order == ["frames", "end"]


@pytest.mark.parametrize("times", [[0.0, 0.0], [0.0, 0.5, 0.4]])
def test_times_must_grow(times: list[float]) -> None:
    with pytest.raises(ValueError, match="frame times must grow"):
        list(Resampler().resample([Shown(number, time) for number, time in enumerate(times)]))


@given(ticks)
def test_the_count_is_kept(steps: list[int]) -> None:
    resampler = Resampler()
    frames = [Shown(k, k / 30) for k in range(len(steps))]
    assert len(list(resampler.resample(frames, [len(steps) / 30]))) == resampler.n_frames


def test_no_more_than_two_frames_are_alive_however_long_the_video() -> None:
    alive: weakref.WeakSet[Shown] = weakref.WeakSet()
    most = 0

    def frames() -> Iterator[Shown]:
        nonlocal most
        for number in range(500):
            frame = Shown(number, number / 30)
            alive.add(frame)
            yield frame
            del frame
            most = max(most, len(alive))

    for frame in Resampler().resample(frames(), [500 / 30]):
        del frame
    assert most <= 2


# ---------------------------------------------------------------- the grid


@given(st.integers(1, 10**7), st.sampled_from([5, 24, 25, 30]))
def test_grid_frames_of_a_duration_round_trip(n_frames: int, fps: int) -> None:
    assert n_grid_frames(n_frames / fps, fps) == n_frames
    assert n_grid_frames((n_frames - 0.5) / fps, fps) == n_frames


@pytest.mark.parametrize("duration_s", [0.0, 1e-9, 0.01, 0.04])
def test_the_shortest_video_has_one_grid_frame(duration_s: float) -> None:
    assert n_grid_frames(duration_s) == 1


@pytest.mark.parametrize("duration_s", [-1.0, float("nan"), float("inf")])
def test_durations_that_are_none_are_refused(duration_s: float) -> None:
    with pytest.raises(ValueError, match="finite and not negative"):
        n_grid_frames(duration_s)


@given(grids, st.integers(0, 10**6))
def test_a_row_is_found_again_by_its_start_and_by_times_inside(grid: TimeGrid, row: int) -> None:
    start_s, end_s = grid.span_s(row)
    assert grid.row_at(start_s) == row
    assert grid.row_at(start_s + 0.5 * grid.step_s) == row
    assert grid.row_at(start_s + 0.999 * grid.step_s) == row
    assert end_s - start_s == pytest.approx(grid.window_frames / grid.fps)


@given(st.sampled_from(sorted(GRIDS)), st.floats(0, 1e5))
def test_seconds_to_snippet_to_seconds(name: str, time_s: float) -> None:
    grid = GRIDS[name]
    start_s, end_s = grid.span_s(grid.row_at(time_s))
    assert start_s - 1e-6 <= time_s < end_s
    assert end_s - start_s == pytest.approx(grid.step_s)


@given(st.integers(1, 20), st.integers(1, 40), st.integers(1, 2000))
def test_rows_cover_every_frame_and_none_is_empty(stride: int, window: int, n_frames: int) -> None:
    assume(stride <= window)
    grid = TimeGrid(stride, window)
    n_rows = grid.n_rows(n_frames)
    last_start = (n_rows - 1) * stride
    assert last_start + window >= n_frames  # to the end
    assert last_start < n_frames  # and no further
    valid = grid.valid_frames_of_last(n_frames)
    assert valid >= 1
    assert valid == n_frames - last_start
    if n_rows > 1:
        assert last_start - stride + window < n_frames  # the row before did not reach the end


@given(st.sampled_from([SNIPPETS, DENSE]), st.integers(1, 5000))
def test_the_rows_of_a_feature_matrix_tile_time(grid: TimeGrid, n_frames: int) -> None:
    spans = [grid.span_s(row) for row in range(grid.n_rows(n_frames))]
    assert spans[0][0] == 0
    assert all(a[1] == b[0] for a, b in pairwise(spans))
    assert spans[-1][1] >= n_frames / grid.fps > spans[-1][0]
    assert 1 <= grid.valid_frames_of_last(n_frames) <= grid.window_frames


def test_centres_lie_in_the_middle_of_what_the_network_sees() -> None:
    assert SNIPPETS.centres_s(3).tolist() == pytest.approx([0.32, 0.96, 1.6])
    assert DENSE.centres_s(2).tolist() == pytest.approx([0.22, 0.54])
    assert SNIPPETS.centres_s(0).shape == (0,)


def test_the_grids_are_those_of_the_paper_and_of_the_network() -> None:
    assert SNIPPETS.step_s == pytest.approx(0.64)  # 16 frames at 25 Hz
    assert DENSE.step_s == pytest.approx(0.32)


def test_numbers_that_make_no_grid_are_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        TimeGrid(0, 16)
    with pytest.raises(ValueError, match="at least one frame"):
        SNIPPETS.n_rows(0)
    with pytest.raises(ValueError, match="start at 0"):
        SNIPPETS.row_at(-0.1)
