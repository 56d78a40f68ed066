import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ascnet_cli.errors import PredictionsError
from ascnet_cli.evaluation.detection import average_precision, evaluate
from ascnet_cli.segments import Detection, Segment

AUTOLOC = Path(__file__).parents[3] / "shared" / "data" / "predictions" / "autoloc-thumos14"


def span(start, end):
    return Segment(float(start), float(end))


def truth(*spans):
    return [span(start, end) for start, end in spans]


def found(*spans_and_scores):
    return [Detection("run", span(start, end), float(score)) for start, end, score in spans_and_scores]


def ap(ground_truth, predictions, *tious):
    return average_precision(ground_truth, predictions, tious or (0.5,)).tolist()


def golden(value):
    return pytest.approx(value, abs=1e-12)


def test_perfect_predictions():
    assert ap({"v": truth((0, 10), (20, 30))}, {"v": found((0, 10, 0.9), (20, 30, 0.1))}, 0.5, 1.0) == [1, 1]


def test_the_area_under_interpolated_precision():
    # By score: true, false, true, false, true; 4 to find. Precisions 1, 1/2, 2/3, 1/2, 3/5 become
    # 1, 2/3, 2/3, 3/5, 3/5; a fourth of recall at each true one.
    spans = truth((0, 1), (10, 11), (20, 21), (30, 31))
    predictions = found((0, 1, 0.9), (5, 6, 0.8), (10, 11, 0.7), (15, 16, 0.6), (20, 21, 0.5))
    assert ap({"v": spans}, {"v": predictions}) == golden([(1 + 2 / 3 + 3 / 5) / 4])


def test_a_later_higher_precision_counts_for_earlier_recall():
    # False, true, true: precisions 0, 1/2, 2/3, so 2/3 at both.
    predictions = found((50, 51, 0.9), (0, 1, 0.8), (10, 11, 0.7))
    assert ap({"v": truth((0, 1), (10, 11))}, {"v": predictions}) == golden([2 / 3])


def test_a_second_prediction_of_a_taken_segment_is_false():
    spans = truth((0, 10), (20, 30))
    predictions = found((0, 10, 0.9), (0, 9, 0.8), (20, 30, 0.7))
    assert ap({"v": spans}, {"v": predictions}) == golden([(1 + 2 / 3) / 2])


def test_a_taken_segment_leaves_the_next_best_one():
    # Both predictions fit the first segment best; the second one still reaches 0.5 with the other.
    spans = truth((0, 10), (2, 12))
    predictions = found((0, 10, 0.9), (0.5, 10.5, 0.8))
    assert ap({"v": spans}, {"v": predictions}, 0.5) == [1.0]
    assert ap({"v": spans}, {"v": predictions}, 0.9) == [0.5]


def test_exactly_the_threshold_counts():
    spans = {"v": truth((0, 10))}
    assert ap(spans, {"v": found((0, 5, 0.9))}, 0.5) == [1.0]
    assert ap(spans, {"v": found((0, 7, 0.9))}, 0.7) == [1.0]
    assert ap(spans, {"v": found((0, math.nextafter(5, 0), 0.9))}, 0.5) == [0.0]


def test_of_equally_good_segments_the_earlier_one_is_taken():
    # The prediction (4, 6) has tIoU 1/3 with both; what is left decides about (0, 4).
    spans = {"v": truth((5, 9), (1, 5))}
    assert ap(spans, {"v": found((4, 6, 0.9), (1, 5, 0.8))}, 0.2) == golden([0.5])
    assert ap(spans, {"v": found((4, 6, 0.9), (5, 9, 0.8))}, 0.2) == [1.0]


def test_equal_scores_go_by_video_then_start_then_end():
    spans = {"b": truth((0, 10))}
    false_first = {"b": found((0, 10, 0.5)), "a": found((0, 10, 0.5))}
    assert ap(spans, false_first) == golden([1 / 2])
    false_later = {"b": found((0, 10, 0.5)), "c": found((0, 10, 0.5))}
    assert ap(spans, false_later) == [1.0]
    # In one video (0, 9) goes before (0, 10), takes the segment, and is the one that counts.
    assert ap(spans, {"b": found((0, 10, 0.5), (0, 9, 0.5))}, 0.9) == [1.0]
    assert ap(spans, {"b": found((0, 10, 0.5), (0, 9, 0.5))}, 0.95) == golden([1 / 2])


def test_two_identical_ground_truth_segments_want_two_predictions():
    spans = {"v": truth((0, 10), (0, 10))}
    assert ap(spans, {"v": found((0, 10, 0.9))}) == [0.5]
    assert ap(spans, {"v": found((0, 10, 0.9), (0, 10, 0.8))}) == [1.0]


def test_no_prediction_is_an_average_precision_of_zero():
    assert ap({"v": truth((0, 10))}, {}) == [0.0]
    assert ap({"v": truth((0, 10))}, {"v": []}, 0.1, 0.2) == [0.0, 0.0]


def test_without_ground_truth_it_is_not_defined():
    with pytest.raises(ValueError, match="without ground truth"):
        ap({"v": []}, {"v": found((0, 1, 0.5))})


@pytest.mark.parametrize("tious", [(), (0.0,), (0.5, 1.2), (math.nan,)])
def test_thresholds_out_of_range_are_refused(tious):
    with pytest.raises(ValueError, match="tIoU thresholds"):
        average_precision({"v": truth((0, 1))}, {}, tious)


