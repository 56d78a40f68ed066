"""`ascnet extract` as a person meets it, with features that need no network."""

import json
import subprocess
import sys
from functools import partial
from unittest import mock

import numpy as np
import pytest
import torch

from ascnet_cli.datasets.features import FeatureFolder
from extractors.batch import estimate
from extractors.batch.claims import Claims
from extractors.batch.jobs import Failure, Job, Withdrawn
from extractors.video import Limits
from tests.cli_tools import action_video, ascnet, stand_in_network
from tests.extraction_tools import BOTH, RGB, ROOT, InlineEngine, PlainSource, contents
from tests.synthetic import make_video


def here(source, orders, **_options):
    """In place of worker processes."""
    return InlineEngine(source, orders)


@pytest.fixture
def extract(monkeypatch):
    """`extract(*arguments)` runs the command, with plain features, and without other processes."""
    for name in ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments, recipe=RGB):
        with (
            mock.patch("ascnet_cli.extraction.extractor_spec", return_value=PlainSource(recipe)),
            mock.patch("extractors.batch.local.LocalEngine", here),
            mock.patch("extractors.batch.estimate.durations", estimate._read_headers),
        ):
            return ascnet("extract", *arguments)

    return run


@pytest.fixture
def videos(tmp_path):
    """A good one and a bad one, in the current folder."""
    (tmp_path / "videos" / "sub").mkdir(parents=True)
    make_video(tmp_path / "videos" / "a.mp4", n_frames=20)
    (tmp_path / "videos" / "sub" / "bad.mp4").write_bytes(b"text")
    (tmp_path / "videos" / "notes.txt").touch()
    return tmp_path


def test_limits_of_a_video_reach_the_extractor(videos):
    source = mock.patch("ascnet_cli.extraction.extractor_spec", return_value=PlainSource(RGB))
    headers = mock.patch("extractors.batch.estimate.durations", estimate._read_headers)
    with source as asked, headers:
        ascnet("extract", "videos", "--max-pixels", "1000", "--max-damage", "0.5", "--dry-run")
        ascnet("extract", "videos", "--dry-run")
    assert [call.kwargs["limits"] for call in asked.mock_calls] == [Limits(1000, 0.5), Limits()]


def test_a_batch_from_its_beginning_to_its_end(extract, videos):
    ran = extract("videos")
    assert ran.code == 3
    assert ran.out == ""
    assert ran.errors[:2] == [
        "1 other file in the folders passed over (links to folders, too)",
        "2 videos to do (2 new), 0 up to date",
    ]
    assert any(line.startswith("a.mp4: 2 rows of 0.8 s of video (") for line in ran.errors)
    assert any(line.startswith("failed: sub/bad.mp4: not a readable video; hint: ") for line in ran.errors)
    assert ran.errors[-1] == "1 of 2 videos done, 1 failed: see features/failures.jsonl"
    assert sorted(contents(videos / "features")) == ["a.mp4.json", "a.mp4.npy", "failures.jsonl"]

    ran = extract("videos", "--json")
    assert ran.code == 3
    assert "1 video to do (1 failed before), 1 up to date" in ran.errors
    assert ran.json["videos"][1]["reason"] == "failed before: not a readable video"
    assert ran.errors[-1] == "0 of 2 videos done, 1 up to date, 1 failed: see features/failures.jsonl"
    assert {name: ran.json[name] for name in ("done", "up_to_date", "failed", "out")} == {
        "done": 0,
        "up_to_date": 1,
        "failed": 1,
        "out": "features",
    }
    assert [(video["video"], video["state"]) for video in ran.json["videos"]] == [
        ("a.mp4", "up_to_date"),
        ("sub/bad.mp4", "failed"),
    ]
    assert ran.json["videos"][1]["error"] == "not a readable video"
    assert ran.json["videos"][1]["hint"]

    make_video(videos / "videos" / "sub" / "bad.mp4", n_frames=8)
    ran = extract("videos")
    assert ran.code == 0
    assert ran.errors[-1] == "1 of 2 videos done, 1 up to date: features"


def test_no_input_that_succeeds_is_4(extract, videos):
    assert extract("videos/sub").code == 4


