"""What stitched videos are made of."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ascnet_cli.datasets.stitch_clips import Clip
from ascnet_cli.datasets.stitch_options import MIN_GAP_S
from ascnet_cli.datasets.stitch_plan import MAX_ACTION_SHARE, plan
from ascnet_cli.errors import OptionError, VideoError
from tests.ascnet_cli.datasets.stitch_tools import clips_of, options

GROUPS = {label: [f"{label}{k}" for k in range(4)] for label in ("idle", "jump", "walk", "wave")}
CLIPS = clips_of(GROUPS)


def length(clip: Clip) -> int:
    """Lengths from 1 to 120 frames, the same for the same clip."""
    return 1 + sum(map(ord, clip.name)) * 37 % 120


# Not the options themselves: their types are checked by a sample, which must not disturb hypothesis.
asked = st.fixed_dictionaries(
    {
        "background": st.sampled_from([("idle",), ("idle", "walk")]),
        "seed": st.integers(0, 1000),
        "n_train": st.integers(1, 4),
        "min_s": st.floats(4, 10),
        "max_s": st.floats(10, 15),
        "fps": st.sampled_from([1, 10, 25, 30]),
        "max_clip_s": st.floats(1, 2),
    }
)
some = settings(max_examples=40)


@some
@given(asked)
def test_every_video_is_background_with_actions_between(values):
    asked_for = options(**values)
    for video in plan(CLIPS, asked_for, length):
        assert asked_for.frames(asked_for.min_s) <= video.n_frames <= asked_for.frames(asked_for.max_s)
        shown = sum(piece.n_frames for piece in video.pieces if piece.label)
        assert 0 < shown <= MAX_ACTION_SHARE * video.n_frames
        ends_s = [0.0, *(t for i in video.instances for t in (i.segment.start_s, i.segment.end_s))]
        ends_s.append(video.n_frames / asked_for.fps)
        for start_s, end_s in list(pairwise(ends_s))[::2]:
            assert end_s - start_s >= MIN_GAP_S - 1e-9
        for instance in video.instances:
            for bound_s in (instance.segment.start_s, instance.segment.end_s):
                assert bound_s == round(bound_s * asked_for.fps) / asked_for.fps


@some
@given(asked)
def test_every_piece_is_a_stretch_of_its_clip(values):
    asked_for = options(**values)
    longest = asked_for.frames(asked_for.max_clip_s)
    for video in plan(CLIPS, asked_for, length):
        for piece in video.pieces:
            n_frames = length(piece.clip)
            assert piece.first_frame + piece.n_frames <= n_frames
            if piece.clip.label in asked_for.background:
                assert piece.label is None
            else:
                assert piece.label == piece.clip.label
                assert piece.n_frames == n_frames or longest / 2 <= piece.n_frames <= longest < n_frames


@some
@given(asked)
def test_no_group_is_on_both_sides(values):
    asked_for = options(**values)
    groups = {"training": set(), "testing": set()}
    for video in plan(CLIPS, asked_for, length):
        groups[video.subset] |= {piece.clip.group for piece in video.pieces}
    assert not groups["training"] & groups["testing"]


def test_the_seed_decides_everything():
    assert plan(CLIPS, options(seed=3), length) == plan(CLIPS, options(seed=3), length)
    assert plan(CLIPS, options(seed=3), length) != plan(CLIPS, options(seed=4), length)


def test_more_videos_leave_the_first_ones_as_they_are():
    few, many = plan(CLIPS, options(), length), plan(CLIPS, options(n_train=9, n_test=5), length)
    assert set(few) < set(many)


def test_every_class_gets_its_turn():
    videos = plan(CLIPS, options(n_train=30), length)[:30]
    labels = [{instance.label for instance in video.instances} for video in videos]
    assert {len(found) for found in labels} == {1, 2}
    for label in ("jump", "walk", "wave"):
        assert sum(label in found for found in labels) >= 10  # comes first in every third video


def test_every_clip_gets_its_turn():
    videos = plan(CLIPS, options(n_train=30), lambda clip: 20)[:30]
    shown = {piece.clip for video in videos for piece in video.pieces}
    assert len(shown) == 4 * 3 * 2  # classes, groups for training, clips


def test_several_instances_where_clips_are_short():
    videos = plan(CLIPS, options(min_s=12.0, max_s=16.0), lambda clip: 40)
    assert all(len(video.instances) >= 2 for video in videos)


def test_clips_that_cannot_be_used_are_passed_over():
    bad = {clip for clip in CLIPS if clip.name.endswith("_0.mp4")}
    videos = plan(CLIPS, options(n_train=10), lambda clip: None if clip in bad else 30)
    shown = {piece.clip for video in videos for piece in video.pieces}
    assert shown
    assert not shown & bad


@pytest.mark.parametrize("label", ["jump", "idle"])
def test_a_class_without_any_usable_clip(label):
    with pytest.raises(VideoError, match=f"no clip of the class '{label}'"):
        plan(CLIPS, options(n_train=6), lambda clip: None if clip.label == label else 30)


@pytest.mark.parametrize(
    ("background", "message"), [(("idle", "sleep"), "no such class: sleep"), (tuple(GROUPS), "every class")]
)
def test_background_that_cannot_be(background, message):
    with pytest.raises(OptionError, match=message):
        plan(CLIPS, options(background=background), length)


@pytest.mark.parametrize(
    "wrong",
    [
        {"background": ()},
        {"n_train": 0},
        {"n_test": 0},
        {"fps": 0},
        {"fps": 1000},
        {"width": 97},
        {"height": 8},
        {"width": 10_000},
        {"test_share": 0.0},
        {"test_share": 1.0},
        {"min_s": 7.0},
        {"min_s": 1.0, "max_clip_s": 0.5},
        {"max_s": float("inf")},
        {"max_clip_s": float("nan")},
        {"max_clip_s": 0.0},
        {"max_clip_s": 2.1},
    ],
)
def test_options_that_cannot_be(wrong):
    with pytest.raises(OptionError):
        options(**wrong)
