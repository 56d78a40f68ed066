"""Finding trimmed clips, and which of them are of one source."""

import pytest

from ascnet_cli.datasets.stitch_clips import find_clips
from ascnet_cli.errors import OptionError, VideoError


def put(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"no video yet")
    return folder


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("YoYo/v_YoYo_g05_c02.avi", "YoYo_g05"),
        ("brush_hair/April_09_brush_hair_u_nm_np1_ba_goo_0.avi", "April_09"),
        ("archery/0kOsnBqHx6E_000010_000020.mp4", "0kOsnBqHx6E"),
        ("fight/fi001.mp4", "fight/fi001.mp4"),
        ("fight/night_scene.mp4", "fight/night_scene.mp4"),
    ],
)
def test_sources_in_the_names_of_known_data_sets(tmp_path, name, group):
    assert [clip.group for clip in find_clips([put(tmp_path, name)])] == [group]


def test_an_expression_of_ones_own_joins_classes(tmp_path):
    put(tmp_path, "run/Trial1_a.mp4", "sit/Trial1_b.mp4", "sit/other.mp4", "sit/scene_x_1.mp4")
    clips = find_clips([tmp_path], r"(Trial\d)|(scene_\w)")
    assert [(clip.name, clip.group) for clip in clips] == [
        ("run/Trial1_a.mp4", "Trial1"),
        ("sit/Trial1_b.mp4", "Trial1"),
        ("sit/other.mp4", "sit/other.mp4"),
        ("sit/scene_x_1.mp4", "scene_x"),
    ]


def test_several_folders_are_joined_by_class(tmp_path):
    put(tmp_path, "a/run/1.mp4", "a/run/notes.txt", "a/.hidden/2.mp4", "b/run/deep/3.mkv", "b/4.mp4")
    clips = find_clips([tmp_path / "b", tmp_path / "a"])
    assert [(clip.label, clip.name) for clip in clips] == [("run", "run/1.mp4"), ("run", "run/deep/3.mkv")]


@pytest.mark.parametrize("pattern", ["(", "no group"])
def test_no_useful_expression(tmp_path, pattern):
    with pytest.raises(OptionError, match=r"regular expression|no group"):
        find_clips([put(tmp_path, "run/1.mp4")], pattern)


def test_two_clips_of_one_name(tmp_path):
    put(tmp_path, "a/run/1.mp4", "b/run/1.mp4")
    with pytest.raises(OptionError, match=r"both called 'run/1\.mp4'"):
        find_clips([tmp_path / "a", tmp_path / "b"])


def test_nothing_to_stitch(tmp_path):
    with pytest.raises(VideoError, match="no video in"):
        find_clips([put(tmp_path, "run/notes.txt")])
    with pytest.raises(VideoError, match="No such file"):
        find_clips([tmp_path / "nowhere"])