def test_nothing_to_do_is_said_so_and_earlier_failures_are_pointed_at(extract, videos):
    extract("videos")
    assert extract("videos/a.mp4").errors[-1] == (
        "nothing to do, the video is up to date: features; others failed before: see features/failures.jsonl"
    )
    (videos / "videos" / "sub" / "bad.mp4").unlink()
    make_video(videos / "videos" / "b.mp4", n_frames=8)
    (videos / "features" / "failures.jsonl").unlink()
    extract("videos")
    assert extract("videos").errors[-1] == "nothing to do, all 2 videos are up to date: features"


def test_a_path_that_is_mistyped_says_so_and_the_others_are_done(extract, videos):
    ran = extract("videos/a.mp4", "videoz/b.mp4")
    assert ran.code == 3
    (line,) = (line for line in ran.errors if line.startswith("failed"))
    assert line.startswith("failed: b.mp4: no such file; hint: videoz/b.mp4 does not exist")
    assert ran.errors[-1] == "1 of 2 videos done, 1 failed: see features/failures.jsonl"


@pytest.mark.parametrize("way", [("videoz/b.mp4",), ("--list", "paths.txt")])
def test_where_nothing_is_there_of_what_was_named_nothing_is_left_behind(extract, videos, way):
    (videos / "paths.txt").write_text("videoz/b.mp4\n")
    before = sorted(videos.rglob("*"))
    ran = extract(*way, "--json")
    assert ran.code == 4
    assert "no such file; hint: videoz/b.mp4 does not exist" in ran.err
    assert ran.errors[-1] == "0 of 1 video done, 1 failed"
    assert (ran.json["failed"], ran.json["videos"][0]["state"]) == (1, "failed")
    assert sorted(videos.rglob("*")) == before
    # A folder that is there has a record of it, as of all others.
    assert extract("videos").code == 3
    assert extract(*way).code == 4
    assert "no such file" in (videos / "features" / "failures.jsonl").read_text()


def test_a_list_that_is_given_as_a_video_is_told_how_it_is_given(extract, videos):
    (videos / "paths.txt").write_text("# all of them\nvideos/a.mp4\n")
    ran = extract("paths.txt")
    assert ran.code == 4
    assert "hint: if this is a list of videos, give it with --list paths.txt" in ran.err
    ran = extract("--list", "paths.txt")
    assert ran.errors[-1] == "1 of 1 video done: features; others failed before: see features/failures.jsonl"


def test_a_claim_of_a_machine_that_is_gone_is_cleared_though_nobody_waits_for_it(extract, videos):
    (videos / "features").mkdir()
    claim = videos / "features" / "gone.mp4.claim"
    claim.write_text(json.dumps({"host": "elsewhere", "pid": 1, "start": "1", "beat": "000000000000"}))
    extract("videos")
    assert claim.exists()  # it may be somebody's, who just has not moved it yet
    with mock.patch("extractors.batch.claims.Claims", partial(Claims, takeover_s=0.0)):
        extract("videos")  # it stands still while this runs
    assert not claim.exists()


def test_the_device_is_checked_before_anything_is_looked_at(extract, videos):
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    ran = extract("videos", "nowhere", "--device", "cuda")
    assert ran.code == 2
    assert ran.err.splitlines()[0].startswith("error: cuda was asked for")
    assert len(ran.err.splitlines()) == 2
    assert "unknown device 'gpu'" in extract("videos", "--device", "gpu").err
    assert not (videos / "features").exists()


def test_what_was_passed_over_is_not_said_before_an_error(extract, videos):
    ran = extract("videos", "--dtype", "int8")
    assert ran.err.splitlines()[0].startswith("error: ")


