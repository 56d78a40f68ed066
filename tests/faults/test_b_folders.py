"""B03 to B07, B13, B14: full and forbidden places, several processes, many videos."""

import csv
import errno
import fcntl
import json
import os
import re
import time
from pathlib import Path

import pytest

from ascnet_cli.cli.extract_view import View
from ascnet_cli.outputs.files import read_file
from ascnet_cli.training.run_folder import RunFolder
from extractors.batch.claims import Claims
from extractors.batch.jobs import Video
from extractors.batch.plan import items_of, make_plan
from extractors.batch.run import run_plan
from extractors.batch.state import Wanted
from extractors.batch.worker import Orders
from extractors.errors import OptionError
from tests.ascnet_cli.folder_tools import write_folder
from tests.cli_tools import action_video, stand_in_network
from tests.cli_tools import ascnet as ascnet_here
from tests.extraction_tools import RGB, InlineEngine, PlainSource, ended, extract_all
from tests.extraction_tools import started as started_extraction
from tests.faults.commands import ascnet, files, said_well
from tests.faults.fuzz import text_seeds as seeds
from tests.synthetic import make_video
from weights import atomic
from weights.errors import OutputError, StorageError

TRAIN = ("train", "--device", "cpu", "--set", "training.updates=4", "--set", "training.validate_every=2")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("sports"))


# B03


@pytest.mark.slow
def test_B03_a_full_disk_under_a_training_is_6_and_names_the_file(tmp_path, data):
    done = ascnet(*TRAIN, "--dataset", data, "--out", "run", cwd=tmp_path, file_limit=9000)
    said_well(done, 6, "the disk could not take it", "run/", "free some space")
    assert not [name for name in files(tmp_path) if name.endswith(".tmp")]
    assert not (tmp_path / "run" / "best.safetensors").exists()


@pytest.mark.slow
def test_B03_a_full_disk_under_a_conversion_keeps_the_older_result(tmp_path):
    # The registered weights, converted anew: 25 MB.
    (tmp_path / "out.safetensors").write_bytes(b"older")
    source = next(Path(atomic.__file__).parent.glob("raft_small.safetensors"))
    done = ascnet("weights", "convert", source, "--out", "out.safetensors", cwd=tmp_path, file_limit=100_000)
    said_well(done, 6, "out.safetensors", "the disk could not take it")
    assert files(tmp_path) == {"out.safetensors"}
    assert (tmp_path / "out.safetensors").read_bytes() == b"older"


@pytest.mark.slow
def test_B03_extraction_names_need_and_room_and_keeps_what_is_finished(tmp_path):
    (tmp_path / "in").mkdir()
    make_video(tmp_path / "in" / "a.mp4", n_frames=48)
    code, _, err = ended(started_extraction("extract", tmp_path / "in", "--out", tmp_path / "out"))
    assert code == 0, err
    before = files(tmp_path / "out")
    make_video(tmp_path / "in" / "b.mp4", n_frames=64)
    code, _, err = ended(
        started_extraction("extract", tmp_path / "in", "--out", tmp_path / "out", file_limit=6000)
    )
    assert code == 6, err
    assert "MB needed" in err
    assert "MB free" in err
    assert files(tmp_path / "out") == before


def test_B03_an_error_without_a_number_is_still_one_of_the_disk(tmp_path, monkeypatch):
    """numpy's own writer says a full disk without errno; ours never goes through it."""

    def full(number):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(StorageError, match=r"v\.mp4\.npy: the disk could not take it: No space"):
        seeds.feature_pair(tmp_path)
    assert files(tmp_path) == {"v.mp4"}


def test_B03_what_detect_found_is_on_standard_output_where_its_file_has_no_room(tmp_path, monkeypatch):
    def full(number):
        raise OSError(errno.ENOSPC, "No space left on device")

    action_video(tmp_path / "a.mp4")
    monkeypatch.setattr(atomic.os, "fsync", full)
    with stand_in_network():
        ran = ascnet_here("detect", "a.mp4", "--out", "s.csv")
        told = ascnet_here("detect", "a.mp4", "--out", "s.csv", "--json")
    assert (ran.code, told.code) == (6, 6)
    assert "s.csv: the disk could not take it: No space left on device" in ran.err
    assert "what could not be written to a file is on standard output" in ran.err
    (row,) = csv.DictReader(ran.out.splitlines())
    (segment,) = told.json["results"]["a.mp4"]
    assert (row["video"], row["label"]) == ("a.mp4", segment["label"])
    assert [float(row["start_s"]), float(row["end_s"])] == segment["segment"]
    assert files(tmp_path) == {"a.mp4"}


