"""`ascnet detect` on videos that it can read: what is written, what is shown, what is kept."""

import csv
import dataclasses
import json
import os
from pathlib import Path

import pytest

from ascnet_cli.config import network_config
from ascnet_cli.model.ascnet import AscNet
from ascnet_cli.model.checkpoint import save_checkpoint
from ascnet_cli.outputs.files import read_file
from extractors.features import Extractor
from tests.cli_tools import (
    ACTION,
    HEADER,
    action_video,
    ascnet,
    default_recipe,
    stand_in_network,
    stream,
)
from tests.synthetic import make_video


@pytest.fixture(autouse=True)
def _quick(request):
    if "real" in request.fixturenames:
        yield
        return
    with stand_in_network():
        yield


@pytest.fixture
def clip(tmp_path):
    return action_video(tmp_path / "clip.mp4")


@pytest.fixture
def unreadable(monkeypatch):
    """From here on, no video may be decoded."""

    def stop():
        def opened(self, path, **options):
            raise AssertionError(f"{path} was decoded")

        monkeypatch.setattr(Extractor, "extract", opened)

    return stop


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """The same tiny video through the real network, twice; every segment is kept."""
    folder = tmp_path_factory.mktemp("real")
    video = make_video(folder / "clip.mp4", n_frames=16, size=(64, 64))
    options = ("--min-score", "0", "--device", "cpu")
    runs = [
        ascnet("detect", video, *options, "--out", folder / f"{name}.csv", "--features-out", folder / name)
        for name in ("one", "two")
    ]
    return folder, runs


def test_the_same_video_twice_gives_the_same_bytes(real):
    folder, runs = real
    assert [run.code for run in runs] == [0, 0]
    assert (folder / "one.csv").read_bytes() == (folder / "two.csv").read_bytes()
    assert (folder / "one.csv").read_text().startswith(HEADER + "\n")
    one, two = ((folder / name / "clip.mp4.npy").read_bytes() for name in ("one", "two"))
    assert one == two
    assert len(one) > 2 * 1024 * 4


def test_a_device_that_was_chosen_is_not_announced(real):
    assert all(not run.err.startswith("device:") for run in real[1])


def test_csv_has_the_action_when_it_happens(clip):
    ran = ascnet("detect", clip, "--out", "segments.csv")
    assert ran.code == 0
    lines = Path("segments.csv").read_bytes().decode().split("\n")
    assert lines[0] == HEADER
    assert lines[-1] == ""
    (row,) = csv.DictReader(lines)
    assert (row["video"], row["label"]) == ("clip.mp4", ACTION)
    assert abs(float(row["start_s"]) - 1) < 0.64
    assert abs(float(row["end_s"]) - 4) < 0.64
    assert all(len(row[column].split(".")[1]) == 3 for column in ("start_s", "end_s"))
    assert ran.errors[-1] == "1 of 1 video done: 1 segment in segments.csv"


def test_rows_are_sorted_by_video_then_start(tmp_path):
    for name in ("b.mp4", "a.mp4"):
        action_video(tmp_path / name)
    action_video(tmp_path / "c.mp4", (1.0, 4.0), (7.0, 10.0), length_s=11.0)
    assert ascnet("detect", "c.mp4", "b.mp4", "a.mp4", "--out", "segments.csv").code == 0
    rows = list(csv.DictReader(Path("segments.csv").read_text().splitlines()))
    assert [row["video"] for row in rows] == ["a.mp4", "b.mp4", "c.mp4", "c.mp4"]
    assert float(rows[2]["start_s"]) < float(rows[3]["start_s"])


@pytest.mark.parametrize("options", [["--out", "segments.json"], ["--out", "segments", "--format", "json"]])
def test_activitynet_json(clip, options):
    assert ascnet("detect", clip, *options).code == 0
    content = json.loads(Path(options[1]).read_text())
    assert content.keys() == {"version", "results", "external_data"}
    (found,) = content["results"]["clip.mp4"]
    assert found.keys() == {"label", "segment", "score"}
    assert found["label"] == ACTION
    assert read_file(Path(options[1]), "json")["clip.mp4"][0].label == ACTION