def test_a_place_where_no_worker_begins_is_warned_of(extract, videos):
    events = [Withdrawn(Job(()), (), Failure("worker", "X", "its card is broken", "look"), "node7", True)]
    with mock.patch.object(InlineEngine, "events", lambda self, _s, real=InlineEngine.events: (
        [events.pop()] if events else real(self, _s)
    )):  # fmt: skip
        ran = extract("videos/a.mp4")
    assert ran.code == 0
    assert (
        "warning: a worker on node7 cannot begin, the others do its part: its card is broken; hint: look"
        in ran.errors
    )


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "no video was named"),
        ([""], 2, "empty"),
        (["empty"], 4, "looked for .3gp"),
        (["videos", "--list", "nowhere"], 2, "nowhere"),
        (["videos", "--shard", "3/2"], 2, "3/2"),
        (["videos", "--workers", "0"], 2, "--workers"),
        (["videos", "--video-timeout", "-1"], 2, "--video-timeout"),
        (["videos", "--video-timeout", "nan"], 2, "--video-timeout"),
        (["videos", "--dtype", "int8"], 2, "int8"),
        (["videos", "--layout", "cola"], 2, "both streams"),
        (["videos", "--engine", "spark"], 2, "spark"),
        (["videos", "--out", "file"], 2, "file"),
        (["videos/a.mp4", "other/a.mp4"], 2, "other/a.mp4"),
    ],
)
def test_wrong_requests_are_refused_before_any_work(extract, videos, arguments, code, words):
    (videos / "empty").mkdir()
    (videos / "file").touch()
    (videos / "other").mkdir()
    (videos / "other" / "a.mp4").write_bytes((videos / "videos" / "a.mp4").read_bytes())
    ran = extract(*arguments)
    assert ran.code == code
    assert words in ran.err
    assert "Traceback" not in ran.err
    assert not (videos / "features").exists()


def test_options_of_recipes_are_checked(videos):
    ran = ascnet("extract", "videos", "--streams", "rgb,flow")
    assert ran.code == 5
    assert "ascnet weights fetch" in ran.err
    ran = ascnet("extract", "videos", "--for-model", "mocap", "--context", "dense")
    assert ran.code == 2
    assert "--context" in ran.err


def test_a_dry_run_writes_nothing_and_says_what_it_takes(extract, videos):
    ran = extract("videos", "--dry-run")
    assert ran.code == 0
    assert "a.mp4: new" in ran.out
    assert "2 videos to do (2 new), 0 up to date" in ran.out
    assert "(by 1 of 2 headers)" in ran.out
    assert "an estimate from 0.8 s of your videos" in ran.out
    assert not (videos / "features").exists()


def test_a_dry_run_says_what_it_does_on_standard_error(extract, videos):
    ran = extract("videos", "--dry-run")
    assert ran.errors[-5:] == [
        "looking at 2 videos ...",
        "reading how long they are ...",
        "measuring the rate: loading the networks ...",
        "measuring the rate on a.mp4 ...",
        "measuring the rate on sub/bad.mp4 ...",
    ]


def test_a_dry_run_ends_as_the_run_would_where_there_is_no_room(extract, videos):
    with mock.patch("extractors.batch.folder.free_bytes", return_value=100):
        ran = extract("videos", "--dry-run")
    assert ran.code == 6
    assert "0.0 MB needed in features, 0.0 MB free" in ran.out
    assert "are needed and" in ran.err
    with mock.patch("extractors.batch.folder.free_bytes", return_value=100):
        assert extract("videos", "--dry-run", "--json").json["free_bytes"] == 100


@pytest.mark.parametrize("out", ["/proc/features", "file/features", "file"])
def test_a_dry_run_ends_as_the_run_would_where_nothing_can_be_written(extract, videos, out):
    (videos / "file").touch()
    ran = extract("videos", "--dry-run", "--out", out)
    assert (ran.code, ran.out) == (2, "")
    assert "measuring" not in ran.err
    assert sorted(path.name for path in videos.iterdir()) == ["file", "videos"]


def test_a_dry_run_of_what_failed_says_so(extract, videos):
    extract("videos")
    ran = extract("videos", "--dry-run")
    assert ran.out.splitlines()[:2] == [
        "sub/bad.mp4: failed before: not a readable video",
        "1 video to do (1 failed before), 1 up to date",
    ]
    assert "no time estimate: no video that was tried can be read" in ran.out


def test_a_dry_run_as_json(extract, videos):
    ran = extract("videos", "--dry-run", "--json")
    told = ran.json
    assert (told["dry_run"], told["to_do"], told["up_to_date"]) == (True, 2, 0)
    assert told["video_s"] >= 0.8
    # Two rows of 1024 numbers in single precision, at the least.
    assert told["bytes"] >= 2 * 1024 * 4
    assert told["rate"] > 0
    assert [video["reason"] for video in told["videos"]] == ["new", "new"]


def test_a_dry_run_of_what_is_done_tells_just_that(extract, videos):
    extract("videos/a.mp4")
    ran = extract("videos/a.mp4", "--dry-run")
    assert ran.out == "0 videos to do, 1 up to date\n"


