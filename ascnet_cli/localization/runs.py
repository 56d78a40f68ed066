"""Runs of cells above a threshold, and how they stand out: one array operation for all rows at once.

Letters in names: K rows (classes) of N cells, R runs. The edges of row k's cells are numbered from
k (N + 1) to k (N + 1) + N, so that one number says row and edge, and is an index into prefix sums.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float64, Int64

from ascnet_cli.config_localization import LocalizationConfig

# Cell counts come out of divisions of seconds; what is this close to a whole number is one.
ROUNDING = 1e-6


def runs_at_least(
    values_KN: Float64[np.ndarray, "*k n"], threshold: float | Float64[np.ndarray, "*thresholds"]
) -> Int64[np.ndarray, "r 2"]:
    """Maximal runs of cells with a value >= the threshold, as the edges they begin and end at.

    Args:
        values_KN: one row, or several; no run goes from one row into the next.
        threshold: one number, or an array that broadcasts against the values: a row of runs for each.

    Returns:
        By ascending edges. With one row that is [first, one past the last] cell.
    """
    *rows, n_cells = np.broadcast_shapes(values_KN.shape, np.shape(threshold))
    padded = np.zeros((*rows, n_cells + 2), dtype=bool)
    np.greater_equal(values_KN, threshold, out=padded[..., 1:-1])
    return np.flatnonzero(padded[..., 1:] != padded[..., :-1]).astype(np.int64, copy=False).reshape(-1, 2)


def runs_at_any(values_N: Float64[np.ndarray, " n"], thresholds: Sequence[float]) -> Int64[np.ndarray, "u 2"]:
    """All different runs of one row at any of the thresholds, as `runs_at_least` gives them."""
    n_edges = len(values_N) + 1
    runs_R = runs_at_least(values_N, np.array(thresholds)[:, None])
    return different_runs(runs_R - runs_R // n_edges * n_edges, n_edges)


def different_runs(runs_R: Int64[np.ndarray, "r 2"], n_edges: int) -> Int64[np.ndarray, "u 2"]:
    """Each run once, by where it begins and then by where it ends.

    Args:
        runs_R: as `runs_at_least` gives them.
        n_edges: more than the longest run has cells.
    """
    numbers = np.sort(_packed(runs_R, n_edges))
    return _unpacked(numbers[_changes(numbers)], n_edges)


def best_runs(
    runs_R: Int64[np.ndarray, "r 2"], scores_R: Float64[np.ndarray, " r"], n_edges: int
) -> tuple[Int64[np.ndarray, "u 2"], Float64[np.ndarray, " u"]]:
    """Each run once, as `different_runs`, with the best of its scores."""
    numbers = _packed(runs_R, n_edges)
    best_first = np.lexsort((-scores_R, numbers))
    numbers, scores_R = numbers[best_first], scores_R[best_first]
    new = _changes(numbers)
    return _unpacked(numbers[new], n_edges), scores_R[new]


def contrast(
    runs_R: Int64[np.ndarray, "r 2"],
    cas_KN: Float64[np.ndarray, "k n"],
    outer_KN: Float64[np.ndarray, "k n"],
    config: LocalizationConfig,
) -> Float64[np.ndarray, " r"]:
    """Inner mean minus outer mean of eq. 13, for all runs at once by prefix sums.

    The outer mean is over `outer_fraction` of the run's cells on each side, as far as they exist; where
    none exist it is 0.

    Args:
        runs_R: edges of each run.
        cas_KN: values inside.
        outer_KN: values outside (the same array, unless thresholded).
        config: `outer_fraction` and `outer_even`.
    """
    inside = _prefix_sums(cas_KN)
    outside = inside if outer_KN is cas_KN else _prefix_sums(outer_KN)
    first, last = runs_R[:, 0], runs_R[:, 1]
    n_cells = last - first
    reach = n_cells * config.outer_fraction
    reach_left = np.ceil(reach - ROUNDING).astype(np.int64)
    reach_right = reach_left if config.outer_even else np.floor(reach + ROUNDING).astype(np.int64)
    n_edges = cas_KN.shape[1] + 1
    row_begin = first - first % n_edges
    left = np.maximum(first - reach_left, row_begin)
    right = np.minimum(last + reach_right, row_begin + n_edges - 1)
    n_outer = (first - left) + (right - last)
    outer_sum = (outside[first] - outside[left]) + (outside[right] - outside[last])
    outer_mean = np.where(n_outer > 0, outer_sum / np.maximum(n_outer, 1), 0.0)
    inner_mean = (inside[last] - inside[first]) / n_cells
    return np.asarray(inner_mean - outer_mean, dtype=np.float64)


def _prefix_sums(values_KN: Float64[np.ndarray, "k n"]) -> Float64[np.ndarray, " edges"]:
    """At each edge the sum of the row's cells before it; rows one after the other."""
    n_rows, n_cells = values_KN.shape
    sums = np.zeros((n_rows, n_cells + 1))
    np.cumsum(values_KN, axis=1, out=sums[:, 1:])
    return sums.reshape(-1)


def _changes(sorted_R: Int64[np.ndarray, " r"]) -> Bool[np.ndarray, " r"]:
    """True where a number is not the one before it."""
    new = np.ones(len(sorted_R), dtype=bool)
    new[1:] = sorted_R[1:] != sorted_R[:-1]
    return new


def _packed(runs_R: Int64[np.ndarray, "r 2"], n_edges: int) -> Int64[np.ndarray, " r"]:
    """One number a run, in the order of (first, last): numbers sort faster than pairs."""
    return np.asarray(runs_R[:, 0] * n_edges + (runs_R[:, 1] - runs_R[:, 0]))


def _unpacked(numbers_R: Int64[np.ndarray, " r"], n_edges: int) -> Int64[np.ndarray, "r 2"]:
    first, n_cells = np.divmod(numbers_R, n_edges)
    return np.stack((first, first + n_cells), axis=1)
