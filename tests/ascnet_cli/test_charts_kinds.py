"""Charts: where lines, bars and columns are, against the numbers that they show."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ascnet_cli.outputs.charts.bars import Bars, bar_chart
from ascnet_cli.outputs.charts.lines import Axis, Line, line_chart, thinned
from ascnet_cli.outputs.charts.looks import look
from ascnet_cli.outputs.charts.shares import Kind, share_chart
from tests.svg_tools import box, elements, everything_inside, of_class, parsed, points, texts, title

X, Y = Axis("tIoU"), Axis("mAP", 0.0, 1.0)


def placed(svg, tick):
    """Where a number stands beside an axis: its place across and down."""
    (text,) = [e for e in elements(svg, "text") if "".join(e.itertext()) == tick]
    return float(text.get("x")), float(text.get("y")) - 4


def test_a_line_goes_through_its_numbers():
    line = Line("a", look(0), ((0.1, 0.25), (0.3, 1.0), (0.5, 0.0)))
    svg = parsed(line_chart([line], Axis("tIoU", ticks=(0.1, 0.3, 0.5)), Y, label="x", named=False))
    (path,) = of_class(svg, "path", "line")
    (corners,) = points(path)
    assert [x for x, _ in corners] == pytest.approx([placed(svg, t)[0] for t in ("0.1", "0.3", "0.5")])
    ys = [y for _, y in corners]
    assert ys[1] == pytest.approx(placed(svg, "1")[1], abs=0.01)
    assert ys[2] == pytest.approx(placed(svg, "0")[1], abs=0.01)
    assert ys[0] == pytest.approx(ys[2] + 0.25 * (ys[1] - ys[2]), abs=0.01)
    assert [title(circle) for circle in elements(svg, "circle")] == [
        "a: 0.250 at 0.1", "a: 1.000 at 0.3", "a: 0.000 at 0.5",
    ]  # fmt: skip
    assert not list(everything_inside(svg))


def test_a_line_is_broken_where_a_number_is_none():
    line = Line(
        "a", look(0), ((1.0, 0.5), (2.0, 0.5), (3.0, math.nan), (4.0, 0.5), (5.0, math.inf), (6.0, 0.1))
    )
    svg = parsed(line_chart([line], X, Axis("loss"), label="x"))
    (path,) = of_class(svg, "path", "line")
    assert [len(run) for run in points(path)] == [2]
    assert len(elements(svg, "circle")) == 4 + 1  # each number, and the legend's


@pytest.mark.parametrize("points_", [(), ((3.0, 0.0),), ((3.0, math.nan),), ((2.0, 7.0), (2.0, 7.0))])
def test_hardly_any_numbers(points_):
    svg = parsed(line_chart([Line("a", look(0), points_)], X, Axis("y"), label="x"))
    assert not list(everything_inside(svg))


def test_series_differ_in_colour_dashes_and_markers():
    lines = [Line(str(n), look(n), ((0.0, 0.1), (1.0, 0.2))) for n in range(3)]
    svg = parsed(line_chart(lines, X, Y, label="x"))
    kinds = {(e.get("stroke"), e.get("stroke-dasharray")) for e in of_class(svg, "path", "line")}
    assert len(kinds) == len({stroke for stroke, _ in kinds}) == len({dash for _, dash in kinds}) == 3
    assert elements(svg, "circle")
    assert elements(svg, "polygon")


def test_a_marked_step():
    line = Line("a", look(0), ((0.0, 0.1), (100.0, 0.2)))
    svg = parsed(line_chart([line], X, Y, label="x", at=(25.0, "chosen")))
    (dashed,) = [e for e in elements(svg, "path") if e.get("stroke-dasharray") == "3 3"]
    ((x, _), _) = points(dashed)[0]
    (corners,) = points(of_class(svg, "path", "line")[0])
    assert x == pytest.approx(corners[0][0] + 0.25 * (corners[1][0] - corners[0][0]), abs=0.01)
    assert "chosen" in texts(svg)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=3000), st.integers(4, 100))
def test_thin_curves_keep_their_ends_and_extremes(values, n_most):
    curve = [(float(x), y) for x, y in enumerate(values)]
    thin = thinned(curve, n_most)
    assert len(thin) <= max(n_most, 2)
    assert set(thin) <= set(curve)
    assert list(thin) == sorted(thin)
    assert (thin[0], thin[-1]) == (curve[0], curve[-1])
    assert {max(y for _, y in thin), min(y for _, y in thin)} == {max(values), min(values)}


def bars(**options):
    series = [
        Bars("a", look(0), ((0.5, 0.25), (0.1, 0.0), ())),
        Bars("b", look(1), ((0.2, 0.8), (0.0, 0.3), (1.0, 0.9))),
    ]
    return bar_chart(["run", "jump & fall", "swim"], series, title="AP", label="x", **options)


def test_bars_are_as_long_as_their_numbers():
    svg = parsed(bars())
    per_unit = float(svg.get("data-per-unit"))
    found = [(title(bar), box(bar)) for bar in of_class(svg, "rect", "bar")]
    assert [name for name, _ in found] == [
        "a, run: 0.500", "b, run: 0.200", "a, jump & fall: 0.100", "b, jump & fall: 0.000", "b, swim: 1.000",
    ]  # fmt: skip
    for name, (left, _, right, _) in found:
        assert right - left == pytest.approx(float(name.split()[-1]) * per_unit, abs=0.02)
        assert left == pytest.approx(placed(svg, "0")[0], abs=0.01)
    assert placed(svg, "1")[0] - placed(svg, "0")[0] == pytest.approx(per_unit, abs=0.02)
    tops = [top for _, (_, top, _, _) in found]
    assert tops == sorted(tops)
    assert not list(everything_inside(svg))


def test_bars_have_the_numbers_to_choose_from():
    (first, *_) = of_class(parsed(bars()), "rect", "bar")
    assert json.loads(first.get("data-values")) == [0.5, 0.25]


def test_the_scale_has_room_for_every_choice():
    svg = parsed(bars(width=460.0))
    per_unit, value = float(svg.get("data-per-unit")), 0.8
    left = min(box(bar)[0] for bar in of_class(svg, "rect", "bar"))
    assert left + value * per_unit < 460


def test_bars_of_many_results_and_long_names():
    series = [Bars("r" * 80, look(n), ((0.5,),)) for n in range(12)]
    svg = parsed(bar_chart(["n" * 200], series, title="AP", label="x"))
    assert not list(everything_inside(svg))
    assert any("…" in text for text in texts(svg))


def test_bars_need_a_number_for_each_category():
    with pytest.raises(ValueError, match="each category"):
        bar_chart(["a", "b"], [Bars("x", look(0), ((1.0,),))], title="", label="")


def test_shares_fill_a_column():
    kinds = [Kind("right", "#009e73", (2, 0)), Kind("late", "#d55e00", (1, 0)), Kind("no", "#9aa3ad", (1, 0))]
    svg = parsed(share_chart(kinds, name="a", x_title="slice", y_title="share", label="x"))
    parts = of_class(svg, "rect", "share")
    assert [title(part) for part in parts] == [
        "right: 2 of 4 (50%)",
        "late: 1 of 4 (25%)",
        "no: 1 of 4 (25%)",
    ]
    tops, bottoms = [box(part)[1] for part in parts], [box(part)[3] for part in parts]
    edges = [*(placed(svg, tick)[1] for tick in ("0", "0.5", "0.75")), 28]
    assert bottoms == pytest.approx(edges[:-1], abs=0.02)
    assert tops == pytest.approx(edges[1:], abs=0.02)


def test_shares_of_nothing():
    svg = parsed(share_chart([Kind("right", "#009e73", (0, 0))], name="a", x_title="", y_title="", label="x"))
    assert "nothing found" in texts(svg)
    with pytest.raises(ValueError, match="same columns"):
        share_chart([], name="a", x_title="", y_title="", label="x")