def test_the_mean_is_over_classes_with_ground_truth():
    ground_truth = {
        "a": [("run", span(0, 10)), ("jump", span(20, 30))],
        "b": [("run", span(5, 15))],
        "empty": [],
    }
    predictions = {
        "a": [Detection("run", span(0, 10), 0.9), Detection("swim", span(0, 10), 0.9)],
        "empty": [Detection("Run", span(0, 10), 0.9), Detection("jump", span(20, 30), 0.2)],
    }
    result = evaluate(ground_truth, predictions, [0.5, 0.75], classes=["run", "jump", "swim", "dive"])
    assert result.per_class == {"jump": (0.0, 0.0), "run": (0.5, 0.5)}
    assert result.instances == {"jump": 1, "run": 2}
    assert result.map == (0.25, 0.25)
    assert result.average == 0.25
    assert result.tious == (0.5, 0.75)
    assert (result.n_videos, result.n_predictions) == (3, 2)
    assert result.absent_classes == ("dive", "swim")
    assert result.unknown_labels == ("Run",)
    assert result.unknown_videos == ()


def test_predictions_in_unknown_videos_are_named_and_false():
    ground_truth = {"video_1": [("run", span(0, 10))]}
    good = {"video_1": [Detection("run", span(0, 10), 0.5)]}
    bad = good | {"Video_1": [Detection("run", span(0, 10), 0.9)]}
    assert evaluate(ground_truth, good, [0.5]).map == (1.0,)
    result = evaluate(ground_truth, bad, [0.5])
    assert result.map == golden((0.5,))
    assert result.unknown_videos == ("Video_1",)


def test_no_ground_truth_at_all_is_an_error():
    with pytest.raises(PredictionsError, match="2 videos, none with a segment") as caught:
        evaluate({"a": [], "b": []}, {}, [0.5])
    assert caught.value.hint


spans = st.tuples(st.integers(0, 12), st.integers(1, 6)).map(lambda t: span(t[0], sum(t)))
names = st.sampled_from(["a", "b", "c"])
labels = st.sampled_from(["run", "jump"])
instances = st.lists(st.tuples(names, labels, spans), min_size=1, max_size=12)
detections = st.lists(st.tuples(names, labels, spans, st.integers(1, 4)), max_size=15)
TIOUS = (0.2, 0.5, 0.75)


def gathered(items, value):
    by_video = {}
    for item in items:
        by_video.setdefault(item[0], []).append(value(item))
    return by_video


def scored(truth_items, found_items):
    return evaluate(
        gathered(truth_items, lambda item: (item[1], item[2])),
        gathered(found_items, lambda item: Detection(item[1], item[2], float(item[3]))),
        TIOUS,
    )


@settings(deadline=None, max_examples=50)
@given(instances, detections, st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(truth_items, found_items, random):
    shuffled_truth, shuffled_found = list(truth_items), list(found_items)
    random.shuffle(shuffled_truth)
    random.shuffle(shuffled_found)
    assert scored(truth_items, found_items) == scored(shuffled_truth, shuffled_found)


@settings(deadline=None, max_examples=50)
@given(instances, detections, names, labels)
def test_a_false_positive_of_the_lowest_score_never_helps(truth_items, found_items, name, label):
    far_away = (name, label, span(100, 101), 0)
    before, after = scored(truth_items, found_items), scored(truth_items, [*found_items, far_away])
    for one, other in zip(before.map, after.map, strict=True):
        assert other <= one


@settings(deadline=None, max_examples=50)
@given(instances, detections, names, labels)
def test_a_false_positive_of_the_highest_score_never_helps(truth_items, found_items, name, label):
    far_away = (name, label, span(100, 101), 9)
    before, after = scored(truth_items, found_items), scored(truth_items, [*found_items, far_away])
    assert after.average <= before.average


@settings(deadline=None, max_examples=50)
@given(instances, detections)
def test_average_precision_is_a_fraction(truth_items, found_items):
    result = scored(truth_items, found_items)
    for values in result.per_class.values():
        assert all(0 <= value <= 1 for value in values)


@settings(deadline=None, max_examples=50)
@given(instances)
def test_the_ground_truth_itself_is_perfect(truth_items):
    distinct = sorted(set(truth_items))
    assert scored(distinct, [(*item, 1) for item in distinct]).map == golden((1.0, 1.0, 1.0))


def by_video(columns_by_class, value):
    videos = {}
    for label, columns in enumerate(columns_by_class):
        rows = zip(*(columns[name] for name in columns if name != "cls"), strict=True)
        for video, *numbers in rows:
            videos.setdefault(video, []).append(value(str(label), *numbers))
    return videos


@pytest.mark.skipif(not AUTOLOC.is_dir(), reason=f"published predictions are not at {AUTOLOC}")
def test_published_predictions_get_their_published_numbers():
    """AutoLoc (ECCV 2018) on THUMOS14; times are fractions of the videos' lengths."""
    ground_truth = by_video(
        json.loads((AUTOLOC / "TH14_test_gt_dump_py2.json").read_text()),
        lambda label, start, end: (label, span(start, end)),
    )
    predictions = by_video(
        json.loads((AUTOLOC / "TH14_test_rslt.json").read_text()),
        lambda label, start, end, score: Detection(label, span(start, end), score),
    )
    result = evaluate(ground_truth, predictions, [i / 10 for i in range(1, 10)])
    published = [0.467, 0.417, 0.358, 0.290, 0.212, 0.134, 0.058, 0.016, 0.002]
    assert [round(value, 3) for value in result.map] == published
    assert len(result.unknown_videos) == 3
