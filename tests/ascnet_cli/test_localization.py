import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ascnet_cli.config_localization import LocalizationConfig, localization_config
from ascnet_cli.localization.proposals import TimeAxis, fine_grid, kept_classes, localize, runs_at_least
from ascnet_cli.segments import Segment
from tests.unchecked import refusals

FIXED = localization_config("fixed", "thumos14")
PAPER = localization_config("paper", "thumos14")
HALF = LocalizationConfig(alphas=(0.5,), betas=(), class_threshold=0.1)


def snippets(n_rows, duration_s=None):
    """The axis of 16-frame snippets at 25 frames a second."""
    return TimeAxis(first_s=0.32, step_s=0.64, window_s=0.64, duration_s=duration_s or 0.64 * n_rows)


def one_class(values, axis=None, config=HALF):
    cas = np.asarray(values, dtype=np.float32)[:, None]
    return localize(cas, None, np.ones(1, dtype=np.float32), ["run"], axis or snippets(len(cas)), config)


def bounds(detections):
    return [(pytest.approx(d.segment.start_s), pytest.approx(d.segment.end_s)) for d in detections]


def by_definition(cas, attention, video, labels, n_rows, config):
    """The method page's steps for snippets, one proposal at a time, in plain Python."""
    cell, n = 0.64 / config.upsample, n_rows * config.upsample
    shift = 0.5 if config.centre else 0.0

    def fine(rows):
        cells = []
        for j in range(n):
            place = (j + shift) / config.upsample - shift  # in rows
            if config.centre:
                place = min(max(place, 0.0), n_rows - 1.0)
            k = min(max(math.floor(place + 1e-9), 0), max(n_rows - 2, 0))
            after = rows[min(k + 1, n_rows - 1)]
            cells.append(rows[k] + (place - k) * (after - rows[k]))
        return cells

    def runs(cells, threshold):
        inside = [j for j in range(n) if cells[j] >= threshold]
        firsts = [j for j in inside if j - 1 not in inside]
        lasts = [j for j in inside if j + 1 not in inside]
        return [(a, b + 1) for a, b in zip(firsts, lasts, strict=True) if b + 1 - a >= config.min_cells]

    found = []
    kept = [c for c in range(len(labels)) if video[c] > config.class_threshold]
    for c in kept or [int(np.argmax(video))]:
        score_cells = fine(cas[:, c].tolist())
        scored = {}
        families = [(score_cells, a, a) for a in config.alphas]
        families += [(fine(attention.tolist()), b, -math.inf) for b in config.betas]
        for cells, threshold, floor in families:
            for a, b in runs(cells, threshold):
                floor_here = floor if config.outer == "thresholded" else -math.inf
                reach = (b - a) * config.outer_fraction
                left = math.ceil(reach - 1e-6)
                right = left if config.outer_even else math.floor(reach + 1e-6)
                around = score_cells[max(0, a - left) : a] + score_cells[b : b + right]
                around = [value if value >= floor_here else 0.0 for value in around]
                outer = sum(around) / len(around) if around else 0.0
                score = sum(score_cells[a:b]) / (b - a) - outer + config.gamma * video[c]
                scored[a, b] = max(score, scored.get((a, b), -math.inf))
        spans = {key: Segment(key[0] * cell, key[1] * cell + config.nms_plus_one) for key in scored}
        chosen = []
        for key in sorted(scored, key=lambda key: -scored[key]):
            if all(spans[key].tiou(spans[other]) < config.nms_tiou for other in chosen):
                chosen.append(key)
        found += [(labels[c], a * cell, b * cell, scored[a, b]) for a, b in chosen]
    return found


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_rows=st.integers(1, 12),
    base=st.sampled_from([FIXED, PAPER]),
    outer=st.sampled_from(["sides", "thresholded"]),
    upsample=st.sampled_from([1, 4, 20]),
)
def test_it_is_the_definition(seed, n_rows, base, outer, upsample):
    config = replace(base, outer=outer, upsample=upsample, betas=(0.3, 0.5, 0.7))
    rng = np.random.default_rng(seed)
    cas, attention, video = rng.random((n_rows, 3)), rng.random(n_rows), rng.dirichlet(np.ones(3))
    labels = ["a", "b", "c"]
    expected = by_definition(cas, attention, video, labels, n_rows, config)
    found = localize(cas, attention, video, labels, snippets(n_rows), config)
    assert len(found) == len(expected)
    by_name_and_time = sorted((d.label, d.segment.start_s, d.segment.end_s, d.score) for d in found)
    for got, want in zip(by_name_and_time, sorted(expected), strict=True):
        assert got[0] == want[0]
        assert got[1:] == pytest.approx(want[1:], abs=1e-9)


