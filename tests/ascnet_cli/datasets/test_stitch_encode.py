"""Pictures of clips on one time grid and in one size, and what is encoded of them."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ascnet_cli.datasets.stitch_clips import Clip
from ascnet_cli.datasets.stitch_encode import centre, count, covering_side, pictures, write_video
from ascnet_cli.datasets.stitch_plan import Piece, VideoPlan
from ascnet_cli.errors import VideoError
from extractors.pictures import resized
from extractors.video import MAX_ASPECT, open_video
from tests.synthetic import SIZE, colours_are_right, make_growing, make_video, read_index

sides = st.integers(16, 2000)


def no_report(done: float, total: float | None) -> None:
    pass


@given(sides, sides, sides, sides)
def test_the_shorter_side_is_just_long_enough_to_cover(width, height, out_width, out_height):
    assume(max(width, height) <= MAX_ASPECT * min(width, height))  # longer ones are refused
    side = covering_side(width, height, (out_width, out_height))
    scaled = resized(width, height, side)
    assert scaled[0] >= out_width
    assert scaled[1] >= out_height
    if side > 1:
        less = resized(width, height, side - 1)
        # Rounding of the longer side may be kind to one pixel less.
        assert less[0] <= out_width or less[1] <= out_height


def test_the_middle_is_kept():
    picture = np.zeros((9, 12, 3), np.uint8)
    picture[2:6, 3:9] = 7  # one row more below than above
    assert (centre(picture, (6, 4)) == 7).all()
    with pytest.raises(VideoError, match="change their shape"):
        centre(picture, (14, 4))


@pytest.mark.parametrize(("size", "out"), [((96, 72), (64, 64)), ((72, 96), (64, 48)), ((96, 72), (192, 96))])
def test_pictures_are_scaled_to_cover_and_cropped(tmp_path, size, out):
    found = list(pictures(make_video(tmp_path / "a.mp4", n_frames=3, size=size), 25, out))
    assert {picture.shape for picture in found} == {(out[1], out[0], 3)}


def test_the_nearest_picture_in_time(tmp_path):
    clip = make_video(tmp_path / "a.mp4", n_frames=18, fps=18)
    found = [read_index(picture) for picture in pictures(clip, 25, SIZE)]
    assert found == [min(round(k / 25 * 18 - 1e-9), 17) for k in range(25)]
    assert count(clip, 25, SIZE) == 25


def test_a_clip_whose_pictures_grow_narrow(tmp_path):
    clip = make_growing(tmp_path / "a.mkv", [(96, 72), (72, 120)])
    with pytest.raises(VideoError, match="change their shape"):
        count(clip, 25, (96, 72))


@pytest.mark.parametrize("content", [b"", b"no video"])
def test_what_is_no_video(tmp_path, content):
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(VideoError, match="not a"):
        count(tmp_path / "a.mp4", 25, SIZE)


@pytest.fixture
def video(tmp_path):
    """Frames 10 to 14, then 3 to 9 of another clip, then 0 to 2 of the first."""
    first = Clip("a/1.mp4", make_video(tmp_path / "1.mp4", n_frames=20), "a", "1")
    second = Clip("b/2.mp4", make_video(tmp_path / "2.mp4", n_frames=10), "b", "2")
    pieces = (Piece(first, 10, 5, None), Piece(second, 3, 7, "b"), Piece(first, 0, 3, None))
    return VideoPlan("v.mp4", "training", 25, pieces)


def test_every_frame_is_where_the_plan_has_it(video, tmp_path):
    told = []
    write_video(video, tmp_path / "v.mp4", SIZE, lambda done, total: told.append((done, total)))
    with open_video(tmp_path / "v.mp4", short_side=None) as reader:
        frames = list(reader.frames())
        assert reader.report.duration_s == pytest.approx(15 / 25)
    assert [read_index(frame.rgb) for frame in frames] == [*range(10, 15), *range(3, 10), *range(3)]
    assert [frame.time_s for frame in frames] == pytest.approx([k / 25 for k in range(15)])
    assert all(colours_are_right(frame.rgb) for frame in frames)
    assert told[-1] == (0.6, 0.6)
    (instance,) = video.instances
    assert (instance.segment.start_s, instance.segment.end_s) == (0.2, 0.48)


def test_the_same_plan_gives_the_same_bytes(video, tmp_path):
    for name in ("one.mp4", "two.mp4"):
        write_video(video, tmp_path / name, SIZE, no_report)
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()


def test_a_clip_that_became_shorter_leaves_no_file(video, tmp_path):
    make_video(tmp_path / "2.mp4", n_frames=6)
    with pytest.raises(VideoError, match=r"2\.mp4: has become shorter"):
        write_video(video, tmp_path / "v.mp4", SIZE, no_report)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.mp4", "2.mp4"]
