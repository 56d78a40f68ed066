"""What is said about a run that goes on all the same: each of it once a video, and bounded."""

import json
from pathlib import Path

import pytest

from ascnet_cli import remarks
from ascnet_cli.outputs.files import write_file
from ascnet_cli.remarks import unplayable
from ascnet_cli.segments import VideoDetections
from ascnet_cli.targets import Source, Wanted, plan
from tests.ascnet_cli.hostile import run
from tests.cli_tools import ascnet
from tests.synthetic import MPEG4, make_video


def write_truth(*names):
    entry = {"duration": 4.0, "subset": "test", "annotations": [{"label": "run", "segment": [0.0, 1.0]}]}
    Path("truth.json").write_text(json.dumps({"database": dict.fromkeys(names, entry)}))


def write_segments(*names, found=None):
    write_file(
        [VideoDetections(name, 2.0, tuple(found or [run(0.2, 0.6)])) for name in names], Path("s.json")
    )
    return "s.json"


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_truth_that_does_not_know_a_video():
    write_truth("mocap.mp4")
    names = ["mocap.mp4", *(f"{n}.mp4" for n in range(7))]
    made = plan(
        Wanted(report=Path("r.html"), truth=Path("truth.json")), [Source(name, None) for name in names]
    )
    first, *_, last = said = remarks.lacking_truth(made)
    assert first == "no truth for 0.mp4 in truth.json (it has mocap.mp4)"
    assert last == "the same for 2 more"
    assert len(said) == remarks.MOST_VIDEOS + 1
    write_truth("mocap.mp4", *names[1:])
    made = plan(
        Wanted(report=Path("r.html"), truth=Path("truth.json")), [Source(name, None) for name in names]
    )
    assert remarks.lacking_truth(made) == ()


def test_render_says_that_the_truth_is_not_there():
    write_truth("mocap.mp4")
    ran = ascnet("render", write_segments("other.mp4"), "--report", "r.html", "--truth", "truth.json")
    assert ran.code == 0
    assert "warning: no truth for other.mp4 in truth.json (it has mocap.mp4)" in ran.errors
    assert '"truth_sought":"truth.json"' in Path("r.html").read_text()
    ran = ascnet("render", write_segments("mocap.mp4"), "--report", "r.html", "--truth", "truth.json")
    assert "no truth" not in ran.err
    assert '"truth_sought":""' in Path("r.html").read_text()


def test_nothing_to_embed():
    write_segments("a.mp4")
    refused = ascnet("render", "s.json", "--report", "r.html", "--embed")
    assert (refused.code, Path("r.html").exists()) == (2, False)
    assert refused.errors[0] == "error: --embed puts videos into the page, and no video is given"
    some = plan(
        Wanted(report=Path("r.html"), embed=True), [Source("a.mp4", Path("a.mp4")), Source("b.npy", None)]
    )
    remarks.check_embeds(some)
    assert remarks.lacking_files(some) == ("b.npy: nothing to embed: the video itself is not given",)
    assert remarks.lacking_files(plan(Wanted(report=Path("r.html")), [Source("b.npy", None)])) == ()


def test_a_page_without_a_video_says_what_its_length_is():
    said = "note: no video is given (--video-root FOLDER): a page shows none"
    ran = ascnet("render", write_segments("a.mp4"), "--report", "r.html")
    assert said in ran.errors  # the JSON says how long the video is
    assert ascnet("render", "s.json", "--out", "s.csv").code == 0
    ran = ascnet("render", "s.csv", "--report", "r.html")
    assert f"{said}, and its length is the end of its last segment" in ran.errors


def test_segments_past_the_end_of_the_video():
    make_video(Path("a.mp4"), n_frames=50)
    found = (run(0.2, 0.6), run(1.0, 2.05), run(1.5, 3.0), run(2.5, 2.6))
    ran = ascnet("render", write_segments("a.mp4", found=found), "--video-root", ".")
    said = "a.mp4: 2 of 4 segments reach past the end of the video (2.0 s), 1 of them wholly"
    assert ran.errors[0] == f"warning: {said}: is it the right video?"
    assert remarks.past_end(VideoDetections("a.mp4", 2.0, found[:2])) == ""


def test_clips_of_an_earlier_run_are_counted_and_stay():
    make_video(Path("a.mp4"), n_frames=50)
    arguments = ("--video-root", ".", "--clips", "clips", "--clips-copy")
    first = ascnet("render", write_segments("a.mp4", found=[run(0, 1), run(1, 2)]), *arguments)
    assert (first.code, "lay there" in first.err) == (0, False)
    assert first.errors[0].startswith("a.mp4: drawn into 2 clips (")
    for name in ("b__run__0.000-1.000.mp4", "a__notes.mp4", "a.mp4", "aa__run__0.000-1.000.mp4"):
        Path("clips", name).touch()
    second = ascnet("render", write_segments("a.mp4", found=[run(0, 1)]), *arguments)
    assert "note: clips/: 1 other clip of these videos lay there before" in second.errors
    assert len(list(Path("clips").iterdir())) == 6
    now = [VideoDetections("a.mp4", 2.0, (run(0, 1), run(1, 2)))]
    assert remarks.other_clips(Path("clips"), now) == 0
    Path("clips/a__high_kick__0.000-1.500~0123abcd-2.mp4").touch()
    assert remarks.other_clips(Path("clips"), now) == 1
    assert remarks.other_clips(Path("nowhere"), now) == 0


def test_a_report_says_which_videos_browsers_do_not_play():
    make_video(Path("fish.avi"), n_frames=50, codec=MPEG4)
    make_video(Path("good.mp4"), n_frames=50)
    make_video(Path("box.avi"), n_frames=50)
    Path("words.mp4").write_text("words")
    write_segments("fish.avi", "good.mp4", "box.avi")
    ran = ascnet("render", "s.json", "--video-root", ".", "--report", "r.html")
    assert ran.code == 0
    assert [line for line in ran.errors if "browsers" in line] == [
        "note: browsers do not play box.avi (AVI file): add --video to have one that they play",
        "note: browsers do not play fish.avi (MPEG-4 part 2): add --video to have one that they play",
    ]
    assert unplayable(Path("words.mp4")) == ""
    assert "browsers" not in ascnet("render", "s.json", "--video-root", ".", "--out", "s.csv").err


def test_the_index_says_which_videos_failed():
    make_video(Path("a.mp4"), n_frames=50)
    write_segments("a.mp4", "<b>gone</b>.mp4")
    ran = ascnet("render", "s.json", "--video-root", ".", "--report", "r.html")
    assert ran.code == 3
    text = Path("r.html").read_text()
    assert "<title>1 of 2 videos</title>" in text
    assert "<li><strong>&lt;b&gt;gone&lt;/b&gt;.mp4</strong>: no such video in .</li>" in text


def test_the_help_of_detect_names_the_shipped_models():
    said = " ".join(ascnet("detect", "--help").out.replace("│", " ").split())
    assert "kinetics400 (400 everyday" in said
    assert "mocap (the movements" in said
