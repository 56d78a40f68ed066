"""Detectors that look at no time at all."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ascnet_cli.evaluation.detection import evaluate
from ascnet_cli.evaluation.trivial import typical_length_s, uniform_pieces, whole_video
from ascnet_cli.segments import Detection, Segment

SCORES = {"a": {"jump": 0.4, "run": 0.9}, "b": {"run": 0.5}, "quiet": {}}
DURATIONS_S = {"a": 10.0, "b": 3.0, "quiet": 5.0}


def test_the_whole_video_is_a_segment_of_each_class():
    a, b, quiet = whole_video(SCORES, DURATIONS_S)
    assert (a.video, a.duration_s) == ("a", 10.0)
    whole = Segment(0.0, 10.0)
    assert a.detections == (Detection("run", whole, 0.9), Detection("jump", whole, 0.4))
    assert b.detections == (Detection("run", Segment(0.0, 3.0), 0.5),)
    assert quiet.detections == ()


def test_pieces_are_equal_and_as_many_as_come_closest():
    a, b, _ = uniform_pieces(SCORES, DURATIONS_S, 2.4)
    assert [d.segment for d in a.detections if d.label == "run"] == [
        Segment(0.0, 2.5),
        Segment(2.5, 5.0),
        Segment(5.0, 7.5),
        Segment(7.5, 10.0),
    ]
    assert {d.score for d in a.detections if d.label == "jump"} == {0.4}
    assert [d.segment for d in b.detections] == [Segment(0.0, 3.0)]


def test_a_video_shorter_than_a_piece_is_one():
    (b,) = uniform_pieces({"b": {"run": 1.0}}, DURATIONS_S, 60.0)
    assert len(b.detections) == 1


@given(
    duration_s=st.floats(0.1, 1e4),
    pieces=st.floats(0.1, 12),
    scores=st.dictionaries(st.sampled_from("xyz"), st.floats(0, 1), min_size=1),
)
def test_pieces_cover_the_video_without_gaps_in_the_promised_order(duration_s, pieces, scores):
    (found,) = uniform_pieces({"v": scores}, {"v": duration_s}, duration_s / pieces)
    keys = [(d.segment.start_s, -d.score) for d in found.detections]
    assert keys == sorted(keys)
    for label in scores:
        segments = [d.segment for d in found.detections if d.label == label]
        assert segments[0].start_s == 0
        assert segments[-1].end_s == duration_s
        assert all(x.end_s == y.start_s for x, y in pairwise(segments))


def test_where_the_whole_video_is_the_instance_the_trivial_detector_is_perfect():
    truth = {"a": [("run", Segment(0.0, 10.0))], "b": []}
    found = {v.video: v.detections for v in whole_video({"a": {"run": 0.9}, "b": {}}, DURATIONS_S)}
    assert evaluate(truth, found, [0.5, 0.99]).map == (1.0, 1.0)


def test_the_typical_length_is_the_median():
    lengths = (1.0, 2.0, 30.0)
    assert typical_length_s(Segment(5.0, 5.0 + length) for length in lengths) == pytest.approx(2.0)
    assert typical_length_s([]) is None


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="how long 'b' is"):
        whole_video({"b": {"run": 1.0}}, {"a": 1.0})
    for piece_s in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="longer than 0 s"):
            uniform_pieces(SCORES, DURATIONS_S, piece_s)
    with pytest.raises(ValueError, match="0 <= start < end"):
        whole_video({"b": {"run": 1.0}}, {"b": 0.0})
