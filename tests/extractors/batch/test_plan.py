"""What is to be done, and why; by content."""

import dataclasses
import json
import os
from pathlib import Path
from unittest import mock

import pytest

from extractors.batch import state
from extractors.batch.failures import failed_before
from extractors.batch.jobs import Video
from extractors.batch.plan import items_of, make_plan
from extractors.batch.state import Wanted, differences
from extractors.errors import OptionError
from extractors.recipe import FeatureRecipe
from tests.extraction_tools import BOTH, RGB, SHA, extract_all, videos_of
from tests.synthetic import make_video

WANTED = Wanted(RGB)


@pytest.fixture
def done(tmp_path):
    """A folder with a video, and its features."""
    (tmp_path / "in").mkdir()
    make_video(tmp_path / "in" / "a.mp4", n_frames=20)
    extract_all(tmp_path / "in", tmp_path / "out")
    return tmp_path


def reason(folder, wanted=WANTED, layout="ascnet"):
    items = items_of(videos_of(folder / "in"), folder / "out", layout)
    (task,) = make_plan(items, wanted).tasks
    return task.reason


def edit(folder, **changes):
    path = folder / "out" / "a.mp4.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_what_is_right_is_left_alone(done):
    assert reason(done) == ""
    os.utime(done / "in" / "a.mp4", (0, 0))  # dates decide nothing
    assert reason(done) == ""


def test_a_video_without_features_is_new(done):
    (done / "out" / "a.mp4.json").unlink()
    assert reason(done) == "no sidecar"
    (done / "out" / "a.mp4.npy").unlink()
    assert reason(done) == "new"


def test_a_video_that_changed_says_so(done):
    video = done / "in" / "a.mp4"
    data = bytearray(video.read_bytes())
    data[-1] ^= 1
    video.write_bytes(data)
    assert reason(done) == "the video changed"
    video.write_bytes(data + b"x")
    assert reason(done) == "the video changed"


def test_a_video_that_is_gone_is_tried(done):
    items = items_of([Video("a.mp4", done / "gone.mp4")], done / "out", "ascnet")
    assert make_plan(items, WANTED).to_do[0].reason.startswith("the video cannot be read")


