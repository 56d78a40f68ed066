"""`ascnet datasets stitch`."""

import inspect
import json

import pytest

from ascnet_cli.cli.datasets_stitch import stitch as command
from ascnet_cli.datasets.stitch_options import StitchOptions
from tests.ascnet_cli.datasets.stitch_tools import clip_folder
from tests.cli_tools import ascnet

SMALL = (
    *("--background", "idle", "--videos", "2", "--test-videos", "1", "--size", "96x72"),
    *("--min-seconds", "4", "--max-seconds", "6", "--max-clip-seconds", "2"),
)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return clip_folder(tmp_path_factory.mktemp("stitch") / "clips")


def stitch(*arguments):
    """With few frames a second, unless the arguments say how many."""
    return ascnet("datasets", "stitch", "--fps", "10", *arguments)


def test_videos_out_of_clips_and_again(clips, tmp_path):
    ran = stitch(clips, "--out", tmp_path / "deep" / "out", *SMALL, "--seed", "5")
    assert ran.code == 0
    header, *rows = [line.split() for line in ran.out.splitlines()]
    assert header == ["class", "training", "testing"]
    assert [row[0] for row in rows] == ["jump", "wave"]
    first, *_, last = ran.errors
    assert first == "looking at up to 9 clips"
    assert last.startswith("3 of 3 videos done, 0 up to date: 0.")
    assert sum(line.startswith("train_000") for line in ran.errors) == 2

    ran = stitch(clips, "--out", tmp_path / "deep" / "out", *SMALL, "--seed", "5", "--json")
    assert ran.code == 0
    assert ran.json["up_to_date"] == 3
    assert (ran.json["done"], ran.json["bad_clips"]) == (0, [])
    by_class = {row[0]: [int(number) for number in row[1:]] for row in rows}
    for label, numbers in by_class.items():
        assert [ran.json["instances"][subset].get(label, 0) for subset in header[1:]] == numbers
    assert ran.errors[1] == "train_0000.mp4: up to date"

    assert ascnet("datasets", "check", tmp_path / "deep" / "out").out.startswith("out: 3 videos, 2 classes")


def test_the_options_arrive(clips, tmp_path):
    out = tmp_path / "out"
    fps = ("--fps", "8", "--test-share", "0.6", "--group-pattern", r"_(g\d+)_")
    assert stitch(clips, "--out", out, *SMALL, *fps).code == 0
    asked = json.loads((out / "stitch.json").read_text())["options"]
    assert (asked["fps"], asked["test_share"], asked["width"], asked["height"]) == (8, 0.6, 96, 72)
    assert (asked["min_s"], asked["max_s"], asked["max_clip_s"], asked["background"]) == (4, 6, 2, ["idle"])
    videos = json.loads((out / "stitch.json").read_text())["videos"]
    groups = {piece["group"] for video in videos.values() for piece in video["pieces"]}
    assert groups <= {"g01", "g02", "g03"}
    database = json.loads((out / "annotations.json").read_text())["database"]
    assert {entry["fps"] for entry in database.values()} == {8}


def test_the_command_and_the_library_have_the_same_defaults():
    said = {name: parameter.default for name, parameter in inspect.signature(command).parameters.items()}
    asked = StitchOptions(background=("idle",))
    names = {"seed": "seed", "videos": "n_train", "test_videos": "n_test", "fps": "fps"}
    names |= {"min_seconds": "min_s", "max_seconds": "max_s", "max_clip_seconds": "max_clip_s"}
    for option, field in (names | {"test_share": "test_share"}).items():
        assert said[option] == getattr(asked, field)
    assert said["size"] == f"{asked.width}x{asked.height}"


def test_a_bad_clip_is_named_and_the_rest_is_done(tmp_path):
    clips = clip_folder(tmp_path / "clips")
    for group in (1, 2, 3):
        (clips / "idle" / f"v_idle_g0{group}_c02.mp4").write_bytes(b"broken")
    ran = stitch(clips, "--out", tmp_path / "out", *SMALL)
    assert ran.code == 3
    assert "warning: idle/v_idle_g0" in ran.err
    assert "not a readable video" in ran.err
    assert "passed over" in ran.errors[-1]
    assert (tmp_path / "out" / "annotations.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["clips", "--out", "out"], 2, "--background"),
        (["clips", *SMALL], 2, "--out"),
        (["clips", "--out", "out", *SMALL, "--background", "sleep"], 2, "no such class: sleep"),
        (["clips", "--out", "out", *SMALL, "--background", "jump", "--background", "wave"], 2, "background"),
        (["clips", "--out", "out", *SMALL, "--size", "96"], 2, "'96' is no size"),
        (["clips", "--out", "out", *SMALL, "--size", "97x72"], 2, "97x72"),
        (["clips", "--out", "out", *SMALL, "--videos", "0"], 2, "at least one"),
        (["clips", "--out", "out", *SMALL, "--group-pattern", "("], 2, "regular expression"),
        (["clips", "--out", "out", *SMALL, "--group-pattern", r"^v_([a-z]+)_"], 2, "of one group (idle)"),
        (["nowhere", "--out", "out", *SMALL], 4, "nowhere"),
        (["clips/jump", "--out", "out", *SMALL], 4, "a folder a class"),
    ],
)
def test_what_is_refused(clips, tmp_path, monkeypatch, arguments, code, said):
    monkeypatch.chdir(clips.parent)
    ran = stitch(*arguments)
    assert ran.code == code
    assert ran.out == ""
    assert said in ran.err
    assert ran.errors[-2].startswith("error: ")
    assert ran.errors[-1].startswith("hint: ")
    assert not (clips.parent / "out").exists()
