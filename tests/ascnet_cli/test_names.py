import pytest

from ascnet_cli.names import NameIndex

KNOWN = ["a.mp4", "b.mp4", "b.avi", "deep/c.mkv", "deep/d.mp4", "other/d.mp4", "v_1.5.mp4", "A.mp4"]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a.mp4", ("a.mp4",)),
        ("a", ("a.mp4",)),
        ("b", ("b.mp4", "b.avi")),
        ("b.avi", ("b.avi",)),
        ("b.mkv", ()),
        ("deep/c", ("deep/c.mkv",)),
        ("c", ("deep/c.mkv",)),
        ("c.mkv", ("deep/c.mkv",)),
        ("elsewhere/c.mkv", ("deep/c.mkv",)),
        ("d.mp4", ("deep/d.mp4", "other/d.mp4")),
        ("deep/d.mp4", ("deep/d.mp4",)),
        ("v_1.5", ("v_1.5.mp4",)),
        ("v_1", ()),
        ("", ()),
        ("..", ()),
    ],
)
def test_what_a_name_means(name, found):
    assert NameIndex(KNOWN).find(name) == found


def test_annotations_often_have_no_ending():
    assert NameIndex(["a", "b"]).find("in/a.mp4") == ("a",)


def test_near_names():
    assert NameIndex(["mocap-052.mp4", "kick.mp4"]).near("mocap-05") == ("mocap-052.mp4",)
    assert NameIndex(["kick.mp4"]).near("zzzzzz") == ()
