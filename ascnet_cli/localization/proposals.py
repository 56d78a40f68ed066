"""From scores over time to segments (the paper's section III-F).

Letters in names: T rows of scores, C classes, K classes looked for, N cells of the fine time grid, R runs
(proposals).
Arrays and seconds in, `Detection` out; the background is not among the classes here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64

from ascnet_cli.config_localization import LocalizationConfig
from ascnet_cli.localization.nms import nms
from ascnet_cli.localization.runs import (
    ROUNDING,
    best_runs,
    contrast,
    different_runs,
    runs_at_any,
    runs_at_least,
)
from ascnet_cli.segments import Detection, Segment

# Cells of several classes that are looked at together: enough to make many classes one operation, few
# enough for a processor's cache.
_CELLS_AT_ONCE = 1 << 17


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeAxis:
    """Where the rows of scores lie in the video.

    Snippets of 0.64 s are `TimeAxis(first_s=0.32, step_s=0.64, window_s=0.64, duration_s=...)`. Rows
    that were picked unevenly say so with `rows_s`; a video stretched evenly to L rows, as ancestors
    do it, is `step_s = 0.64 T / L`.

    Attributes:
        first_s: time of the centre of row 0's window.
        step_s: from one row's centre to the next one's; with `rows_s`, the step before rows were picked.
        window_s: footage that one row was computed from.
        duration_s: length of the video; segments are clipped to it.
        rows_s: centres of all rows, ascending, where they are not evenly spaced.

    Raises:
        ValueError: a time is not finite or not positive (`first_s`: negative), or rows do not ascend.
    """

    first_s: float
    step_s: float
    window_s: float
    duration_s: float
    rows_s: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("step_s", "window_s", "duration_s"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be finite and positive, not {value}")
        if not (math.isfinite(self.first_s) and self.first_s >= 0):
            raise ValueError(f"first_s must be finite and >= 0, not {self.first_s}")
        if self.rows_s is not None:
            if not self.rows_s or self.rows_s[0] != self.first_s:
                raise ValueError(f"rows_s must begin with first_s = {self.first_s}, not {self.rows_s[:1]}")
            if not all(a < b for a, b in zip(self.rows_s, self.rows_s[1:], strict=False)):
                raise ValueError("rows_s must ascend")

    def centres_s(self, n_rows: int) -> Float64[np.ndarray, " t"]:
        """Times of the centres of the first `n_rows` rows.

        Raises:
            ValueError: `rows_s` has another length.
        """
        if self.rows_s is None:
            return self.first_s + self.step_s * np.arange(n_rows)
        if len(self.rows_s) != n_rows:
            raise ValueError(f"{n_rows} rows of scores, but the time axis has {len(self.rows_s)}")
        return np.asarray(self.rows_s, dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class FineGrid:
    """Even cells over the video, each with its place between two rows.

    Attributes:
        edges_s: bounds of the N cells, seconds.
        before: the row before each cell.
        after: the row after it.
        weight: how far the cell is from `before` to `after`; over 1 where it extrapolates.
    """

    edges_s: Float64[np.ndarray, "n_plus_1"]
    before: Int64[np.ndarray, " n"]
    after: Int64[np.ndarray, " n"]
    weight: Float64[np.ndarray, " n"]

    def sample(self, rows_T: Float[np.ndarray, "*k t"]) -> Float64[np.ndarray, "*k n"]:
        """Linear interpolation along the last axis; level stretches keep their value to the last bit."""
        rows = rows_T.astype(np.float64, order="C")
        before = rows.take(self.before, axis=-1)
        values = rows.take(self.after, axis=-1)
        values -= before
        values *= self.weight
        values += before
        return values


def fine_grid(axis: TimeAxis, n_rows: int, config: LocalizationConfig) -> FineGrid:
    """Cells of `step_s / upsample` seconds.

    `config.centre`: from half a window before the first row's centre to half a window after the last
    one's, within the video; a cell's score is that at its middle, and the ends hold the edge rows.
    Otherwise the ancestors' way: a row sits at its window's start, a cell's score is that at its left
    edge, and the last step is extrapolated from the last two rows.

    Args:
        axis: where the rows lie.
        n_rows: number of rows, at least 1.
        config: `upsample` and `centre`.
    """
    cell_s = axis.step_s / config.upsample
    if config.centre:
        rows_s = axis.centres_s(n_rows)
        half_s = max(axis.window_s, axis.step_s) / 2
        low_s, high_s = max(0.0, rows_s[0] - half_s), min(axis.duration_s, rows_s[-1] + half_s)
    else:
        rows_s = axis.centres_s(n_rows) - axis.window_s / 2
        low_s, high_s = rows_s[0], rows_s[-1] + axis.step_s
    n_cells = max(0, math.ceil((high_s - low_s) / cell_s - ROUNDING))
    edges_s = low_s + cell_s * np.arange(n_cells + 1)
    at_s = edges_s[:-1] + cell_s / 2 if config.centre else edges_s[:-1]

    # The tolerance keeps a cell that lies on a row from being taken for one just before it.
    before = np.searchsorted(rows_s, at_s + cell_s * ROUNDING, side="right") - 1
    before = before.clip(0, max(0, n_rows - 2))
    after = (before + 1).clip(max=n_rows - 1)
    gap_s = np.where(after > before, rows_s[after] - rows_s[before], 1.0)
    weight = (at_s - rows_s[before]) / gap_s
    return FineGrid(edges_s, before, after, weight.clip(0.0, 1.0) if config.centre else weight)


def class_proposals(
    cas_KN: Float64[np.ndarray, "k n"], attention_runs_R: Int64[np.ndarray, "r 2"], config: LocalizationConfig
) -> tuple[Int64[np.ndarray, "p 2"], Float64[np.ndarray, " p"]]:
    """All different proposals of K classes, and eq. 13 without its video term.

    Runs of each class activation sequence at each alpha, united with the runs of the attention. A run
    that several thresholds give is there once, with the best of its scores.

    Returns:
        The proposals, numbered over all classes as in `runs`, and their scores.
    """
    n_edges = cas_KN.shape[1] + 1
    of_each_class = (np.arange(len(cas_KN)) * n_edges)[:, None, None]
    families = [((attention_runs_R + of_each_class).reshape(-1, 2), cas_KN)]
    for alpha in config.alphas:
        outer_KN = cas_KN if config.outer == "sides" else np.where(cas_KN >= alpha, cas_KN, 0.0)
        families.append((runs_at_least(cas_KN, alpha), outer_KN))
    families = [(runs[runs[:, 1] - runs[:, 0] >= config.min_cells], outer) for runs, outer in families]

    runs_R = np.concatenate([runs for runs, _ in families])
    if config.outer == "sides":  # one score a run, whatever threshold it comes from
        runs_R = different_runs(runs_R, n_edges)
        return runs_R, contrast(runs_R, cas_KN, cas_KN, config)
    scores_R = np.concatenate([contrast(runs, cas_KN, outer, config) for runs, outer in families])
    return best_runs(runs_R, scores_R, n_edges)


def kept_classes(video_C: Float[np.ndarray, " c"], threshold: float) -> list[int]:
    """Classes with a video score above the threshold; where there is none, the best one."""
    above = np.flatnonzero(video_C > threshold)
    return [int(index) for index in above] if len(above) else [int(np.argmax(video_C))]


def localize(
    cas: Float[np.ndarray, "t c"],
    attention: Float[np.ndarray, " t"] | None,
    video: Float[np.ndarray, " c"],
    labels: Sequence[str],
    axis: TimeAxis,
    config: LocalizationConfig,
) -> tuple[Detection, ...]:
    """The segments of one video.

    Args:
        cas: Z_fg, scores of the action classes at each row (no background).
        attention: a_fg at each row; None for a model without attention, then `config.betas` is empty.
        video: y_fg, the video's score for each class.
        labels: class names, in the order of the columns.
        axis: where the rows lie in the video, and its length.
        config: thresholds and conventions.

    Returns:
        Detections within [0, `axis.duration_s`], by start, then falling score, then end and label.
        None where there are no rows.

    Raises:
        ValueError: the shapes do not fit together, or a score is not finite.
    """
    _check(cas, attention, video, labels, config)
    if len(cas) == 0 or len(labels) == 0:
        return ()
    grid = fine_grid(axis, len(cas), config)
    kept = np.asarray(kept_classes(video, config.class_threshold))
    attention_runs_R = np.empty((0, 2), dtype=np.int64)
    if attention is not None and config.betas:
        attention_runs_R = runs_at_any(grid.sample(attention), config.betas)
    edges_s = grid.edges_s.clip(0.0, axis.duration_s)
    at_once = max(1, _CELLS_AT_ONCE // len(edges_s))
    found: list[Detection] = []
    for low in range(0, len(kept), at_once):
        kept_K = kept[low : low + at_once]
        runs_R, scores_R = class_proposals(grid.sample(cas.T[kept_K]), attention_runs_R, config)
        class_R, first_R = np.divmod(runs_R[:, 0], len(edges_s))
        starts_s, ends_s = edges_s[first_R], edges_s[first_R + runs_R[:, 1] - runs_R[:, 0]]
        scores_R = scores_R + config.gamma * video[kept_K].astype(np.float64)[class_R]
        there = ends_s > starts_s  # the grid may go on after the end of the video
        class_R, starts_s, ends_s, scores_R = class_R[there], starts_s[there], ends_s[there], scores_R[there]
        best = nms(
            starts_s,
            ends_s,
            scores_R,
            tiou=config.nms_tiou,
            plus_one=config.nms_plus_one,
            groups=class_R,
        )
        columns = (kept_K[class_R[best]], starts_s[best], ends_s[best], scores_R[best])
        for index, start_s, end_s, score in zip(*(column.tolist() for column in columns), strict=True):
            found.append(Detection(labels[index], Segment(start_s, end_s), score))
    return tuple(sorted(found, key=lambda d: (d.segment.start_s, -d.score, d.segment.end_s, d.label)))


def _check(
    cas: Float[np.ndarray, "t c"],
    attention: Float[np.ndarray, " t"] | None,
    video: Float[np.ndarray, " c"],
    labels: Sequence[str],
    config: LocalizationConfig,
) -> None:
    if cas.ndim != 2 or video.shape != (cas.shape[1],) or len(labels) != cas.shape[1]:
        raise ValueError(
            f"scores of shape {cas.shape} (rows, classes) do not fit {video.shape} video scores "
            f"and {len(labels)} labels"
        )
    if attention is None and config.betas:
        raise ValueError("thresholds for the attention (betas), but no attention")
    if attention is not None and attention.shape != (cas.shape[0],):
        raise ValueError(f"attention of shape {attention.shape} does not fit {cas.shape[0]} rows of scores")
    for name, values in (("cas", cas), ("attention", attention), ("video", video)):
        if values is not None and not np.all(np.isfinite(values)):
            raise ValueError(f"{name} has values that are not finite")