def test_too_little_room_is_said_before_the_work(extract, videos):
    with mock.patch("extractors.batch.folder.free_bytes", return_value=100):
        ran = extract("videos")
    assert ran.code == 6
    assert "MB are needed" in ran.err
    assert list((videos / "features").rglob("*.npy")) == []


def test_shards_by_hand_and_by_a_job_array(extract, videos, monkeypatch):
    ran = extract("videos", "--shard", "1/2")
    assert "shard 1/2: 1 of 2 videos" in ran.errors
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "7")
    monkeypatch.setenv("SLURM_ARRAY_TASK_COUNT", "2")
    monkeypatch.setenv("SLURM_ARRAY_TASK_MIN", "6")
    ran = extract("videos")
    assert "shard 2/2, by SLURM_ARRAY_TASK_ID: 1 of 2 videos" in ran.errors
    ran = extract("videos", "--shard", "1/1")
    assert "shard 1/1: 2 of 2 videos" in ran.errors
    assert sorted(contents(videos / "features")) == ["a.mp4.json", "a.mp4.npy", "failures.jsonl"]


def test_a_list_is_mirrored_as_it_is_written(extract, videos):
    (videos / "list").write_text("videos/a.mp4\n")
    assert extract("--list", "list").code == 0
    assert sorted(contents(videos / "features")) == ["videos/a.mp4.json", "videos/a.mp4.npy"]


def test_a_record_of_the_form_that_other_tools_read(extract, videos):
    extract("videos")
    (line,) = (videos / "features" / "failures.jsonl").read_text().splitlines()
    assert set(json.loads(line)) == {"video", "path", "stage", "error_class", "message", "hint"}


@pytest.mark.parametrize("layout", ["acm-net", "cola"])
def test_other_layouts_are_read_by_the_data_sets_readers(extract, tmp_path, layout):
    for name in ("train/a.mp4", "test/b.mp4"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True)
        make_video(path, n_frames=40)
    assert extract("in", "--layout", layout, recipe=BOTH).code == 0
    folder = FeatureFolder(tmp_path / "features")
    assert folder.layout == layout.replace("-", "")
    assert extract("in", "--out", "own", recipe=BOTH).code == 0
    own = FeatureFolder(tmp_path / "own")
    assert own.layout == "ascnet"
    for video in ("a.mp4", "b.mp4"):
        found = folder.find(video)
        assert found.grid == BOTH.grid
        assert found.load().shape == (3, 2048)
        same = own.find(video) or own.find(f"train/{video}") or own.find(f"test/{video}")
        np.testing.assert_array_equal(found.load(), same.load())
    assert "all 2 videos are up to date" in extract("in", "--layout", layout, recipe=BOTH).errors[-1]


def test_detect_finds_what_extract_made_and_the_other_way_round(tmp_path):
    (tmp_path / "videos").mkdir()
    for name in ("a.mp4", "b.mp4"):
        action_video(tmp_path / "videos" / name)
    with stand_in_network(), mock.patch("extractors.batch.local.LocalEngine", here):
        assert ascnet("extract", "videos/a.mp4", "--out", "kept", "--for-model", "kinetics400").code == 0
        ran = ascnet("detect", "videos", "--features-out", "kept", "--out", "segments.csv")
        assert ran.code == 0
        assert [("from kept features" in line) for line in ran.errors[:2]] == [True, False]
        ran = ascnet("extract", "videos", "--out", "kept", "--for-model", "kinetics400")
        assert ran.errors[-1] == "nothing to do, all 2 videos are up to date: kept"
        own = ascnet("extract", "videos", "--out", "own", "--for-model", "kinetics400")
        assert own.code == 0
    assert contents(tmp_path / "own") == contents(tmp_path / "kept")


def test_the_parent_loads_neither_torch_nor_a_decoder(videos):
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from ascnet_cli.extraction import Choices, extractor_spec\n"
        "import ascnet_cli.cli.extract, ascnet_cli.cli.extract_view\n"
        "import extractors.batch.run, extractors.batch.local, extractors.batch.estimate\n"
        "extractor_spec(Choices(), for_model='mocap')\n"
        "sys.exit(', '.join({'torch', 'av', 'cv2'} & set(sys.modules)) or None)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ran.stderr.strip(), ran.returncode) == ("", 0)