def test_a_step_lies_half_way_between_the_centres_it_is_between():
    values = np.zeros(20)
    values[5:10] = 1
    assert bounds(one_class(values)) == [(5 * 0.64, 10 * 0.64)]


def test_the_ancestors_report_everything_half_a_snippet_early():
    values = np.zeros(20)
    values[5:10] = 1
    [detection] = one_class(values, config=replace(HALF, centre=False))
    # To a cell: the threshold is met at a cell's very edge.
    assert detection.segment.start_s == pytest.approx(5 * 0.64 - 0.32, abs=0.033)
    assert detection.segment.end_s == pytest.approx(10 * 0.64 - 0.32, abs=0.033)


def test_an_action_at_the_edges_reaches_the_edges():
    assert bounds(one_class([1, 1, 0, 0, 0, 0, 1, 1])) == [(0, 2 * 0.64), (6 * 0.64, 8 * 0.64)]


def test_segments_are_clipped_to_the_video():
    # The last snippet is padded: the video ends within it.
    assert bounds(one_class(np.ones(4), snippets(4, duration_s=2.0))) == [(0, 2.0)]
    paper = replace(HALF, centre=False)
    assert bounds(one_class(np.ones(4), snippets(4, duration_s=2.0), paper)) == [(0, 2.0)]


def test_rows_after_the_end_of_the_video_give_nothing():
    assert one_class([0, 0, 0, 1], snippets(4, duration_s=1.0)) == ()


@pytest.mark.parametrize("config", [HALF, replace(HALF, centre=False)])
def test_one_row_is_enough(config):
    assert bounds(one_class([1.0], config=config)) == [(0, 0.64)]


def test_no_rows_no_segments():
    assert one_class([], axis=snippets(1)) == ()


def test_dense_rows_with_long_windows():
    axis = TimeAxis(first_s=0.32, step_s=0.32, window_s=2.56, duration_s=9.9)
    values = np.zeros(30)
    values[:3] = values[10:20] = values[-2:] = 1
    found = bounds(one_class(values, axis))
    assert found[0] == (0.0, pytest.approx(0.32 * 3.5))
    assert found[1] == (pytest.approx(0.32 * 10.5), pytest.approx(0.32 * 20.5))
    assert found[2] == (pytest.approx(0.32 * 28.5), 9.9)


def test_rows_that_were_picked_evenly_say_the_same_with_and_without_their_times():
    rng = np.random.default_rng(3)
    values = rng.random(30)
    even = snippets(30)
    told = replace(even, rows_s=tuple(even.centres_s(30).tolist()))
    assert one_class(values, told) == one_class(values, even)


def test_picked_rows_stand_where_they_were_picked():
    rows = (0, 1, 2, 5, 9)  # of ten snippets
    axis = replace(snippets(10), rows_s=tuple(0.32 + 0.64 * k for k in rows))
    [detection] = one_class([0, 0, 0, 1, 0], axis)
    assert detection.segment.start_s == pytest.approx(0.32 + 0.64 * 3.5, abs=0.033)
    assert detection.segment.end_s == pytest.approx(0.32 + 0.64 * 7, abs=0.033)


def test_attention_finds_what_the_classes_do_not():
    cas = np.full((20, 1), 0.1)
    attention = np.zeros(20)
    attention[4:8] = 0.9
    config = replace(HALF, betas=(0.45,))
    assert bounds(localize(cas, attention, np.ones(1), ["run"], snippets(20), config)) == [(2.56, 5.12)]


def test_the_score_of_a_plateau():
    values = np.full(40, 0.1)
    values[10:20] = 0.9
    config = replace(HALF, upsample=1)
    [detection] = one_class(values, config=config)
    # upsample 1: cells are snippets, their scores those of the rows; two cells on each side
    assert detection.score == pytest.approx(0.9 - 0.1 + 0.25 * 1.0, abs=1e-6)


def test_where_nothing_is_outside_nothing_is_subtracted():
    [detection] = one_class(np.full(10, 0.75), config=replace(HALF, gamma=0.0))
    assert detection.score == pytest.approx(0.75)