def test_damage_is_found(done):
    data_path = done / "out" / "a.mp4.npy"
    data = bytearray(data_path.read_bytes())
    data[-1] ^= 1
    data_path.write_bytes(data)
    assert reason(done) == "features damaged: sha256"
    data_path.write_bytes(data[:-1])
    assert reason(done) == "features damaged: size"
    data_path.unlink()
    assert reason(done) == "features missing"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null", '{"format": 1}', "[" * 100_000], ids=range(7))
def test_a_sidecar_that_says_nothing_is_damaged(done, text):
    (done / "out" / "a.mp4.json").write_text(text)
    assert reason(done) == "sidecar damaged"


@pytest.mark.parametrize("field", ["data", "source", "recipe_sha256", "dtype"])
def test_a_sidecar_that_lacks_something_is_damaged(done, field):
    edit(done, **{field: None})
    assert reason(done) in ("sidecar damaged", "stored as None, not float32") or "recipe" in reason(done)


def test_another_recipe_is_named_by_what_a_person_chose(done):
    dense = FeatureRecipe({"rgb": SHA}, context="dense")
    assert reason(done, Wanted(dense)).startswith("recipe differs: context snippet -> dense, ")
    other = FeatureRecipe({"rgb": "1" * 64})
    assert reason(done, Wanted(other)) == "recipe differs: weights.rgb 000000000000... -> 111111111111..."


def test_another_dtype_and_force_and_strict(done):
    assert reason(done, Wanted(RGB, "float16")) == "stored as float32, not float16"
    assert reason(done, Wanted(RGB, force=True)) == "forced"
    assert reason(done, Wanted(RGB, strict=True)) == ""
    report = json.loads((done / "out" / "a.mp4.json").read_text())["decode_report"]
    edit(done, decode_report={**report, "truncated": True})
    assert reason(done, Wanted(RGB, strict=True)) == "made of a truncated video"
    assert reason(done) == ""


def test_sidecars_of_before_there_were_versions_are_right(done):
    path = done / "out" / "a.mp4.json"
    sidecar = json.loads(path.read_text())
    del sidecar["versions"], sidecar["n_snippets"]
    path.write_text(json.dumps(sidecar))
    assert reason(done) == ""


def test_the_other_layouts_are_told_apart(tmp_path):
    (tmp_path / "in" / "train").mkdir(parents=True)
    make_video(tmp_path / "in" / "train" / "a.mp4", n_frames=16)
    wanted = Wanted(BOTH)
    extract_all(tmp_path / "in", tmp_path / "out", wanted=wanted, layout="cola")
    assert reason(tmp_path, wanted, "cola") == ""
    assert reason(tmp_path, wanted, "acm-net") == "another layout"
    flow = tmp_path / "out" / "train" / "flow" / "a.npy"
    flow.write_bytes(flow.read_bytes()[:-1])
    assert reason(tmp_path, wanted, "cola") == "features damaged: size"


def test_reasons_are_counted(tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a", "b", "c"):
        (tmp_path / "in" / f"{name}.mp4").write_bytes(b"x")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b.mp4.npy").touch()
    plan = make_plan(items_of(videos_of(tmp_path / "in"), tmp_path / "out", "ascnet"), WANTED)
    assert plan.reasons() == {"new": 2, "no sidecar": 1}


def test_what_failed_before_says_so_and_is_tried_again(tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        (tmp_path / "in" / f"{name}.mp4").write_bytes(b"x")
    extract_all(tmp_path / "in", tmp_path / "out")
    make_video(tmp_path / "in" / "c.mp4", n_frames=8)
    items = items_of(videos_of(tmp_path / "in"), tmp_path / "out", "ascnet")
    plan = make_plan(items, WANTED, failed=failed_before(tmp_path / "out"))
    assert {task.item.video.name: task.reason for task in plan.to_do} == {
        "a.mp4": "failed before: not a readable video",
        "b.mp4": "failed before: not a readable video",
        "c.mp4": "new",
    }
    assert plan.reasons() == {"failed before": 2, "new": 1}


def test_a_file_is_opened_to_be_told_from_another(tmp_path, monkeypatch):
    """What a network file system remembers of a file may be old; it asks its server when one opens it."""
    path = tmp_path / "a.json"
    path.write_text("{}")
    seen = state.stamp(path)
    monkeypatch.setattr(Path, "stat", mock.Mock(side_effect=FileNotFoundError))
    assert state.stamp(path) == seen is not None
    assert state.stamp(tmp_path / "nowhere") is None
    os.mkfifo(tmp_path / "pipe")
    assert state.stamp(tmp_path / "pipe") is not None  # and nobody waits


def refused(folder, *names, layout="ascnet", out="out"):
    videos = [Video(name, folder / name) for name in names]
    with pytest.raises(OptionError) as caught:
        items_of(videos, folder / out, layout)
    return str(caught.value)


def test_two_videos_with_one_place_are_both_named(tmp_path):
    message = refused(tmp_path, "train/a.mp4", "train/a.avi", layout="acm-net")
    assert "a.mp4" in message
    assert "a.avi" in message
    assert len(items_of([Video(n, tmp_path / n) for n in ("a.mp4", "a.avi")], tmp_path, "ascnet")) == 2


@pytest.mark.parametrize("name", ["../a.mp4", "sub/../../a.mp4", "/etc/a.mp4", "a//b.mp4", ".", ".."])
def test_a_name_that_leaves_the_folder_is_refused(tmp_path, name):
    assert "outside" in refused(tmp_path, name)


def test_an_input_is_not_written_over(tmp_path):
    (tmp_path / "a.mp4.npy").touch()
    assert "a.mp4.npy" in refused(tmp_path, "a.mp4", "a.mp4.npy", out=".")


def test_a_file_where_another_needs_a_folder_is_refused(tmp_path):
    assert "folder" in refused(tmp_path, "a", "a.npy/b.mp4")


def test_names_that_differ_in_case_alone_meet_where_the_disk_says_so(tmp_path, monkeypatch):
    videos = [Video(name, tmp_path / name) for name in ("A.mp4", "a.mp4")]
    assert len(items_of(videos, tmp_path / "out", "ascnet")) == 2
    monkeypatch.setattr("extractors.batch.plan._ignores_case", lambda _folder: True)
    message = refused(tmp_path, "A.mp4", "a.mp4")
    assert "A.mp4" in message
    assert "a.mp4" in message


def test_differences_of_recipes_are_few_and_short():
    before = RGB.as_dict()
    after = dataclasses.replace(BOTH, context="dense", decoder="decord").as_dict()
    text = differences(before, after)
    assert text.startswith("context snippet -> dense, decoder pyav -> decord, ")
    assert text.endswith(" more")