# B04


@pytest.mark.parametrize("out", ["missing/segments.csv", "file/segments.csv", "/proc/segments.csv"])
def test_B04_detect_refuses_its_output_before_it_looks_at_the_video(tmp_path, out):
    (tmp_path / "file").touch()
    (tmp_path / "bad.mp4").write_bytes(b"no video")  # would be 4
    done = ascnet("detect", "bad.mp4", "--out", out, cwd=tmp_path)
    said_well(done, 2, Path(out).name)
    assert "bad.mp4" not in done.stderr
    assert files(tmp_path) == {"file", "bad.mp4"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("extract", "bad.mp4", "--out", "file"),
        ("extract", "bad.mp4", "--out", "/proc/features"),
        ("weights", "convert", "bad.mp4", "--out", "w.bin"),
        ("evaluate", "bad.csv", "--dataset", "none", "--plots", "file/plots"),
    ],
    ids=["a file", "read-only", "another ending", "below a file"],
)
def test_B04_other_commands_refuse_theirs_before_any_work(tmp_path, arguments):
    (tmp_path / "file").touch()
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    done = ascnet(*arguments, cwd=tmp_path)
    said_well(done, 2)
    assert "no video" not in done.stderr
    assert files(tmp_path) == {"file", "bad.mp4"}


def test_B04_train_refuses_a_place_below_a_file(tmp_path, data):
    (tmp_path / "file").touch()
    ran = ascnet_here(*TRAIN, "--dataset", data, "--out", "file/run")
    assert ran.code == 2
    assert "file/run" in ran.err


@pytest.mark.parametrize("kept", ["file", "file/kept", "x" * 300, "/proc/kept"])
def test_B04_a_place_for_features_is_refused_before_a_network_is_loaded(tmp_path, monkeypatch, kept):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    action_video(tmp_path / "a.mp4")

    loaded = []

    def load(*_, **__):
        loaded.append(True)
        raise OptionError(f"{kept[:50]} is not looked at")

    monkeypatch.setattr("ascnet_cli.detector.load_detector", load)
    ran = ascnet_here("detect", "a.mp4", "--features-out", kept)
    assert (ran.code, loaded) == (2, [])
    assert kept[:50] in ran.err
    assert files(tmp_path) == {"file", "a.mp4"}


@pytest.mark.parametrize("way", [(), ("--dry-run",)])
def test_B04_a_folder_whose_name_is_too_long_is_no_bug(tmp_path, way):
    action_video(tmp_path / "a.mp4")
    ran = ascnet_here("extract", tmp_path / "a.mp4", "--out", tmp_path / ("x" * 300), *way)
    assert ran.code == 2
    assert "the name is too long" in ran.err


def test_B04_a_place_that_may_not_be_written(tmp_path, monkeypatch):
    def refuse(self, *told, **more):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(atomic.Path, "touch", refuse)
    with pytest.raises(OutputError, match="Permission denied"):
        atomic.check_writable(tmp_path / "segments.csv")


# B05


