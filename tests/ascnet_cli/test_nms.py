import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ascnet_cli.localization.nms as nms_module
from ascnet_cli.localization.nms import nms
from ascnet_cli.segments import Segment


def run(segments, scores, **options):
    starts, ends = np.asarray(segments, dtype=np.float64).reshape(-1, 2).T.copy()
    return nms(starts, ends, np.asarray(scores, dtype=np.float64), **options).tolist()


def by_definition(segments, scores, tiou, plus_one):
    """One at a time, in the stated order, each compared with all that stay."""
    spans = [Segment(start, end + plus_one) for start, end in segments]
    order = sorted(range(len(spans)), key=lambda i: (-scores[i], *segments[i], i))
    kept = []
    for i in order:
        if all(spans[i].tiou(spans[k]) < tiou for k in kept):
            kept.append(i)
    return kept


def test_the_better_of_two_that_overlap_stays():
    assert run([[0, 10], [1, 10], [20, 30]], [0.5, 0.9, 0.1], tiou=0.4) == [1, 2]


def test_touching_segments_do_not_overlap():
    assert run([[0, 1], [1, 2]], [0.5, 0.9], tiou=0.1) == [1, 0]


def test_an_overlap_of_exactly_the_threshold_is_removed():
    assert run([[0, 10], [0, 5]], [0.9, 0.5], tiou=0.5) == [0]
    assert run([[0, 10], [0, 4.999]], [0.9, 0.5], tiou=0.5) == [0, 1]


def test_equal_scores_go_by_start_then_end_then_position():
    assert run([[2, 12], [1, 12], [1, 11], [1, 11]], [0.5] * 4, tiou=0.4) == [2]
    assert run([[30, 31], [20, 21], [10, 11]], [0.5] * 3, tiou=0.4) == [2, 1, 0]


def test_a_second_more_makes_short_neighbours_overlap():
    segments = [[0.0, 0.5], [0.6, 1.1]]  # 0.9 of overlap in 2.1 once each ends a second later
    assert run(segments, [0.9, 0.5], tiou=0.4) == [0, 1]
    assert run(segments, [0.9, 0.5], tiou=0.4, plus_one=True) == [0]


def test_what_a_removed_segment_overlaps_may_stay():
    assert run([[0, 10], [4, 14], [8, 18]], [0.9, 0.8, 0.7], tiou=0.3) == [0, 2]


def test_nothing_in_nothing_out():
    assert run([], [], tiou=0.4) == []


@pytest.mark.parametrize("tiou", [0.0, -0.1, 1.5])
def test_a_threshold_out_of_range_is_refused(tiou):
    with pytest.raises(ValueError, match="tIoU"):
        run([[0, 1]], [0.5], tiou=tiou)


def test_an_empty_segment_is_refused():
    with pytest.raises(ValueError, match="segment 1 is empty"):
        run([[0, 1], [3, 3]], [0.5, 0.4], tiou=0.5)


spans = st.tuples(st.integers(0, 30), st.integers(1, 20)).map(lambda t: (t[0] / 4, (t[0] + t[1]) / 4))


@settings(deadline=None)
@given(
    proposals=st.lists(st.tuples(spans, st.integers(0, 5)), max_size=40),
    tiou=st.sampled_from([0.05, 0.25, 0.4, 0.5, 1.0]),
    plus_one=st.booleans(),
)
def test_it_is_the_definition(proposals, tiou, plus_one):
    segments, scores = [p[0] for p in proposals], [p[1] / 5 for p in proposals]
    assert run(segments, scores, tiou=tiou, plus_one=plus_one) == by_definition(
        segments, scores, tiou, plus_one
    )


@settings(deadline=None)
@given(
    proposals=st.lists(st.tuples(spans, st.integers(0, 5), st.integers(0, 3)), max_size=40),
    tiou=st.sampled_from([0.05, 0.4, 1.0]),
)
def test_groups_leave_each_other_alone(proposals, tiou):
    group = np.array([10 * p[2] for p in proposals], dtype=np.int64)
    kept = run([p[0] for p in proposals], [p[1] / 5 for p in proposals], tiou=tiou, groups=group)
    for g in set(group.tolist()):
        [members] = np.nonzero(group == g)
        alone = run([proposals[i][0] for i in members], [proposals[i][1] / 5 for i in members], tiou=tiou)
        assert [i for i in kept if group[i] == g] == members[alone].tolist()


@pytest.mark.parametrize("at_once", [1, 7, 64])
def test_how_many_pairs_are_compared_at_a_time_changes_nothing(monkeypatch, at_once):
    rng = np.random.default_rng(0)
    starts, lengths = rng.integers(0, 40, 200) / 4, rng.integers(1, 30, 200) / 4
    segments, scores = np.stack((starts, starts + lengths), axis=1), rng.integers(0, 9, 200) / 8
    monkeypatch.setattr(nms_module, "_PAIRS_AT_ONCE", at_once)
    assert run(segments, scores, tiou=0.4) == by_definition(segments.tolist(), scores, 0.4, False)