def test_both_formats_say_the_same(clip):
    for name in ("segments.csv", "segments.json"):
        ascnet("detect", clip, "--out", name)
    (one,), (other,) = (read_file(Path(n))["clip.mp4"] for n in ("segments.csv", "segments.json"))
    assert one.segment.start_s == pytest.approx(other.segment.start_s, abs=5e-4)
    assert one.score == pytest.approx(other.score, abs=5e-7)


def test_a_dash_puts_the_csv_and_nothing_else_on_standard_output(clip):
    ran = ascnet("detect", clip, "--out", "-")
    to_file = ascnet("detect", clip, "--out", "segments.csv")
    assert ran.code == to_file.code == 0
    assert ran.out == Path("segments.csv").read_text()
    assert not Path("-").exists()


def test_a_dash_with_a_format(clip):
    assert ascnet("detect", clip, "--out", "-", "--format", "json").json["results"].keys() == {"clip.mp4"}


def test_the_json_summary(tmp_path, clip):
    (tmp_path / "bad.mp4").write_text("not a video")
    ran = ascnet("detect", clip, "bad.mp4", "--json", "--out", "segments.csv")
    assert ran.code == 3
    assert ran.out.count("\n") == 1
    good, bad = ran.json.pop("videos")
    assert ran.json.keys() == {"done", "up_to_date", "failed", "videos", "out"}
    assert (ran.json["done"], ran.json["up_to_date"], ran.json["failed"]) == (1, 0, 1)
    assert ran.json["out"] == "segments.csv"
    keys = ["video", "state", "segments", "seconds", "error", "hint"]
    assert list(good) == list(bad) == keys
    assert (good["video"], good["state"], good["segments"]) == ("clip.mp4", "done", 1)
    assert (good["error"], good["hint"]) == (None, None)
    assert good["seconds"] > 0
    assert (bad["video"], bad["state"], bad["segments"]) == ("bad.mp4", "failed", 0)
    assert bad["error"] == "not a readable video"
    assert bad["hint"]


def test_the_json_summary_names_no_file_where_none_was_written(tmp_path, clip):
    assert ascnet("detect", clip, "--json").json["out"] is None
    (tmp_path / "bad.mp4").touch()
    assert ascnet("detect", "bad.mp4", "--json", "--out", "segments.csv").json["out"] is None


def test_a_table_is_shown_otherwise(clip):
    ran = ascnet("detect", clip, "--out", "segments.csv")
    header, row = ran.out.splitlines()
    assert header.split() == ["video", "start", "end", "score", "action"]
    assert row.split()[0] == "clip.mp4"
    assert row.split()[4] == ACTION
    assert row.split()[1].startswith("0:0")


def test_long_names_are_whole_in_a_pipe(tmp_path):
    name = "n" * 240 + ".mp4"
    action_video(tmp_path / name)
    assert ascnet("detect", name).out.splitlines()[1].startswith(name)


def terminal():
    """A standard stream that says it is a terminal."""
    made = stream()
    made.isatty = lambda: True
    return made


