"""Which segments are right in one video, and which videos are shown."""

import pytest

from ascnet_cli.evaluation.timelines import lane_of, right_ones, telling_videos, timeline_of
from ascnet_cli.segments import Detection, Segment

RUN = [("run", Segment(0.0, 10.0)), ("run", Segment(20.0, 30.0))]


def found(*rows):
    return tuple(Detection(label, Segment(start, end), score) for label, start, end, score in rows)


def states(lane):
    return [(bar.segment.start_s, bar.state) for bar in lane.bars]


def test_a_segment_is_right_where_it_takes_an_instance_of_its_class():
    segments = found(
        ("run", 1.0, 10.0, 0.9),  # takes the first
        ("run", 0.0, 10.0, 0.8),  # better placed, and too late
        ("jump", 20.0, 30.0, 0.7),  # of another class
        ("run", 26.0, 36.0, 0.6),  # tIoU 4 / 16
        ("run", 21.0, 29.0, 0.5),
    )
    assert right_ones(RUN, segments) == {0, 4}
    assert right_ones(RUN, segments, 0.2) == {0, 3}
    assert right_ones([], segments) == set()
    assert right_ones(RUN, ()) == set()


def test_the_best_segments_as_many_as_there_are_instances_are_shown_in_full():
    segments = found(("run", 5.0, 6.0, 0.1), ("run", 0.0, 10.0, 0.5), ("swim", 50.0, 60.0, 0.9))
    lane = lane_of("mine", RUN, segments)
    assert states(lane) == [(50.0, "wrong"), (0.0, "right"), (5.0, "rest")]
    assert lane.note == "1 of 2"


def test_of_a_video_without_instances_the_best_segment_is_wrong():
    segments = found(("run", 5.0, 6.0, 0.1), ("run", 0.0, 10.0, 0.5))
    assert states(lane_of("mine", [], segments)) == [(0.0, "wrong"), (5.0, "rest")]


def test_equal_scores_do_not_depend_on_the_order():
    segments = found(("run", 5.0, 6.0, 0.5), ("run", 0.0, 10.0, 0.5), ("jump", 0.0, 10.0, 0.5))
    assert lane_of("a", RUN, segments) == lane_of("a", RUN, segments[::-1])


def test_lanes_are_the_truth_and_one_a_result():
    results = {"a": {"v": found(("run", 0.0, 10.0, 0.5))}, "b": {}}
    one = timeline_of("v", RUN, results, 100.0)
    assert [(lane.name, lane.note) for lane in one.lanes] == [
        ("truth", "2"),
        ("a", "1 of 2"),
        ("b", "0 of 2"),
    ]
    assert [bar.segment for bar in one.lanes[0].bars] == [segment for _, segment in RUN]
    assert one.duration_s == 100
    assert 30 < timeline_of("v", RUN, results, None).duration_s < 32
    assert timeline_of("v", [], {}, None).duration_s > 0


def test_telling_videos():
    truth = {
        "quiet": [],
        "long": [("run", Segment(float(n), n + 0.5)) for n in range(9)],
        "mixed": [("run", Segment(0.0, 1.0)), ("jump", Segment(1.0, 2.0)), ("swim", Segment(3.0, 4.0))],
        "good": RUN,
        "bad": [("jump", Segment(0.0, 10.0)), ("jump", Segment(20.0, 30.0))],
        "apart": [("swim", Segment(0.0, 10.0)), ("swim", Segment(20.0, 30.0))],
    }
    right = {
        video: found(*((label, s.start_s, s.end_s, 0.5) for label, s in seen))
        for video, seen in truth.items()
    }
    half = {**right, "bad": (), "apart": right["apart"][:1], "long": right["long"][:5]}
    other = {**half, "apart": ()}
    chosen = telling_videos(truth, {"half": half, "other": other})
    assert [(one.video, one.reason) for one in chosen] == [
        ("long", "the most instances"),
        ("mixed", "the most classes"),
        ("good", "half does best here"),
        ("bad", "half does worst here"),
        ("apart", "the results differ most here"),
    ]
    assert telling_videos({"quiet": []}, {"half": half}) == ()
    assert [one.video for one in telling_videos({"v": RUN}, {"half": half})] == ["v"]


@pytest.mark.parametrize("n_found", [0, 1, 1000])
def test_a_lane_is_bounded(n_found):
    segments = found(*(("run", float(n), n + 1.0, 0.5) for n in range(n_found)))
    assert len(lane_of("mine", RUN, segments).bars) == min(n_found, 152)
