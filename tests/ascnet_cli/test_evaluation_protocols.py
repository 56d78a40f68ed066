"""Which videos, thresholds and units; golden numbers by hand."""

from dataclasses import replace

import pytest

from ascnet_cli.errors import OptionError, PredictionsError
from ascnet_cli.evaluation.protocols import PROTOCOLS, mean_over, parse_tious, prepare, protocol_named
from ascnet_cli.segments import Detection, Segment

CUSTOM = PROTOCOLS["custom"]


def span(start, end):
    return Segment(float(start), float(end))


TRUTH = {"v": [("run", span(0, 10))], "w": [("jump", span(5, 8))], "empty": []}


def found(label, start, end, score=0.5):
    return Detection(label, span(start, end), float(score))


def golden(value):
    return pytest.approx(value, abs=1e-12)


def test_the_thresholds_are_exact():
    assert list(PROTOCOLS) == ["thumos14-210", "thumos14-212", "wtalc", "activitynet13", "custom"]
    assert PROTOCOLS["thumos14-210"].tious == tuple(k / 10 for k in range(1, 8))
    assert PROTOCOLS["activitynet13"].tious == tuple(round(0.5 + 0.05 * k, 2) for k in range(10))


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("0.5:0.95:0.05", (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)),
        ("0.1:0.7:0.1", (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)),
        ("0.5", (0.5,)),
        ("0.5:0.5:0.1", (0.5,)),
        ("0.7, 0.3", (0.7, 0.3)),
        ("1", (1.0,)),
    ],
)
def test_thresholds_as_people_write_them(text, values):
    assert parse_tious(text) == values


@pytest.mark.parametrize(
    "text",
    ["", "a", "0.5:0.9", "0.9:0.5:0.1", "0.1:0.5:0", "0.1:0.5:0.3", "0,0.5", "0.5,1.1", "0.5,0.50", "nan",
     "0.1:1:1e-9", "0.5,", "nan:1:0.1", "1:2:3:4"],
)  # fmt: skip
def test_other_thresholds_are_refused(text):
    with pytest.raises(OptionError) as caught:
        parse_tious(text)
    assert caught.value.hint


def test_an_unknown_protocol():
    with pytest.raises(OptionError, match="unknown protocol 'thumos'") as caught:
        protocol_named("thumos")
    assert "thumos14-210" in caught.value.hint
    assert protocol_named("custom", [0.5]).tious == (0.5,)


def test_means_over_part_of_the_thresholds():
    case = prepare(CUSTOM, {"v": TRUTH["v"]}, {"v": [found("run", 0, 5.5)]})
    result = case.evaluate()
    assert result.map == (1, 1, 1, 1, 1, 0, 0)
    assert mean_over(result.tious, result.map, 0.1, 0.5) == 1
    assert mean_over(result.tious, result.map, 0.3, 0.7) == golden(3 / 5)
    assert mean_over(result.tious, result.map, 0.5, 0.9) is None


def test_videos_without_instances_and_without_predictions_are_evaluated():
    case = prepare(CUSTOM, TRUTH, {"empty": [found("run", 0, 10, 0.9)], "v": [found("run", 0, 10)]})
    assert case.evaluated == ("empty", "v", "w")
    assert case.n_silent == 1
    assert case.evaluate().per_class["run"] == golden((0.5,) * 7)
    assert case.description() == "3 videos with 2 instances of 2 classes"


def test_predictions_in_known_videos_that_are_not_evaluated_are_left_out():
    case = prepare(
        CUSTOM,
        TRUTH,
        {"v": [found("run", 0, 10)], "training": [found("run", 0, 10, 0.9)]},
        known_videos=["v", "w", "empty", "training"],
    )
    assert case.n_elsewhere == 1
    assert case.evaluate().per_class["run"] == golden((1.0,) * 7)


def test_a_dropped_video_is_not_judged_on_either_side():
    protocol = replace(CUSTOM, dropped=("w", "never there"))
    predictions = {"w": [found("run", 5, 8, 0.9)], "never there": [found("run", 5, 8, 0.9)]}
    case = prepare(protocol, TRUTH, predictions | {"v": [found("run", 0, 10)]})
    assert (case.evaluated, case.n_dropped, case.n_elsewhere) == (("empty", "v"), 1, 2)
    result = case.evaluate()
    assert result.map == golden((1.0,) * 7)
    assert result.absent_classes == ("jump",)


