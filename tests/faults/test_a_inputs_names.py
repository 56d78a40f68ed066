"""A: names, places and lists of files."""

from __future__ import annotations

import csv
import json
import os
import tracemalloc
from pathlib import Path

import pytest

from extractors.batch.inputs import gather
from extractors.video import find_videos
from tests.cli_tools import action_video, stand_in_network
from tests.cli_tools import ascnet as ascnet_here
from tests.faults.fault_tools import ascnet
from tests.faults.input_files import HOSTILE
from tests.synthetic import make_video


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_A26_any_name_is_a_name(both, name):
    seen = both[f"names/{name}"]
    assert seen.state == "done"
    assert seen.sidecar["video"] == f"names/{name}"


def test_A26_names_come_back_from_the_csv_and_stay_on_one_line(detected):
    with (detected.folder / "segments.csv").open(newline="", encoding="utf-8") as file:
        names = {row["video"] for row in csv.DictReader(file)}
    assert {f"names/{name}" for name in HOSTILE} <= names
    assert "\x1b" not in detected.err
    assert "names/new\\nline.mp4: 1 segment" in detected.err


@pytest.mark.slow
def test_A26_names_as_a_person_types_them(tmp_path):
    """As long as a disk takes, one folder up, after the double dash, and like protocols of FFmpeg."""
    here = tmp_path / "here"
    here.mkdir()
    longest = "n" * 251 + ".mp4"
    data = action_video(tmp_path / longest).read_bytes()
    (tmp_path / "-dash.mp4").write_bytes(data)
    protocols = ["a:b.mp4", "concat:a.mp4|b.mp4", "file:a.mp4"]
    for name in protocols:
        (here / name).write_bytes(data)
    ran = ascnet("detect", f"../{longest}", *protocols, "--out", "s.json", "--", "../-dash.mp4", cwd=here)
    assert ran.returncode == 0, ran.stderr
    assert set(json.loads((here / "s.json").read_text())["results"]) == {longest, "-dash.mp4", *protocols}
    assert {path.name for path in here.iterdir()} == {"s.json", *protocols}


def test_A27_outputs_mirror_the_tree_and_keep_the_ending(both):
    names = ["a27/one/same.mp4", "a27/two/same.mp4", "a27/one/same.avi", "a27/one/SAME.mp4"]
    sources = [both[name].sidecar["source"]["sha256"] for name in names]
    assert len(set(sources)) == 2  # three copies of one video, and the other
    for name in names:
        assert (both.folder / "kept" / f"{name}.npy").is_file()


@pytest.mark.parametrize("command", ["detect", "extract"])
def test_A27_a_collision_is_an_error_before_any_work_that_names_both(tmp_path, command):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        action_video(tmp_path / folder / "same.mp4")
    with stand_in_network():
        ran = ascnet_here(command, "one/same.mp4", "two/same.mp4")
    assert ran.code == 2
    assert "one/same.mp4 and two/same.mp4" in ran.err
    assert not (tmp_path / "features").exists()


@pytest.mark.parametrize("again", ["clip.mp4", "./clip.mp4", "../{}/clip.mp4", "../{}"])
def test_A28_the_same_video_twice_is_done_once(tmp_path, again):
    action_video(tmp_path / "clip.mp4")
    with stand_in_network():
        ran = ascnet_here("detect", "clip.mp4", again.format(tmp_path.name), "--json", "--out", "s.csv")
    assert ran.code == 0
    assert [video["video"] for video in ran.json["videos"]] == ["clip.mp4"]
    assert len(Path("s.csv").read_text().splitlines()) == 2


def test_A28_a_link_is_another_name_with_results_of_its_own(tmp_path):
    make_video(tmp_path / "clip.mp4", n_frames=3)
    (tmp_path / "other.mp4").symlink_to("clip.mp4")
    found = gather([str(tmp_path)]).videos
    assert [video.name for video in found] == ["clip.mp4", "other.mp4"]


@pytest.mark.slow
def test_A29_a_folder_without_videos_is_4_with_the_endings_looked_for(tmp_path):
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "notes.txt").write_text("words")
    for command in ("detect", "extract"):
        ran = ascnet(command, "none", program=None, cwd=tmp_path)
        assert ran.returncode == 4, ran.stderr
        assert "(looked for .3gp " in ran.stderr
        assert " .webm " in ran.stderr


def test_A29_junk_is_passed_over_and_counted(inputs, both):
    assert not [name for name in both.files if name.startswith("junk/")]
    # Five below `junk` and the trap of A24.
    assert both.err.splitlines()[0].startswith("6 other files in the folders passed over")
    assert both.err.count("passed over (links") == 1


@pytest.mark.parametrize("n_files", [2_000, pytest.param(50_000, marks=pytest.mark.slow)])
def test_A29_other_files_are_not_held_however_many(tmp_path, n_files):
    make_video(tmp_path / "v.mp4", n_frames=2)
    for number in range(n_files):
        folder = tmp_path / f"{number // 500:03}"
        if number % 500 == 0:
            folder.mkdir()
        os.close(os.open(folder / f"{number:05}-{'n' * 40}.txt", os.O_CREAT | os.O_WRONLY))
    tracemalloc.start()
    try:
        assert [path.name for path in find_videos(tmp_path)] == ["v.mp4"]
        found = gather([str(tmp_path)])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (len(found.videos), found.n_other) == (1, n_files)
    assert peak < 250 * n_files  # bytes; a path that is held takes more
