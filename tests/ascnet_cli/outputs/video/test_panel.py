"""What the panel shows: its layout, what runs, the lanes, the time, colours."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ascnet_cli.outputs.colours import Style, styles_of
from ascnet_cli.outputs.video.colour import Colours
from ascnet_cli.outputs.video.drawing import fill, score_text
from ascnet_cli.outputs.video.layout import layout_of, text_size
from ascnet_cli.outputs.video.panel import clock, time_texts
from ascnet_cli.outputs.video.running import Action, Bar, most_at_once
from ascnet_cli.outputs.video.strip import draw_strip, lanes_of
from ascnet_cli.segments import Detection, Segment

SIZES = [(16, 16), (160, 120), (320, 240), (240, 426), (1280, 720), (1080, 1920), (1920, 1080), (8, 8192)]
DETECTIONS = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.integers(0, 20), st.integers(1, 9), st.integers(0, 4)),
    max_size=15,
).map(lambda found: [Detection(s, Segment(float(a), float(a + b)), c / 4) for s, a, b, c in found])


def laid_out(size=(320, 240), n_running=3, n_classes=5, n_overlapping=3, duration_s=100.0):
    return layout_of(
        size,
        n_running=n_running,
        n_classes=n_classes,
        n_overlapping=n_overlapping,
        time_texts=time_texts(duration_s),
    )


@pytest.mark.parametrize("size", SIZES)
@settings(max_examples=20)
@given(st.integers(0, 50), st.integers(0, 400), st.integers(0, 60), st.sampled_from([1.0, 100.0, 9000.0]))
def test_everything_has_its_place_and_none_of_it_is_on_the_picture(
    size, n_running, n_classes, n_over, length_s
):
    layout = laid_out(size, n_running, n_classes, n_over, length_s)
    boxes = [layout.picture, *(layout.slot(k) for k in range(layout.n_slots)), layout.time, layout.strip]
    canvas = np.zeros((layout.height, layout.width), int)
    for box in boxes:
        assert not any(value % 2 for value in (box.x, box.y, box.width, box.height))
        assert box.x >= 0
        assert box.x + box.width <= layout.width
        assert box.y + box.height <= layout.height
        canvas[box.y : box.y + box.height, box.x : box.x + box.width] += 1
    assert canvas.max() == 1
    assert (layout.width % 2, layout.height % 2) == (0, 0)
    assert layout.picture.width >= size[0]
    assert layout.picture.height >= size[1]
    assert layout.n_slots >= min(n_running, 2)
    lanes = [layout.lane(k) for k in range(layout.n_lanes)]
    assert all(
        layout.strip.y <= top < bottom <= layout.strip.y + layout.strip.height for top, bottom in lanes
    )
    assert all(above[1] <= below[0] for above, below in pairwise(lanes))


def test_letters_are_legible_at_every_size_and_the_panel_is_not_the_larger_part():
    assert [text_size(*size) for size in SIZES[:4]] == [10, 11, 14, 14]
    assert text_size(1920, 1080) == 34
    for size in SIZES[2:-1]:
        layout = laid_out(size, n_running=10, n_classes=20, n_overlapping=10)
        assert layout.panel.height < 0.67 * size[1]
        assert laid_out(size, 1, 1, 1).panel.height < 0.27 * size[1]


@settings(max_examples=30)
@given(DETECTIONS)
def test_the_bar_has_what_runs_with_its_best_score(detections):
    n_slots = max(most_at_once(detections)[0], 1)
    bar = Bar(detections, n_slots)
    for time_s in np.arange(0, 32, 0.5):
        bar.advance(float(time_s))
        best = {}
        for found in detections:
            if found.segment.start_s <= time_s < found.segment.end_s:
                best[found.label] = max(best.get(found.label, found.score), found.score)
        shown = {action.label: action.score for action in bar.shown.slots if action}
        assert shown == best
        assert bar.shown.n_more == 0


@settings(max_examples=30)
@given(DETECTIONS, st.integers(1, 3))
def test_with_too_few_places_the_best_are_shown_and_the_others_counted(detections, n_slots):
    bar = Bar(detections, n_slots)
    for time_s in np.arange(0, 32, 0.5):
        bar.advance(float(time_s))
        running = {f.label for f in detections if f.segment.start_s <= time_s < f.segment.end_s}
        shown = [action for action in bar.shown.slots if action]
        assert len(shown) + bar.shown.n_more == len(running)
        if bar.shown.n_more and n_slots > 1:
            assert bar.shown.slots[-1] is None


def test_an_action_keeps_its_place_while_it_runs():
    bar = Bar(
        [
            Detection("a", Segment(0.0, 5.0), 0.1),
            Detection("b", Segment(1.0, 9.0), 0.5),
            Detection("c", Segment(6.0, 8.0), 0.9),
        ],
        2,
    )
    seen = []
    for time_s in (0.0, 2.0, 5.0, 6.0, 8.5, 9.0):
        bar.advance(time_s)
        seen.append(tuple(action and action.label for action in bar.shown.slots))
    assert seen == [("a", None), ("a", "b"), (None, "b"), ("c", "b"), (None, "b"), (None, None)]
    assert Bar([], 1).shown.slots == (None,)
    assert Action("a", 0.1) == Action("a", 0.1)


@settings(max_examples=30)
@given(DETECTIONS)
def test_most_at_once_counts_what_runs(detections):
    times = sorted({found.segment.start_s for found in detections})
    running = [[f for f in detections if f.segment.start_s <= t < f.segment.end_s] for t in times]
    assert most_at_once(detections) == (
        max((len({f.label for f in now}) for now in running), default=0),
        max((len(now) for now in running), default=0),
    )


@settings(max_examples=30)
@given(DETECTIONS, st.integers(1, 16))
def test_segments_in_a_lane_are_of_one_class_or_do_not_overlap_while_lanes_suffice(detections, n_lanes):
    lanes = lanes_of(detections, n_lanes)
    assert all(0 <= lane < n_lanes for lane in lanes)
    labels = {found.label for found in detections}
    if len(labels) <= n_lanes:
        assert len(set(zip(lanes, (found.label for found in detections), strict=True))) == len(labels)
    elif most_at_once(detections)[1] <= n_lanes:
        for k, one in enumerate(detections):
            for other in range(k):
                if lanes[k] == lanes[other]:
                    apart = detections[other].segment
                    assert one.segment.end_s <= apart.start_s or apart.end_s <= one.segment.start_s


def test_the_strip_has_each_segment_where_it_is_in_its_colour():
    found = [Detection("a", Segment(25.0, 50.0), 0.5), Detection("b", Segment(90.0, 90.01), 0.5)]
    layout, styles = laid_out(n_classes=2), styles_of(["a", "b"])
    strip = draw_strip(found, 100.0, styles, layout).astype(int)
    width = layout.strip.width
    for label, (left, right) in {"a": (width // 4, width // 2), "b": (round(0.9 * width),) * 2}.items():
        colour = np.array([int(styles[label].colour[k : k + 2], 16) for k in (1, 3, 5)])
        columns = np.flatnonzero((np.abs(strip - colour).max(axis=-1) < 8).any(axis=0))
        assert columns[0] == pytest.approx(left, abs=1)
        assert columns[-1] == pytest.approx(max(right, left + 1), abs=1)


def test_patterns_of_one_colour_are_told_apart():
    fills = [np.asarray(fill(Style("#0072b2", k, "#ffffff"), (60, 60), 8)).tobytes() for k in range(12)]
    assert len(set(fills)) == 12


@pytest.mark.parametrize(
    ("time_s", "hours", "shown"),
    [(0.0, False, "0:00.0"), (61.26, False, "1:01.2"), (0.3, False, "0:00.3"), (3725.99, True, "1:02:05.9")],
)
def test_the_time_is_cut_to_tenths(time_s, hours, shown):
    assert clock(time_s, tenths=True, hours=hours) == shown
    assert clock(time_s, tenths=False, hours=hours) == shown[:-2]


def test_scores():
    assert [score_text(score) for score in (0.934, 1.0, -3.456, 123456.0)] == [
        "0.93",
        "1.00",
        "-3.46",
        "1.23e+05",
    ]


@pytest.mark.parametrize("matrix", [1, 5, 6, 7, 9])
def test_planes_are_what_ffmpeg_makes_of_the_same_drawing(matrix):
    import av

    rgb = np.zeros((32, 64, 3), np.uint8)
    for k, colour in enumerate(
        [(255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255), (24, 24, 24), (230, 159, 0)]
    ):
        rgb[:, 10 * k : 10 * k + 10] = colour
    ours = Colours(matrix).planes(rgb)
    graph = av.filter.Graph()
    buffer = graph.add_buffer(width=64, height=32, format=av.VideoFormat("rgb24"), time_base=1)
    scale = graph.add(
        "scale", f"out_color_matrix={Colours(matrix).matrix_name}:out_range=limited:flags=accurate_rnd"
    )
    graph.link_nodes(buffer, scale, graph.add("format", "pix_fmts=yuv444p"), graph.add("buffersink"))
    graph.configure()
    graph.push(av.VideoFrame.from_ndarray(rgb, format="rgb24"))
    y, u, v = graph.pull().to_ndarray()
    assert np.abs(ours.y.astype(int) - y).max() <= 2
    assert np.abs(ours.u.astype(int) - u[::2, ::2]).max() <= 3
    assert np.abs(ours.v.astype(int) - v[::2, ::2]).max() <= 3


def test_white_is_not_glaring_on_screens_that_go_beyond_it():
    white = np.full((2, 2, 3), 255, np.uint8)
    assert Colours(1).planes(white).y[0, 0] == 235
    assert Colours(9, transfer=16).planes(white).y[0, 0] == pytest.approx(16 + 0.58 * 219, abs=1)
