"""Lanes of segments over time, against the segments."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ascnet_cli.outputs.charts.lanes import Bar, Lane, Timeline, hatch, lanes_drawing, rows_of
from ascnet_cli.outputs.colours import styles_of
from ascnet_cli.segments import Segment
from tests.svg_tools import box, elements, everything_inside, of_class, parsed, texts, title


def bar(start_s, end_s, label="run", score=0.5, state="right"):
    return Bar(Segment(start_s, end_s), label, score, state)


def truth(*bars):
    return Lane("truth", tuple(Bar(Segment(s, e), label, None, "truth") for s, e, label in bars), "9")


def drawn(*timelines):
    return parsed(lanes_drawing(timelines, right="right (tIoU 0.5)"))


def lanes_of(svg):
    return [box(rect) for rect in elements(svg, "rect") if rect.get("class") == "fill-band"]


def test_segments_are_where_they_happen():
    one = Timeline(
        "v", 100.0, (truth((10.0, 30.0, "run"), (50.0, 51.0, "jump")), Lane("mine", (bar(20.0, 40.0),)))
    )
    svg = drawn(one)
    (lane, second) = lanes_of(svg)
    left, width = lane[0], lane[2] - lane[0]
    found = {title(rect): box(rect) for rect in elements(svg, "rect") if title(rect)}
    assert set(found) == {"run, 0:10 to 0:30", "jump, 0:50 to 0:51", "run, 0:20 to 0:40, score 0.5, right"}
    for name, (start, end) in {
        "run, 0:10 to 0:30": (10, 30),
        "run, 0:20 to 0:40, score 0.5, right": (20, 40),
    }.items():
        x0, _, x1, _ = found[name]
        assert (x0, x1) == pytest.approx((left + start / 100 * width, left + end / 100 * width), abs=0.02)
    inside = found["run, 0:20 to 0:40, score 0.5, right"]
    assert second[1] <= inside[1] < inside[3] <= second[3]
    # jump is sorted before run, and so a row above it
    assert found["jump, 0:50 to 0:51"][3] <= found["run, 0:10 to 0:30"][1]
    assert {"truth", "mine", "0:15", "run", "jump", "9"} <= set(texts(svg))


def test_right_is_filled_wrong_is_hollow_and_lower_ones_are_pale():
    lane = Lane("mine", (bar(0.0, 20.0), bar(30.0, 50.0, state="wrong"), bar(60.0, 80.0, state="rest")))
    svg = drawn(Timeline("v", 100.0, (truth((0.0, 20.0, "run")), lane)))
    colour = styles_of(["run"])["run"].colour
    (right,) = [e for e in of_class(svg, "rect", "right") if title(e)]
    (wrong,) = [e for e in of_class(svg, "rect", "wrong") if title(e)]
    (rest,) = [e for e in of_class(svg, "rect", "rest") if title(e)]
    assert right.get("fill") == colour
    assert (wrong.get("stroke"), "fill-paper" in wrong.get("class")) == (colour, True)
    assert float(rest.get("opacity")) < 1
    assert box(rest)[3] - box(rest)[1] < box(right)[3] - box(right)[1]


def test_classes_that_the_truth_lacks_are_grey_in_a_row_of_their_own():
    one = Timeline(
        "v", 10.0, (truth((0.0, 2.0, "run")), Lane("mine", (bar(4.0, 6.0, "swim", 0.9, "wrong"),)))
    )
    assert rows_of(one) == ("run", None)
    svg = drawn(one)
    (wrong,) = [e for e in of_class(svg, "rect", "wrong") if title(e)]
    assert "stroke-muted" in wrong.get("class")
    assert "grey: another class" in texts(svg)
    right = Timeline("v", 10.0, (truth((0.0, 2.0, "run")), Lane("mine", (bar(0.0, 2.0),))))
    assert rows_of(right) == ("run",)
    assert "grey: another class" not in texts(drawn(right))


def test_panels_are_lettered():
    one = Timeline("first", 10.0, (truth((0.0, 2.0, "run")),))
    two = Timeline("second", 20.0, (truth((0.0, 2.0, "jump")),))
    assert {"(a) first", "(b) second"} <= set(texts(drawn(one, two)))
    assert "first" in texts(drawn(one))


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(st.floats(0, 1e4), st.floats(1e-3, 1e4), st.sampled_from("abcdefghijkl"), st.floats(-1, 1)),
        max_size=12,
    ),
    st.floats(1e-2, 1e4),
)
def test_nothing_reaches_out_of_the_picture(segments, duration_s):
    bars = tuple(
        bar(start, start + length, label, score, ("right", "wrong", "rest")[n % 3])
        for n, (start, length, label, score) in enumerate(segments)
    )
    true = truth(*((b.segment.start_s, b.segment.end_s, b.label) for b in bars[:20]))
    svg = drawn(Timeline("v" * 300, duration_s, (true, Lane("n" * 300, bars))))
    assert not list(everything_inside(svg))


@settings(max_examples=50)
@given(st.floats(0, 50), st.floats(0.1, 300), st.floats(4, 30), st.integers(1, 12))
def test_hatching_stays_inside(x, width, height, pattern):
    for line in hatch(x, 5.0, width, height, pattern):
        for at_x, at_y in line:
            assert x - 1e-6 <= at_x <= x + width + 1e-6
            assert 5 - 1e-6 <= at_y <= 5 + height + 1e-6


def test_classes_of_one_colour_have_different_hatching():
    assert len({hatch(0.0, 0.0, 60.0, 14.0, pattern) for pattern in range(1, 9)}) == 8