def test_without_a_terminal_there_are_no_escape_codes(clip, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    ran = ascnet("detect", clip, "missing.mp4")
    assert "\x1b" not in ran.out + ran.err


def test_colours_on_a_terminal_unless_no_color(clip, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = ascnet("detect", clip, "missing.mp4", out=terminal())
    assert "\x1b[1m" in coloured.out
    monkeypatch.setenv("NO_COLOR", "1")
    plain = ascnet("detect", clip, "missing.mp4", out=terminal())
    assert "\x1b" not in plain.out


def test_a_bar_on_a_terminal(clip, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    ran = ascnet("detect", clip, err=terminal())
    assert "[1/1] clip.mp4" in ran.err
    assert "s of video" in ran.err


@pytest.mark.parametrize("closed", ["out", "err"])
def test_a_reader_that_has_gone_is_no_error(clip, closed):
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb", buffering=0) as file:  # noqa: PTH123 - a file descriptor
        ran = ascnet("detect", clip, "--out", "segments.csv", **{closed: stream(file)})
    assert ran.code == 0
    assert "Traceback" not in ran.err
    assert len(Path("segments.csv").read_text().splitlines()) == 2


def test_a_full_disk_behind_standard_output(clip):
    with open("/dev/full", "wb", buffering=0) as file:  # noqa: PTH123
        ran = ascnet("detect", clip, "--out", "-", out=stream(file))
    assert ran.code == 6
    assert ran.errors[-2].startswith("error: the disk is full")


def test_a_console_that_knows_only_ascii(tmp_path):
    action_video(tmp_path / "größe-🎬.mp4")
    ran = ascnet("detect", "größe-🎬.mp4", "--out", "-", out=stream(), err=stream(encoding="ascii"))
    assert ran.code == 0
    assert "gr\\xf6\\xdfe" in ran.err
    assert ran.out.splitlines()[1].startswith("größe-🎬.mp4,archery,")
    table = ascnet("detect", "größe-🎬.mp4", out=stream(encoding="ascii"))
    assert table.out.splitlines()[1].startswith("gr\\xf6\\xdfe")


def test_results_for_a_program_are_utf8_whatever_the_console_is(tmp_path):
    action_video(tmp_path / "größe.mp4")
    ran = ascnet("detect", "größe.mp4", "--out", "-", out=stream(encoding="ascii"))
    assert ran.out.splitlines()[1].startswith("größe.mp4,archery,")


NAMES = ["new\nline.mp4", "🎬.mp4", "a,b.mp4", "=cmd().mp4", 'quo"te.mp4', "[red]x.mp4", ":warning:.mp4"]


@pytest.mark.parametrize("name", NAMES)
def test_names_come_back_from_the_csv_and_stay_on_one_line(tmp_path, name):
    action_video(tmp_path / name)
    ran = ascnet("detect", name, "--out", "segments.csv")
    assert ran.code == 0
    assert list(read_file(Path("segments.csv"))) == [name]
    shown = name.replace("\n", "\\n")
    assert ran.errors[0].startswith(f"{shown}: 1 segment in 5.0 s of video (")
    assert ran.out.splitlines()[1].startswith(shown)


def test_a_name_that_is_not_utf8(tmp_path):
    action_video(tmp_path / "plain.mp4")
    (tmp_path / "plain.mp4").rename(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.mp4"))
    ran = ascnet("detect", "\udcff.mp4", "--out", "segments.csv", "--features-out", "kept")
    assert ran.code == 0
    assert "\\udcff.mp4" in Path("segments.csv").read_text()


def test_an_error_about_a_hostile_name_stays_on_one_line():
    ran = ascnet("detect", "a.mp4", "--out", "no\n\x1b[31m/where.csv")
    assert len(ran.err.splitlines()) == 2
    assert "\x1b" not in ran.err


def test_a_leading_dash_after_the_double_dash(tmp_path):
    action_video(tmp_path / "-x.mp4")
    assert ascnet("detect", "--out", "segments.csv", "--", "-x.mp4").code == 0
    assert list(read_file(Path("segments.csv"))) == ["-x.mp4"]


def test_the_same_file_twice_is_done_once(clip):
    ran = ascnet("detect", clip, "clip.mp4", "./clip.mp4", "--json")
    assert ran.code == 0
    assert [video["video"] for video in ran.json["videos"]] == ["clip.mp4"]


def test_a_folder_gives_names_below_it(tmp_path):
    for name in ("in/a.mp4", "in/deep/a.mp4", "in/deep/a.avi"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        action_video(tmp_path / "made.mp4").rename(tmp_path / name)
    (tmp_path / "in" / "notes.txt").write_text("words")
    ran = ascnet("detect", "in", "--features-out", "kept", "--json")
    assert [video["video"] for video in ran.json["videos"]] == ["a.mp4", "deep/a.avi", "deep/a.mp4"]
    assert Path("kept/deep/a.avi.npy").is_file()
    assert Path("kept/deep/a.avi.json").is_file()


def test_labels_keep_some_classes_alone(clip):
    assert ascnet("detect", clip, "--labels", f" jogging , {ACTION} ", "--json").json["videos"][0]["segments"]
    other = ascnet("detect", clip, "--labels", "jogging", "--out", "segments.csv")
    assert other.code == 0
    assert Path("segments.csv").read_text() == HEADER + "\n"
    assert other.out == ""


def test_min_score_is_a_bound(clip):
    score = read_score(clip)
    assert ascnet("detect", clip, "--min-score", score - 1e-3, "--out", "-").out.count("\n") == 2
    assert ascnet("detect", clip, "--min-score", score + 1e-3, "--out", "-").out.count("\n") == 1


def read_score(clip):
    (row,) = csv.DictReader(ascnet("detect", clip, "--out", "-").out.splitlines())
    return float(row["score"])


def test_features_are_kept_and_used_again(clip, unreadable):
    first = ascnet("detect", clip, "--features-out", "kept", "--out", "one.csv")
    assert first.code == 0
    assert sorted(file.name for file in Path("kept").iterdir()) == ["clip.mp4.json", "clip.mp4.npy"]
    unreadable()
    second = ascnet("detect", clip, "--features-out", "kept", "--out", "two.csv")
    assert second.code == 0
    assert "from kept features" in second.err
    assert Path("one.csv").read_bytes() == Path("two.csv").read_bytes()


def test_a_changed_video_is_done_again(tmp_path):
    action_video(tmp_path / "clip.mp4")
    ascnet("detect", "clip.mp4", "--features-out", "kept", "--out", "one.csv")
    action_video(tmp_path / "clip.mp4", (2.0, 5.0))
    again = ascnet("detect", "clip.mp4", "--features-out", "kept", "--out", "two.csv")
    assert "from kept features" not in again.err
    one, two = (read_file(Path(name))["clip.mp4"][0].segment for name in ("one.csv", "two.csv"))
    assert two.start_s > one.start_s + 0.5


def test_damaged_kept_features_are_made_again(clip):
    ascnet("detect", clip, "--features-out", "kept", "--out", "one.csv")
    kept = Path("kept/clip.mp4.npy")
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-1])
    again = ascnet("detect", clip, "--features-out", "kept", "--out", "two.csv")
    assert again.code == 0
    assert kept.read_bytes() == whole
    assert Path("one.csv").read_bytes() == Path("two.csv").read_bytes()


@pytest.mark.parametrize("given", ["kept/clip.mp4.npy", "kept"])
def test_kept_features_in_place_of_the_video(clip, unreadable, given):
    ascnet("detect", clip, "--features-out", "kept", "--out", "one.csv")
    clip.unlink()
    unreadable()
    assert ascnet("detect", given, "--out", "two.csv").code == 0
    assert Path("one.csv").read_bytes() == Path("two.csv").read_bytes()


def test_a_video_and_its_kept_features_are_not_two_videos(clip):
    ascnet("detect", clip, "--features-out", "kept")
    ran = ascnet("detect", clip, "kept/clip.mp4.npy")
    assert ran.code == 2
    assert "would both be called 'clip.mp4'" in ran.err


@pytest.mark.parametrize("missing", ["npy", "json"])
def test_half_a_pair_of_kept_features(clip, missing):
    ascnet("detect", clip, "--features-out", "kept")
    Path(f"kept/clip.mp4.{missing}").unlink()
    ran = ascnet("detect", "kept/clip.mp4.npy")
    assert ran.code == 5
    assert ran.errors[0].startswith("failed: clip.mp4: kept/clip.mp4.")
    assert "is missing" in ran.errors[0]


def test_a_failing_write_leaves_the_segments_on_standard_output(clip, monkeypatch):
    from ascnet_cli.errors import StorageError

    def full(*_arguments):
        raise StorageError("segments.csv: the disk is full", hint="make room")

    monkeypatch.setattr("ascnet_cli.outputs.files.write_file", full)
    ran = ascnet("detect", clip, "--out", "segments.csv")
    assert ran.code == 6
    assert ran.out.splitlines()[0] == HEADER
    assert len(ran.out.splitlines()) == 2
    assert ran.errors[-2:] == ["error: segments.csv: the disk is full", "hint: make room"]


def test_a_full_disk_in_the_middle_does_not_lose_what_is_finished(tmp_path, monkeypatch):
    from ascnet_cli.errors import StorageError

    extract = Extractor.extract

    def filling(self, path, **options):
        if path.name == "b.mp4":
            raise StorageError("kept/b.mp4.npy: no room", hint="make room")
        return extract(self, path, **options)

    for name in ("a.mp4", "b.mp4"):
        action_video(tmp_path / name)
    monkeypatch.setattr(Extractor, "extract", filling)
    ran = ascnet("detect", "a.mp4", "b.mp4", "--out", "segments.csv")
    assert ran.code == 6
    assert list(read_file(Path("segments.csv"))) == ["a.mp4"]


@pytest.fixture
def checkpoint(tmp_path):
    """A small random network that wants the default RGB features, in isolated snippets."""

    def make(name="model.safetensors", **recipe):
        config = network_config("fixed", "thumos14", n_classes=2, in_dim=1024)
        model = AscNet(dataclasses.replace(config, embed_dim=8, query_dim=4))
        path = tmp_path / name
        save_checkpoint(path, model, labels=["dive", "throw"], recipe=default_recipe(**recipe).as_dict())
        return path

    return make


def test_a_checkpoint_detects_through_the_same_command(clip, checkpoint):
    arguments = ("detect", clip, "--model", checkpoint(), "--features-out", "kept")
    ran = ascnet(*arguments, "--min-score", "-10", "--out", "segments.csv")
    assert ran.code == 0
    assert Path("segments.csv").read_text().startswith(HEADER + "\n")
    sidecar = json.loads(Path("kept/clip.mp4.json").read_text())
    assert sidecar["recipe"]["context"] == "snippet"
    assert ascnet(*arguments, "--labels", "throw").code == 0
    unknown = ascnet(*arguments, "--labels", ACTION)
    assert unknown.code == 2
    assert "it has 'dive', 'throw'" in unknown.err


def test_a_checkpoint_refuses_features_of_another_recipe(clip, checkpoint):
    ascnet("detect", clip, "--features-out", "kept")
    ran = ascnet("detect", "kept/clip.mp4.npy", "--model", checkpoint())
    assert ran.code == 5
    assert 'context: made with "dense", the model wants "snippet"' in ran.errors[0]
    assert "hint: " in ran.errors[0]


def test_features_of_another_recipe_among_videos_fail_alone(tmp_path, clip, checkpoint):
    action_video(tmp_path / "other.mp4")
    ascnet("detect", clip, "--features-out", "kept")
    assert ascnet("detect", "kept/clip.mp4.npy", "other.mp4", "--model", checkpoint()).code == 3


def test_the_decoder_is_the_checkpoints_own(clip, checkpoint):
    model = checkpoint(decoder="decord")
    ran = ascnet("detect", clip, "--model", model, "--decoder", "pyav")
    assert ran.code == 5
    assert 'decoder: made with "pyav", the model wants "decord"' in ran.errors[0]
    assert ascnet("detect", clip, "--model", model, "--features-out", "kept").code == 0
    assert json.loads(Path("kept/clip.mp4.json").read_text())["recipe"]["decoder"] == "decord"


def test_a_checkpoint_whose_weights_are_not_here(clip, checkpoint):
    ran = ascnet("detect", clip, "--model", checkpoint(weights={"rgb": "0" * 64}))
    assert ran.code == 5
    assert "0" * 64 in ran.errors[0]
    assert "ascnet weights fetch" in ran.errors[1]


def test_a_checkpoint_with_a_flipped_bit(clip, checkpoint):
    path = checkpoint()
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)
    ran = ascnet("detect", clip, "--model", path)
    assert ran.code == 5
    assert "is damaged" in ran.errors[0]


def test_the_kinetics_head_reads_nothing_else(clip, checkpoint):
    """Features of the checkpoint's recipe are not the default model's either."""
    ascnet("detect", clip, "--model", checkpoint(), "--features-out", "kept")
    ran = ascnet("detect", "kept/clip.mp4.npy")
    assert ran.code == 5
    assert "context" in ran.errors[0]


def test_decord_reads_the_same_video(clip):
    pytest.importorskip("decord")
    ran = ascnet("detect", clip, "--decoder", "decord", "--out", "-")
    assert ran.code == 0
    assert ran.out.splitlines()[1].startswith(f"clip.mp4,{ACTION},")
