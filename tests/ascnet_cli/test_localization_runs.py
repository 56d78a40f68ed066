from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ascnet_cli.config_localization import localization_config
from ascnet_cli.localization import proposals
from ascnet_cli.localization.proposals import TimeAxis, localize
from ascnet_cli.localization.runs import best_runs, contrast, different_runs, runs_at_any, runs_at_least

FIXED = localization_config("fixed", "thumos14")
rows = arrays(
    np.float64,
    st.tuples(st.integers(1, 5), st.integers(1, 12)),
    elements=st.sampled_from([0.0, 0.25, 0.5, 1.0]),
)


def test_no_run_goes_from_one_row_into_the_next():
    # Edges 0 to 3 are the first row's, 4 to 7 the second one's.
    assert runs_at_least(np.array([[0.0, 1, 1], [1, 0, 1]]), 0.5).tolist() == [[1, 3], [4, 5], [6, 7]]


@given(rows)
def test_many_rows_are_one_after_the_other(values_KN):
    n_edges = values_KN.shape[1] + 1
    one_by_one = [runs_at_least(row, 0.5) + k * n_edges for k, row in enumerate(values_KN)]
    assert runs_at_least(values_KN, 0.5).tolist() == np.concatenate(one_by_one).tolist()


@given(rows)
def test_runs_at_any_threshold_are_there_once_and_in_order(values_KN):
    row = values_KN[0]
    expected = {tuple(run) for level in (0.25, 0.5, 0.75) for run in runs_at_least(row, level).tolist()}
    assert runs_at_any(row, (0.5, 0.25, 0.75)).tolist() == [list(run) for run in sorted(expected)]


def test_a_run_keeps_the_best_of_its_scores():
    runs = np.array([[3, 5], [0, 5], [3, 5], [0, 2]])
    best, scores = best_runs(runs, np.array([0.1, 0.2, 0.3, 0.4]), 6)
    assert best.tolist() == different_runs(runs, 6).tolist() == [[0, 2], [0, 5], [3, 5]]
    assert scores.tolist() == [0.4, 0.2, 0.3]


@settings(deadline=None)
@given(rows, st.booleans())
def test_what_lies_in_other_rows_is_not_outside(values_KN, even):
    config = replace(FIXED, outer_even=even, outer_fraction=1.0)
    runs = runs_at_least(values_KN, 0.5)
    together = contrast(runs, values_KN, values_KN, config)
    alone = [contrast(runs_at_least(row, 0.5), row[None], row[None], config) for row in values_KN]
    assert together.tolist() == np.concatenate(alone).tolist()


@pytest.mark.parametrize("outer", ["sides", "thresholded"])
def test_how_many_classes_are_looked_at_together_changes_nothing(monkeypatch, outer):
    rng = np.random.default_rng(0)
    cas, attention, video = rng.random((20, 7)), rng.random(20), np.linspace(0.1, 1, 7)
    labels, axis = list("gfedcba"), TimeAxis(first_s=0.32, step_s=0.64, window_s=0.64, duration_s=12.8)
    config = replace(FIXED, outer=outer)
    together = localize(cas, attention, video, labels, axis, config)
    monkeypatch.setattr(proposals, "_CELLS_AT_ONCE", 1000)  # two classes and a half
    assert localize(cas, attention, video, labels, axis, config) == together
    assert {d.label for d in together} == set("edcba")  # two have too low a video score
