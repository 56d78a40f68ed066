"""Shapes, scales, looks, and their SVG and PNG."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ascnet_cli.errors import OptionError
from ascnet_cli.outputs.charts import raster
from ascnet_cli.outputs.charts.drawing import (
    MARKERS,
    PAPER,
    Drawing,
    Marker,
    Rect,
    Strokes,
    Text,
    fitted,
    text_width,
)
from ascnet_cli.outputs.charts.looks import legend, look
from ascnet_cli.outputs.charts.scale import Scale, clock, clock_ticks, nice_step, nice_top
from ascnet_cli.outputs.charts.svg import to_svg
from tests.svg_tools import elements, parsed, texts, title

HOSTILE = "<img src=x onerror=alert(1)> & \"q\" 'p' ]]> \x00\x1b \ud800 \U0001f600"


def drawing(*shapes):
    return Drawing(100, 50, shapes, HOSTILE)


@given(st.text(st.characters(), max_size=60))
def test_any_text_makes_sound_xml(text):
    svg = parsed(Drawing(9, 9, (Text(1, 2, text, title=text),), text))
    assert len(list(svg)) == 2  # background and text: nothing of the text became an element


def test_hostile_names_stay_text():
    shapes = (Text(0, 0, HOSTILE), Rect(0, 0, 5, 5, "#ffffff", title=HOSTILE, data={"x": HOSTILE}))
    svg = parsed(drawing(*shapes))
    shown = HOSTILE.replace("\x00", "\ufffd").replace("\x1b", "\ufffd").replace("\ud800", r"\udc00")
    assert "<img src=x onerror=alert(1)>" in texts(svg)[0]
    assert title(elements(svg, "rect")[1]).startswith(shown[:20])
    assert "<img" not in to_svg(drawing(*shapes))


def test_colours_are_attributes_and_roles_have_classes():
    text = to_svg(drawing(Rect(0, 0, 5, 5, PAPER, "grid", group="bar"), Marker(5, 5, "circle", "#0072b2")))
    assert 'class="fill-paper stroke-grid bar"' in text
    assert 'fill="#0072b2"' in text
    assert "style=" not in text  # a content security policy would refuse it


def test_in_a_page_there_is_no_background():
    assert len(elements(parsed(drawing()), "rect")) == 1
    assert "<rect" not in to_svg(drawing(), alone=False)


@pytest.mark.parametrize("kind", MARKERS)
def test_markers_lie_around_their_point(kind):
    svg = parsed(drawing(Marker(50, 20, kind, "#000000", 4)))
    if kind == "circle":
        (circle,) = elements(svg, "circle")
        assert (circle.get("cx"), circle.get("cy"), circle.get("r")) == ("50", "20", "4")
        return
    (polygon,) = elements(svg, "polygon")
    xs, ys = zip(*(map(float, pair.split(",")) for pair in polygon.get("points").split()), strict=True)
    assert min(xs) + max(xs) == pytest.approx(100)
    assert min(ys) < 20 < max(ys)


def test_png(tmp_path):
    shapes = [Rect(1, 1, 9, 9, "#0072b2", "ink"), Strokes((((0, 0), (9, 9)),), "ink", dash=(4, 2))]
    shapes += [Text(1, 9, "a $x_y$ b", turned=True), *(Marker(20, 20, kind, "#009e73") for kind in MARKERS)]
    with (tmp_path / "a.png").open("wb") as file:
        raster.write_png(drawing(*shapes), file)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_png_needs_matplotlib(monkeypatch):
    monkeypatch.setattr(raster, "find_spec", lambda _name: None)
    with pytest.raises(OptionError, match="matplotlib"):
        raster.check_raster()


@given(st.text(max_size=80), st.floats(5, 300))
def test_fitted_text_fits_or_is_a_dot(text, width):
    shown = fitted(text, width, 12)
    assert text_width(shown, 12) <= width or shown == "…"
    assert shown == text or "…" in shown


def test_fitted_text_keeps_both_ends():
    assert fitted("abcdefghijklmnopqrstuvwxyz", 80, 12)[0] == "a"
    assert fitted("abcdefghijklmnopqrstuvwxyz", 80, 12)[-1] == "z"
    assert text_width("二二", 10) == 20


@given(st.floats(1e-6, 1e6), st.integers(2, 12))
def test_ticks_are_few_round_and_inside(high, n_most):
    scale = Scale(0.0, high, 0.0, 100.0)
    ticks = scale.ticks(n_most)
    assert 1 <= len(ticks) <= n_most
    assert all(-1e-9 <= tick <= high * (1 + 1e-6) for tick in ticks)
    assert [scale(tick) for tick in ticks] == sorted(scale(tick) for tick in ticks)


@given(st.floats(1e-9, 1e9))
def test_a_nice_step_is_a_little_more(at_least):
    step = nice_step(at_least)
    assert at_least * (1 - 1e-6) <= step <= at_least * 2.6
    assert nice_top(at_least) >= at_least * (1 - 1e-6)


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.nan, math.inf])
def test_what_is_no_scale(wrong):
    with pytest.raises(ValueError, match="step"):
        nice_step(wrong)
    with pytest.raises(ValueError, match="scale"):
        Scale(1.0, wrong, 0.0, 1.0)


@pytest.mark.parametrize(
    ("duration_s", "last"), [(31.0, 30.0), (700.0, 600.0), (7200.0, 7200.0), (0.7, 0.7), (1e6, 864000.0)]
)
def test_times_beside_an_axis(duration_s, last):
    ticks = clock_ticks(duration_s)
    assert ticks[0] == 0
    assert ticks[-1] == pytest.approx(last)
    assert 2 <= len(ticks) <= 9


def test_clock():
    assert [clock(s) for s in (0.0, 7.26, 61.0, 3725.5)] == ["0:00", "0:07.3", "1:01", "1:02:05.5"]


def test_thirty_series_look_different():
    looks = [look(number) for number in range(30)]
    assert len({(one.colour, one.dash) for one in looks}) == 30
    assert all(a.marker != b.marker for a, b in itertools.pairwise(looks))


def test_a_legend_takes_as_many_rows_as_it_needs():
    entries = [(f"result number {n}", look(n)) for n in range(8)]
    shapes, height = legend(entries, x=0, y=0, width=300, lines=True)
    rows = {shape.y for shape in shapes if isinstance(shape, Text)}
    assert height == 20 * len(rows) > 20
    assert all(s.x + text_width(s.text, s.size) <= 300 for s in shapes if isinstance(s, Text))
    assert legend([], x=0, y=0, width=300, lines=True) == ((), 0)


@pytest.mark.parametrize("bad", [lambda: Rect(0, 0, -1, 1, "#000000"), lambda: Drawing(0, 1, (), "")])
def test_what_cannot_be_drawn(bad):
    with pytest.raises(ValueError, match="a"):
        bad()