def test_unknown_names_are_an_error_that_lists_them():
    predictions = {"v": [found("Run", 0, 10)], "V": [found("run", 0, 10)]}
    with pytest.raises(PredictionsError) as caught:
        prepare(CUSTOM, TRUTH, predictions)
    said = str(caught.value)
    assert "unknown labels (1): 'Run'; known are 'jump', 'run'" in said
    assert "unknown videos (1): 'V'; 3 are known" in said
    assert "--ignore-unknown" in caught.value.hint


def test_many_unknown_names_are_cut_short():
    predictions = {f"x{number:02d}": [found("run", 0, 10)] for number in range(25)}
    with pytest.raises(PredictionsError, match=r"unknown videos \(25\): 'x00', .*'x19', and 5 more"):
        prepare(CUSTOM, TRUTH, predictions)


def test_a_class_of_another_subset_and_a_silent_unknown_video_are_no_error():
    case = prepare(CUSTOM, TRUTH, {"v": [found("swim", 0, 10)], "other": []}, classes=["swim"])
    assert (case.unknown_labels, case.unknown_videos, case.n_unknown) == ((), (), 0)
    assert case.evaluate().absent_classes == ("swim",)


def test_ignored_unknown_names_are_false_positives():
    predictions = {
        "v": [found("run", 0, 10, 0.5), found("Run", 0, 10, 0.9)],
        "V": [found("run", 0, 10, 0.9)],
    }
    case = prepare(CUSTOM, TRUTH, predictions, ignore_unknown=True)
    assert (case.unknown_labels, case.unknown_videos, case.n_unknown) == (("Run",), ("V",), 2)
    result = case.evaluate()
    assert result.per_class["run"] == golden((0.5,) * 7)
    assert (result.unknown_labels, result.unknown_videos) == (("Run",), ("V",))


def test_wtalc_rounds_both_sides_to_snippets():
    # 0.4 to 3.0 s is 0.625 to 4.6875 snippets, so 1 to 5; 0.7 to 3.3 s is 1.09 to 5.16, the same.
    truth = {"v": [("run", span(0.4, 3.0))]}
    predictions = {"v": [found("run", 0.7, 3.3)]}
    assert prepare(replace(PROTOCOLS["wtalc"], tious=(1.0,)), truth, predictions).evaluate().map == (1.0,)
    assert prepare(replace(CUSTOM, tious=(1.0,)), truth, predictions).evaluate().map == (0.0,)


def test_wtalc_rounds_halves_to_the_even_snippet():
    # 0.96 s is 1.5 snippets, so 2; 1.6 s is 2.5, so 2 again: nothing is left of the first instance.
    truth = {"v": [("run", span(0.96, 1.6)), ("run", span(6.4, 12.8))]}
    case = prepare(PROTOCOLS["wtalc"], truth, {"v": [found("run", 6.4, 12.8)]})
    assert (case.columns.truth.start.tolist(), case.columns.truth.end.tolist()) == ([2, 10], [2, 20])
    assert case.evaluate().map == golden((0.5,) * 7)


def test_wtalc_deletes_predictions_that_touch_an_ambiguous_interval():
    truth = {"v": [("run", span(6.4, 12.8))], "w": [("run", span(6.4, 12.8))]}
    ambiguous = {"v": [span(0, 3.2)]}
    predictions = {
        "v": [
            found("run", 0, 6.4, 0.9),  # overlaps it
            found("run", 3.2, 6.4, 0.8),  # begins where it ends: stays, and is false
            found("run", 6.4, 12.8, 0.7),
        ],
        "w": [found("run", 0, 3.2, 0.1), found("run", 6.4, 12.8, 0.6)],  # another video: stays
    }
    case = prepare(PROTOCOLS["wtalc"], truth, predictions, ambiguous=ambiguous)
    assert case.n_ambiguous == 1
    assert case.evaluate().map == golden(((1 / 2 + 2 / 3 + 2 / 3 - 1 / 2) / 2,) * 7)
    in_seconds = prepare(CUSTOM, truth, predictions, ambiguous=ambiguous)
    assert in_seconds.n_ambiguous == 0


def test_without_any_instance_there_is_no_number():
    with pytest.raises(PredictionsError, match="none with a segment"):
        prepare(CUSTOM, {"empty": []}, {}).evaluate()