@pytest.mark.slow
def test_B05_features_that_are_up_to_date_stay_and_others_say_why(tmp_path):
    (tmp_path / "in").mkdir()
    make_video(tmp_path / "in" / "a.mp4", n_frames=48)
    asked = ("extract", tmp_path / "in", "--out", tmp_path / "out", "--json")
    code, out, err = ended(started_extraction(*asked))
    assert (code, json.loads(out)["done"]) == (0, 1), err
    before = (tmp_path / "out" / "a.mp4.npy").stat()
    code, out, err = ended(started_extraction(*asked))
    assert (code, json.loads(out)["up_to_date"]) == (0, 1), err
    os.utime(tmp_path / "in" / "a.mp4", (0, 0))  # a date decides nothing
    code, out, err = ended(started_extraction(*asked))
    assert json.loads(out)["up_to_date"] == 1
    now = (tmp_path / "out" / "a.mp4.npy").stat()
    assert (now.st_ino, now.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    sidecar = tmp_path / "out" / "a.mp4.json"
    told = json.loads(sidecar.read_text())
    told["recipe"]["context"], told["recipe_sha256"] = "dense", "0" * 64
    sidecar.write_text(json.dumps(told))
    code, out, err = ended(started_extraction(*asked))
    assert json.loads(out)["done"] == 1
    assert "recipe differs: context dense -> snippet" in err
    code, out, err = ended(started_extraction(*asked, "--force"))
    assert json.loads(out)["done"] == 1
    assert "forced" in err


def test_B05_detect_never_replaces_what_it_did_not_make(tmp_path):
    """A file of somebody else's stays as it is, and the run says so; `--force` replaces it."""
    action_video(tmp_path / "a.mp4")
    with stand_in_network():
        (tmp_path / "segments.csv").write_text("a table of mine\n")
        ran = ascnet_here("detect", "a.mp4", "--out", "segments.csv")
        assert ran.code == 2, ran.err
        assert "--force" in ran.err
        assert (tmp_path / "segments.csv").read_text() == "a table of mine\n"
        assert ascnet_here("detect", "a.mp4", "--out", "segments.csv", "--force").code == 0
        first = (tmp_path / "segments.csv").read_bytes()
        # The same request again is answered with the same file.
        assert ascnet_here("detect", "a.mp4", "--out", "segments.csv").code == 0
    assert (tmp_path / "segments.csv").read_bytes() == first
    assert list(read_file(tmp_path / "segments.csv")) == ["a.mp4"]


@pytest.mark.parametrize(
    "asked",
    [
        ("--out", "in/a.mp4.json"),
        ("--out", "in/a.mp4.npy", "--format", "csv"),
        ("--out", "in/../in/A.mp4.json"),
        ("--out", "in/", "--format", "json"),
    ],
    ids=["sidecar", "numbers", "capitals", "folder"],
)
def test_B05_segments_and_features_of_one_run_are_not_one_file(tmp_path, monkeypatch, asked):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    action_video(tmp_path / "in" / "a.mp4")
    action_video(tmp_path / "in" / "segments.avi")
    (tmp_path / "in" / "segments.avi").rename(tmp_path / "in" / "segments")  # content decides
    before = files(tmp_path)
    with stand_in_network():
        ran = ascnet_here("detect", "in/a.mp4", "in/segments", "--features-out", "in", *asked)
    assert ran.code == 2, ran.err
    named, kept = {"in/": ("segments.json", "segments.json")}.get(asked[1], (asked[1], "a.mp4"))
    assert re.search(rf"{re.escape(named)} would replace the features of .* in in/{re.escape(kept)}", ran.err)
    assert files(tmp_path) == before


def test_B05_features_replace_no_video_of_the_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    action_video(tmp_path / "a.mp4")
    (tmp_path / "a.mp4.json").write_bytes((tmp_path / "a.mp4").read_bytes())
    with stand_in_network():
        ran = ascnet_here("detect", "a.mp4", "a.mp4.json", "--features-out", ".")
    assert ran.code == 2
    assert "the features of a.mp4 would replace a.mp4.json, which is an input" in ran.err
    assert (tmp_path / "a.mp4.json").read_bytes() == (tmp_path / "a.mp4").read_bytes()


@pytest.mark.parametrize("drawn", [("--video", "in/drawn/"), ("--clips", "in"), ("--video", "in/drawn.mp4")])
def test_B05_videos_that_a_run_wrote_are_no_inputs_of_the_same_command(tmp_path, monkeypatch, drawn):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in" / "drawn").mkdir(parents=True)
    action_video(tmp_path / "in" / "a.mp4")
    asked = ("detect", "in", "--out", "segments.csv", *drawn)
    with stand_in_network():
        assert ascnet_here(*asked).code == 0
        found, there = (tmp_path / "segments.csv").read_bytes(), files(tmp_path)
        again = ascnet_here(*asked)
        assert again.code == 0, again.err
        assert "1 other file in the folders passed over" in again.err
        assert (tmp_path / "segments.csv").read_bytes() == found
        assert files(tmp_path) == there
        # A person's own video in the same folder is one.
        action_video(tmp_path / "in" / "drawn" / "mine.mp4")
        if not drawn[1].endswith(".mp4"):
            assert ascnet_here(*asked).code == 0
            assert list(read_file(tmp_path / "segments.csv")) == ["a.mp4", "drawn/mine.mp4"]


# B06


@pytest.mark.slow
def test_B06_two_processes_share_a_folder_and_each_video_is_made_once(tmp_path):
    (tmp_path / "in").mkdir()
    for number in range(4):
        make_video(tmp_path / "in" / f"{number}.mp4", n_frames=48)
    asked = ("extract", tmp_path / "in", "--out", tmp_path / "out", "--json")
    both = [started_extraction(*asked, delay_s=0.2) for _ in range(2)]
    told = []
    for process in both:
        code, out, err = ended(process)
        assert code == 0, err
        told.append({video["video"]: video["state"] for video in json.loads(out)["videos"]})
    for name in told[0]:
        assert sorted(states[name] for states in told) == ["done", "up_to_date"]
    assert len(files(tmp_path / "out")) == 8


@pytest.mark.slow
def test_B06_two_processes_with_unequal_options_do_not_both_call_a_mixture_done(tmp_path):
    (tmp_path / "in").mkdir()
    for number in range(4):
        make_video(tmp_path / "in" / f"{number}.mp4", n_frames=48)
    asked = ("extract", tmp_path / "in", "--out", tmp_path / "out", "--json", "--workers", "1", "--dtype")
    running = {kind: started_extraction(*asked, kind, delay_s=0.2) for kind in ("float32", "float16")}
    told = {kind: ended(process) for kind, process in running.items()}
    stored = {
        video: json.loads((tmp_path / "out" / f"{video}.json").read_bytes())["dtype"]
        for video in (f"{number}.mp4" for number in range(4))
    }
    claimed = [
        {video["video"] for video in json.loads(out)["videos"] if video["state"] != "failed"}
        for _, out, _ in told.values()
    ]
    # Who looked last saw what stays: it claims what is of its own kind, and no more.
    assert any(
        names == {video for video, has in stored.items() if has == kind}
        for kind, names in zip(told, claimed, strict=True)
    )
    if len(set(stored.values())) == 2:
        assert any(code in (3, 4) and "with other options" in err for code, _, err in told.values()), told


def test_B06_features_that_another_replaced_under_other_options_are_not_called_done(tmp_path, monkeypatch):
    """The other process comes by when ours has made both: it cannot be late."""
    (tmp_path / "in").mkdir()
    for name in ("a.mp4", "b.mp4"):
        make_video(tmp_path / "in" / name, n_frames=20)
    out, other = tmp_path / "out", Wanted(RGB, "float16")
    monkeypatch.setattr("ascnet_cli.extraction.extractor_spec", lambda *_, **__: PlainSource())
    monkeypatch.setattr("extractors.batch.local.LocalEngine", lambda *_, **__: InlineEngine())
    made = []

    def add(self, outcome, add=View.add):
        add(self, outcome)
        made.append(outcome.video)
        if made == ["a.mp4", "b.mp4"]:
            plan = make_plan(items_of([Video("b.mp4", tmp_path / "in" / "b.mp4")], out, "ascnet"), other)
            engine = InlineEngine(orders=Orders("float16"))
            assert [one.state for one in run_plan(plan, engine, out, other)] == ["done"]

    monkeypatch.setattr(View, "add", add)
    ran = ascnet_here("extract", tmp_path / "in", "--out", out, "--json")
    assert ran.code == 3
    assert (ran.json["done"], ran.json["failed"]) == (1, 1)
    failed = ran.json["videos"][1]
    assert (failed["video"], failed["state"]) == ("b.mp4", "failed")
    assert "another process with other options has replaced its features (stored as float16" in ran.err
    assert f"1 of 2 videos done, 1 failed: {out}\n" in ran.err
    assert not (out / "failures.jsonl").exists()  # they are there, and right for the other one


def test_B06_one_training_a_folder(tmp_path, data):
    place = tmp_path / "run"
    held = RunFolder(place)
    held.hold()
    try:
        ran = ascnet_here(*TRAIN, "--dataset", data, "--out", place)
    finally:
        held.release()
    assert ran.code == 2
    assert "another process is training" in ran.err
    assert not (place / "config.toml").exists()


def test_B06_what_a_process_that_vanished_had_claimed_is_taken_over(tmp_path):
    now = [0.0]
    path = tmp_path / "a.claim"
    path.write_text('{"host": "elsewhere", "pid": 1, "start": "1", "beat": "000000000001"}')
    with Claims(takeover_s=60.0, clock=lambda: now[0]) as claims:
        assert not claims.take(path)
        now[0] = 59.0
        assert not claims.take(path)
        path.write_text('{"host": "elsewhere", "pid": 1, "start": "1", "beat": "000000000002"}')
        now[0] = 100.0
        assert not claims.take(path)  # its heart beats
        now[0] = 161.0
        assert claims.take(path)


# B07


def test_B07_claims_need_neither_locks_nor_clocks_of_others(tmp_path, monkeypatch):
    def refuse(*told):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.setattr(fcntl, "lockf", refuse)
    monkeypatch.setattr(time, "time", lambda: 1e9)
    now = [0.0]
    path = tmp_path / "a.claim"
    with (
        Claims(takeover_s=60.0, clock=lambda: now[0]) as first,
        Claims(takeover_s=60.0, clock=lambda: now[0]) as second,
    ):
        assert first.take(path)
        for date in (0, 2**33):  # the file server's clock says 1970, then 2242
            os.utime(path, (date, date))
            assert not second.take(path)
        first.release(path)
        assert second.take(path)


def test_B07_a_disk_without_locks_can_be_trained_on(tmp_path, data, monkeypatch):
    def refuse(*told):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    ran = ascnet_here(*TRAIN, "--dataset", data, "--out", tmp_path / "run")
    assert ran.code == 0, ran.err


# B13


@pytest.mark.parametrize("n_videos", [30, pytest.param(500, marks=pytest.mark.slow)])
def test_B13_no_file_stays_open_however_many_videos(tmp_path, n_videos):
    source = make_video(tmp_path / "source.mp4", n_frames=24)
    (tmp_path / "in").mkdir()
    for number in range(n_videos):
        os.link(source, tmp_path / "in" / f"{number:03d}.mp4")
    (tmp_path / "in" / "bad.mp4").write_bytes(b"no video")
    extract_all(tmp_path / "in", tmp_path / "warm-up")
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    outcomes = extract_all(tmp_path / "in", tmp_path / "out")
    assert sum(outcome.state == "done" for outcome in outcomes.values()) == n_videos
    assert len(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208


# B14


def test_B14_a_file_is_renamed_within_its_own_folder(tmp_path, monkeypatch):
    (tmp_path / "deep").mkdir()
    renamed = []
    real = atomic.Path.replace
    monkeypatch.setattr(
        atomic.Path, "replace", lambda self, to: (renamed.append((self, Path(to))), real(self, to))[1]
    )
    monkeypatch.setenv("TMPDIR", "/dev/shm")  # noqa: S108 - another disk
    with atomic.replacing(tmp_path / "deep" / "a.csv") as file:
        file.write(b"a")
    ((temporary, final),) = renamed
    assert temporary.parent == final.parent == tmp_path / "deep"


def test_B14_a_file_that_another_program_has_open_is_tried_again(tmp_path, monkeypatch):
    """Windows refuses to replace a file that is open."""
    refused = [2]
    real = atomic.Path.replace

    def replace(self, to):
        if refused[0]:
            refused[0] -= 1
            raise PermissionError(errno.EACCES, "the process cannot access the file")
        return real(self, to)

    monkeypatch.setattr(atomic.Path, "replace", replace)
    with atomic.replacing(tmp_path / "a.csv") as file:
        file.write(b"new")
    assert (tmp_path / "a.csv").read_bytes() == b"new"
    refused[0] = 1000
    with pytest.raises(OutputError, match="cannot access"), atomic.replacing(tmp_path / "a.csv") as file:
        file.write(b"newer")
    assert files(tmp_path) == {"a.csv"}
    assert (tmp_path / "a.csv").read_bytes() == b"new"
