"""One picture out of a video."""

from __future__ import annotations

import numpy as np
import pytest

from extractors.errors import VideoError
from extractors.still import still
from tests.synthetic import FFV1, H264_B, MPEG4, SIZE, VP9, make_audio, make_video, picture, read_index, remux


@pytest.mark.parametrize("at_s", [0.0, 0.5, 1.04, 2.0])
@pytest.mark.parametrize(
    ("ending", "codec"), [("mp4", H264_B), ("mkv", H264_B), ("avi", MPEG4), ("webm", VP9), ("mkv", FFV1)]
)
def test_the_picture_shown_at_a_time(tmp_path, ending, codec, at_s):
    video = make_video(tmp_path / f"a.{ending}", n_frames=60, codec=codec)
    assert read_index(still(video, at_s=at_s)) == pytest.approx(at_s * 25, abs=1)


def test_times_count_from_the_first_frame(tmp_path):
    late = make_video(tmp_path / "late.mkv", times_s=[1.5 + k / 25 for k in range(50)])
    assert read_index(still(late, at_s=1.0)) == pytest.approx(25, abs=1)


def test_a_time_behind_the_end_gives_the_end(tmp_path):
    assert read_index(still(make_video(tmp_path / "a.mp4", n_frames=30), at_s=9.0)) >= 28


def test_a_video_that_fades_in_is_shown_where_it_is_there(tmp_path):
    black = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    shown = [*[black] * 10, *(picture(k) for k in range(10, 20))]
    assert read_index(still(make_video(tmp_path / "a.mp4", pictures=shown, n_frames=20))) == 10


def test_a_video_of_one_colour_is_shown_as_it_is(tmp_path):
    grey = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
    rgb = still(make_video(tmp_path / "a.mp4", pictures=[grey] * 5, n_frames=5))
    assert rgb.shape == grey.shape
    assert abs(float(rgb.mean()) - 90) < 4


def test_the_picture_is_small_and_upright(tmp_path):
    video = make_video(tmp_path / "a.mp4", n_frames=10)
    turned = remux(video, tmp_path / "turned.mp4", before=["-display_rotation", "90"])
    assert still(video, short_side=36).shape == (36, 48, 3)
    assert still(turned, short_side=36).shape == (48, 36, 3)


@pytest.mark.parametrize("at_s", [None, 0.5])
def test_what_has_no_picture(tmp_path, at_s):
    with pytest.raises(VideoError, match="no video stream"):
        still(make_audio(tmp_path / "a.m4a"), at_s=at_s)