def test_a_run_that_many_thresholds_give_is_there_once():
    values = np.zeros(20)
    values[5:10] = 1
    config = replace(HALF, alphas=(0.5, 0.49999, 0.50001), nms_tiou=1.0)
    assert len(one_class(values, config=config)) == 1


def test_runs_of_one_cell_are_dropped():
    values = np.zeros(20)
    values[5] = values[10] = values[11] = 1
    assert bounds(one_class(values, config=replace(HALF, upsample=1))) == [(6.4, 7.68)]


def test_classes_above_the_threshold_else_the_best():
    assert kept_classes(np.array([0.3, 0.25, 0.45]), 0.25) == [0, 2]
    assert kept_classes(np.array([0.1, 0.2, 0.15]), 0.25) == [1]


def test_the_order_is_start_then_falling_score():
    cas = np.zeros((20, 2))
    cas[10:12, 0] = cas[2:4, 0] = 1.0
    cas[2:4, 1] = 0.8
    found = localize(cas, None, np.array([0.5, 0.5]), ["b", "a"], snippets(20), HALF)
    assert [d.label for d in found] == ["b", "a", "b"]
    assert [d.segment.start_s for d in found] == sorted(d.segment.start_s for d in found)


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=30),
    st.floats(0.05, 25),
    st.sampled_from([FIXED, PAPER, replace(PAPER, centre=True), replace(FIXED, centre=False)]),
)
@settings(deadline=None)
def test_whatever_the_scores_segments_lie_in_the_video(values, duration_s, config):
    rows = np.asarray(values)
    axis = snippets(len(rows), duration_s=duration_s)
    for found in localize(rows[:, None], rows[::-1].copy(), np.ones(1), ["run"], axis, config):
        assert 0 <= found.segment.start_s < found.segment.end_s <= duration_s


def test_runs():
    values = np.array([0.5, 0.4, 0.5, 0.6, 0.1, 0.9])
    assert runs_at_least(values, 0.5).tolist() == [[0, 1], [2, 4], [5, 6]]
    assert runs_at_least(values, 1.0).tolist() == []
    assert runs_at_least(values, 0.0).tolist() == [[0, 6]]


def test_cells_are_even_and_a_level_keeps_its_value():
    grid = fine_grid(snippets(7), 7, FIXED)
    assert grid.edges_s == pytest.approx(np.arange(141) * 0.032, abs=1e-12)
    assert np.all(grid.sample(np.full(7, 0.2)) == 0.2)
    assert grid.sample(np.arange(7.0))[[9, 10]] == pytest.approx([0.0, 0.025])


def test_the_ancestors_last_step_is_extrapolated():
    grid = fine_grid(snippets(3), 3, PAPER)
    assert grid.sample(np.array([0.0, 1.0, 3.0]))[[0, 20, 40, 59]] == pytest.approx(
        [0, 1, 3, 3 + 2 * 19 / 20]
    )


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ("cas=np.zeros((4, 2))", "labels"),
        ("video=np.zeros(2)", "video"),
        ("labels=['a', 'b']", "2 labels"),
        ("attention=np.zeros(3)", "attention"),
        ("attention=None", "betas"),
        ("cas=np.full((4, 1), np.nan)", "cas"),
        ("video=np.array([np.inf])", "video"),
    ],
)
def test_scores_that_do_not_fit_are_refused(changes, named):
    setup = (
        "from tests.ascnet_cli.test_localization import *\n"
        "good = {'cas': np.zeros((4, 1)), 'attention': np.zeros(4), 'video': np.ones(1), 'labels': ['run']}\n"
        "good |= {'axis': snippets(4), 'config': FIXED}\n"
    )
    good, refused = refusals(setup, "localize(**good)", f"localize(**good | dict({changes}))")
    assert good == "taken"
    assert refused.startswith(("ValueError: ", "ShapeError: ", "OptionError: ", "FeatureError: "))
    assert named in refused


@pytest.mark.parametrize(
    "changes",
    [
        {"step_s": 0.0},
        {"window_s": math.nan},
        {"duration_s": -1.0},
        {"first_s": -0.1},
        {"rows_s": ()},
        {"rows_s": (0.5, 1.0)},
        {"rows_s": (0.32, 0.96, 0.96)},
    ],
)
def test_a_time_axis_that_cannot_be_is_refused(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        replace(snippets(4), **changes)


def test_a_time_axis_with_another_number_of_rows_is_refused():
    with pytest.raises(ValueError, match="4 rows of scores, but the time axis has 2"):
        replace(snippets(4), rows_s=(0.32, 0.96)).centres_s(4)
