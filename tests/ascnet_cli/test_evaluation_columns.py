"""Columns, matching, and instances of no length."""

import numpy as np
import pytest

from ascnet_cli.evaluation.columns import Columns, Spans, to_columns
from ascnet_cli.evaluation.detection import evaluate, evaluate_columns, rows_of_class
from ascnet_cli.evaluation.matching import by_falling_score, match, pairwise_tiou
from ascnet_cli.segments import Detection, Segment
from tests.unchecked import refusals


def span(start, end):
    return Segment(float(start), float(end))


def spans(*rows):
    columns = list(zip(*rows, strict=True)) if rows else [(), (), (), ()]
    return Spans(*(np.array(c, dtype=t) for c, t in zip(columns, (int, int, float, float), strict=True)))


def test_names_become_numbers_in_their_order():
    columns = to_columns(
        {"b": [("run", span(1, 2))], "empty": []}, {"a": [Detection("jump", span(3, 4), 0.5)], "b": []}
    )
    assert (columns.videos, columns.labels) == (("a", "b", "empty"), ("jump", "run"))
    assert columns.truth.video.tolist() == [1]
    assert columns.truth.label.tolist() == [1]
    assert (columns.found.video.tolist(), columns.found.label.tolist()) == ([0], [0])
    assert (columns.found.start.tolist(), columns.found.end.tolist()) == ([3.0], [4.0])


@pytest.mark.parametrize("bounds", [(2.0, 1.0), (np.nan, 1.0)])
def test_a_span_does_not_run_backwards(bounds):
    with pytest.raises(ValueError, match="must not end before it starts"):
        spans((0, 0, *bounds))


def test_columns_are_equally_long():
    setup = "import numpy as np\nfrom ascnet_cli.evaluation.columns import Spans\na = np.array"
    good, short, long = refusals(
        setup,
        "Spans(a([0]), a([0]), a([0.0]), a([1.0]))",
        "Spans(a([0]), a([0, 1]), a([0.0]), a([1.0]))",
        "Spans(a([0]), a([0]), a([0.0, 0.0]), a([1.0]))",
    )
    assert good == "taken"
    assert short.startswith("ValueError: ")
    assert long.startswith("ValueError: ")


@pytest.mark.parametrize("score", [np.array([]), np.array([np.nan])])
def test_every_prediction_has_a_score(score):
    with pytest.raises(ValueError, match="finite score"):
        Columns(("v",), ("run",), spans(), spans((0, 0, 0.0, 1.0)), score)


def test_an_empty_stretch_has_no_tiou_not_even_with_itself():
    both = spans((0, 0, 5.0, 5.0), (0, 0, 0.0, 10.0))
    assert pairwise_tiou(both, both).tolist() == [[0.0, 0.0], [0.0, 1.0]]


def test_an_empty_instance_counts_and_an_empty_prediction_is_false():
    truth = spans((0, 0, 0.0, 10.0), (0, 0, 20.0, 20.0))
    good, empty = (0, 0, 0.0, 10.0), (0, 0, 20.0, 20.0)
    assert match(truth, spans(good), np.array([0.9]), [0.5]).average_precision().tolist() == [0.5]
    both = match(truth, spans(empty, good), np.array([0.9, 0.8]), [0.5])
    assert both.average_precision().tolist() == [0.25]


def test_matches_say_who_took_whom():
    truth = spans((0, 0, 0.0, 10.0), (1, 0, 0.0, 10.0))
    found = spans((1, 0, 0.0, 10.0), (0, 0, 0.0, 6.0))
    matches = match(truth, found, np.array([0.1, 0.9]), [0.5, 0.7])
    assert matches.order.tolist() == [1, 0]
    assert matches.taken.tolist() == [[0, 1], [-1, 1]]


def test_the_order_of_equal_scores():
    found = spans((1, 0, 0.0, 2.0), (0, 0, 5.0, 6.0), (0, 0, 1.0, 3.0), (0, 0, 1.0, 2.0), (2, 0, 0.0, 1.0))
    assert by_falling_score(found, np.array([0.5, 0.5, 0.5, 0.5, 0.9])).tolist() == [4, 3, 2, 1, 0]
    assert by_falling_score(found, np.arange(5.0)).tolist() == [4, 3, 2, 1, 0]


def test_rows_of_each_class():
    found = {number: rows.tolist() for number, rows in rows_of_class(np.array([2, 0, 2])).items()}
    assert found == {0: [1], 2: [0, 2]}
    assert rows_of_class(np.array([], dtype=int)) == {}


def test_columns_and_objects_give_the_same():
    generator = np.random.default_rng(3)

    def segment():
        start = float(generator.integers(0, 40))
        return span(start, start + float(generator.integers(1, 10)))

    ground_truth = {v: [(str(generator.integers(3)), segment()) for _ in range(5)] for v in "abc"}
    predictions = {
        v: [Detection(str(generator.integers(3)), segment(), float(generator.integers(5))) for _ in range(30)]
        for v in "abcd"
    }
    objects = evaluate(ground_truth, predictions, [0.3, 0.5])
    columns = evaluate_columns(to_columns(ground_truth, predictions), ground_truth, [0.3, 0.5])
    assert objects == columns
    assert objects.unknown_videos == ("d",)
