"""Results from a file: which segments, of which videos, how long."""

from pathlib import Path

import pytest

from ascnet_cli.errors import OptionError, VideoError
from ascnet_cli.outputs import files
from ascnet_cli.predictions import find_sources, read_predictions, with_results
from tests.ascnet_cli.hostile import run, video
from tests.synthetic import make_video


@pytest.fixture
def segments():
    found = [run(3, 4, 0.9), run(1, 2, 0.2), run(1, 2, 0.6, "high kick")]
    files.write_file([video(*found), video(run(5, 6, 0.1), name="b.mp4")], Path("s.csv"))
    return Path("s.csv")


def test_by_start_then_falling_score(segments):
    assert read_predictions(segments) == {
        "a.mp4": (run(1, 2, 0.6, "high kick"), run(1, 2, 0.2), run(3, 4, 0.9)),
        "b.mp4": (run(5, 6, 0.1),),
    }


def test_some_of_them(segments):
    assert read_predictions(segments, labels=["High_Kick"], min_score=0.3) == {
        "a.mp4": (run(1, 2, 0.6, "high kick"),),
        "b.mp4": (),
    }


def test_a_label_that_nothing_has(segments):
    with pytest.raises(OptionError, match=r"s\.csv has no class 'hihg kick'") as caught:
        read_predictions(segments, labels=["hihg kick"])
    assert "'high kick'" in caught.value.hint


def test_files_of_videos(tmp_path):
    for name in ("v/a.mp4", "v/one/b.mp4", "v/two/b.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        make_video(tmp_path / name, n_frames=3)
    a, b, c, inside = find_sources(["a", "b.mp4", "aa.mp4", "one/b"], Path("v"))
    assert (a.state, a.source.path) == ("done", Path("v/a.mp4"))
    assert (b.state, b.exit_code) == ("failed", 3)
    assert b.error == "2 videos in v may be meant: 'one/b.mp4', 'two/b.mp4'"
    assert (c.state, c.error, c.hint) == ("failed", "no such video in v", "did you mean 'a.mp4'?")
    assert inside.source.path == Path("v/one/b.mp4")


def test_a_folder_that_is_none():
    Path("empty").mkdir()
    with pytest.raises(OptionError, match="nowhere is not a folder"):
        list(find_sources(["a"], Path("nowhere")))
    with pytest.raises(VideoError, match="no video in empty"):
        list(find_sources(["a"], Path("empty")))


def test_lengths_are_counted_from_the_files(tmp_path):
    (tmp_path / "v").mkdir()
    make_video(tmp_path / "v" / "a.mp4", n_frames=50)
    (tmp_path / "v" / "b.mp4").write_text("words")
    detections = {"a.mp4": (run(1, 2),), "b.mp4": (), "c.mp4": ()}
    a, b, c = with_results(list(find_sources(tuple(detections), Path("v"))), detections, {"a.mp4": 9.0})
    assert a.result.duration_s == pytest.approx(2.0)
    assert a.result.detections == (run(1, 2),)
    assert (b.state, b.exit_code) == ("failed", 3)
    assert b.error.startswith("v/b.mp4: not a readable video")
    assert c.error == "no such video in v"


def test_lengths_without_the_files():
    detections = {"a.mp4": (run(1, 2),), "b.mp4": (run(1, 2), run(0, 3)), "c.mp4": ()}
    found = with_results(list(find_sources(tuple(detections), None)), detections, {"a.mp4": 9.0})
    assert [one.result.duration_s for one in found] == [9.0, 3.0, 0.0]
