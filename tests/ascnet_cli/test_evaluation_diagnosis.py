"""False positives by kind, recall by length; cases by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ascnet_cli.errors import OptionError, OutputError, PredictionsError
from ascnet_cli.evaluation import plots
from ascnet_cli.evaluation.diagnosis import FALSE_POSITIVES, KINDS, diagnose
from ascnet_cli.evaluation.plots import check_plots, write_plots
from ascnet_cli.evaluation.protocols import PROTOCOLS, prepare
from ascnet_cli.segments import Detection, Segment

CUSTOM = PROTOCOLS["custom"]


def span(start, end):
    return Segment(float(start), float(end))


TRUTH = {"v": [("run", span(0, 10)), ("jump", span(20, 30))], "w": []}


def found(label, start, end, score):
    return Detection(label, span(start, end), float(score))


def case_of(predictions, truth=TRUTH, protocol=CUSTOM):
    return prepare(protocol, truth, predictions)


def kinds(predictions, **options):
    counts = diagnose(case_of(predictions, **options)).counts
    assert list(counts) == list(KINDS)
    return {kind: sum(numbers) for kind, numbers in counts.items() if sum(numbers)}


@pytest.mark.parametrize(
    ("start", "end", "kind"),
    [
        (0, 9, "double detection"),
        (20, 29, "wrong label"),
        (0, 4, "localization"),  # tIoU 0.4
        (0, 5, "double detection"),  # exactly 0.5
        (5, 10.1, "localization"),  # 5 of 10.1 s: a little below
        (28, 40, "confusion"),  # 2 of 20 s: exactly 0.1
        (12, 18, "background"),
        (29.5, 45, "background"),  # touches, but less than 0.1
    ],
)
def test_kinds_of_false_positives(start, end, kind):
    spoilt = found("run", start, end, 0.5)
    assert kinds({"v": [found("run", 0, 10, 0.9), spoilt]}) == {"true positive": 1, kind: 1}


def test_its_own_class_goes_before_another_one():
    truth = {"v": [("run", span(0, 10)), ("jump", span(0, 10))]}
    both = [found("run", 0, 10, 0.9), found("run", 0, 9, 0.8)]
    assert kinds({"v": both}, truth=truth) == {"true positive": 1, "double detection": 1}
    # tIoU 0.4 with its own, 0.8 with the other one's: the label is what is wrong.
    truth = {"v": [("run", span(0, 10)), ("jump", span(6, 11))]}
    assert kinds({"v": [found("run", 6, 10, 0.8)]}, truth=truth) == {"wrong label": 1}


def test_another_video_is_background():
    assert kinds({"w": [found("run", 0, 10, 0.9)]}) == {"background": 1}


def test_only_ten_slices_are_looked_at():
    many = [found("run", 50 + number, 51 + number, 0.5 - number / 100) for number in range(15)]
    counts = diagnose(case_of({"v": [found("run", 0, 10, 0.9), *many]})).counts
    assert counts["true positive"] == (1, *[0] * 9)
    assert counts["background"] == (0, *[1] * 9)


def test_gains():
    # run: a false one goes before the true one, 1/2; jump is not found.
    predictions = {"v": [found("run", 12, 18, 0.9), found("run", 0, 10, 0.5)]}
    diagnosis = diagnose(case_of(predictions))
    assert diagnosis.gains == pytest.approx(
        {kind: 0.25 if kind == "background" else 0.0 for kind in FALSE_POSITIVES}, abs=1e-12
    )


def test_recall_by_length():
    protocol = replace(CUSTOM, tious=(0.3, 0.9), length_edges_s=(3.0, 10.0, 60.0))
    truth = {"v": [("run", span(0, 3)), ("run", span(10, 20)), ("jump", span(30, 34))]}
    predictions = {"v": [found("run", 0, 3, 0.1), found("jump", 30, 32, 0.9), found("jump", 10, 20, 0.9)]}
    lengths = diagnose(case_of(predictions, truth, protocol)).lengths
    assert [(c.name, c.n_instances, c.recall) for c in lengths] == [
        ("0 to 3 s", 1, (1.0, 1.0)),
        ("3 to 10 s", 2, (0.5, 0.0)),
        ("10 to 60 s", 0, ()),
        ("over 60 s", 0, ()),
    ]
    assert math.isinf(lengths[-1].to_s)


def test_lengths_of_snippets_are_in_seconds_and_rounded_ones_are_the_shortest():
    protocol = replace(PROTOCOLS["wtalc"], length_edges_s=(3.0,))
    truth = {"v": [("run", span(0.96, 1.6)), ("run", span(6.4, 12.8))]}
    lengths = diagnose(case_of({}, truth, protocol)).lengths
    assert [c.n_instances for c in lengths] == [1, 1]


def test_without_bounds_lengths_go_in_fifths():
    truth = {"v": [("run", span(0, number)) for number in range(1, 101)]}
    assert [c.n_instances for c in diagnose(case_of({}, truth)).lengths] == [20] * 5
    same = {"v": [("run", span(0, 5)), ("run", span(10, 15))]}
    assert [c.n_instances for c in diagnose(case_of({}, same)).lengths] == [2]


@pytest.mark.parametrize("tiou", [0.1, 0.0, 1.5, math.nan])
def test_a_threshold_that_tells_no_kinds_apart(tiou):
    with pytest.raises(ValueError, match="threshold must lie in"):
        diagnose(case_of({}), tiou)


def test_no_ground_truth():
    with pytest.raises(PredictionsError, match="no ground truth"):
        diagnose(case_of({}, {"v": []}))


detections = st.lists(
    st.tuples(
        st.sampled_from("vw"), st.sampled_from(["run", "jump"]), st.integers(0, 30), st.integers(1, 12)
    ),
    max_size=25,
)


@settings(max_examples=50)
@given(detections)
def test_every_prediction_has_one_kind_and_removing_false_ones_never_hurts(items):
    predictions = {}
    for rank, (video, label, start, length) in enumerate(items):
        predictions.setdefault(video, []).append(found(label, start, start + length, -rank))
    diagnosis = diagnose(case_of(predictions))
    judged = sum(min(10, sum(label == c for _, label, *_ in items)) for c in ("run", "jump"))
    assert sum(map(sum, diagnosis.counts.values())) == judged
    assert all(gain >= -1e-12 for gain in diagnosis.gains.values())
    recalls = [c.recall for c in diagnosis.lengths if c.n_instances]
    assert all(np.all(np.diff(recall) <= 0) for recall in recalls)


def test_plots(tmp_path):
    pytest.importorskip("matplotlib")
    case = case_of({"v": [found("run", 0, 10, 0.9), found("run", 12, 18, 0.8)]})
    folder = tmp_path / "new" / "plots"
    check_plots(folder)
    written = write_plots(folder, "custom", case.evaluate(), diagnose(case))
    assert sorted(folder.iterdir()) == sorted(written)
    assert {path.name for path in written} == {"map.png", "false_positives.png", "recall_by_length.png"}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in written)


def test_plots_without_predictions(tmp_path):
    pytest.importorskip("matplotlib")
    case = case_of({})
    assert write_plots(tmp_path, "custom", case.evaluate(), diagnose(case))


def test_plots_without_matplotlib(tmp_path, monkeypatch):
    monkeypatch.setattr(plots, "find_spec", lambda _name: None)
    with pytest.raises(OptionError, match="need matplotlib") as caught:
        check_plots(tmp_path / "plots")
    assert "ascnet[plots]" in caught.value.hint
    assert not (tmp_path / "plots").exists()


def test_plots_where_a_file_lies(tmp_path):
    pytest.importorskip("matplotlib")
    (tmp_path / "plots").touch()
    with pytest.raises(OutputError, match="cannot be made"):
        check_plots(tmp_path / "plots")
