"""Every command that the README shows is run, in a folder that has what it speaks of.

The network is the stand-in, features of `ascnet extract` are plain ones, and trainings are three steps long:
that the command does what the README says is held elsewhere, here it is that it can be typed.
"""

import contextlib
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

from ascnet_cli.outputs.files import read_file, write_file
from ascnet_cli.segments import VideoDetections
from extractors.batch import estimate
from tests.ascnet_cli.documents import ROOT, console_commands, is_test, pipeline, python_blocks
from tests.ascnet_cli.folder_tools import write_folder
from tests.ascnet_cli.test_detect import saved
from tests.cli_tools import HEADER, action_video, ascnet, default_recipe, stand_in_network
from tests.extraction_tools import RGB, InlineEngine, PlainSource
from tests.synthetic import make_video
from weights.registry import entry

README = ROOT / "README.md"
_RAY = "tests/extractors/batch/test_ray_engine.py::test_the_files_are_those_of_a_local_run"
_MOCAP_MODEL = "tests/test_acceptance.py::test_the_shipped_model_finds_backflips_and_kicks_in_test_videos"
_SEEDS = "tests/ascnet_cli/test_cli_train.py::test_several_seeds_and_their_spread"
_TORCHRUN = "tests/ascnet_cli/test_training_parallel.py::test_torchrun"
# Commands that need minutes, a network, a card, a cluster or data that nobody may pass on, by their
# beginning, with the test that stands for each.
STANDS_FOR = {
    "make demo": "tests/test_acceptance.py::test_the_example_clips_actions_are_found",
    "make test": "tests/ascnet_cli/test_docs.py::test_every_make_target_that_a_document_names_is_there",
    ". .venv/bin/activate": "tests/ascnet_cli/test_cli_help.py::test_the_version",
    "ascnet extract videos/ --engine ray": _RAY,
    # With the stand-in its self-test rightly fails.
    "ascnet doctor": "tests/ascnet_cli/doctor/test_cli_doctor.py::test_all_is_well",
    "ascnet train --dataset mocap --seeds 0-4": _SEEDS,
    "ascnet train --dataset mocap --features mocap/dense": _SEEDS,
    "ascnet detect examples/mocap/mocap-069.mp4 --model mocap": _MOCAP_MODEL,
    "ascnet detect examples/mocap/mocap-052.mp4 --model mocap": _MOCAP_MODEL,
    "torchrun ": _TORCHRUN,
    "ascnet evaluate predictions.json --dataset thumos14": (
        "tests/ascnet_cli/test_cli_evaluate.py::test_a_diagnosis_as_tables"
    ),
    "ascnet datasets check thumos14": (
        "tests/ascnet_cli/test_cli_datasets.py::test_check_says_what_is_there_and_what_is_not"
    ),
    "ascnet weights fetch NAME": (
        "tests/ascnet_cli/test_cli_weights.py::test_fetch_goes_on_after_a_failure_and_reports_as_json"
    ),
}
# Trainings of minutes become three steps.
_SHORTER = ["--set", "training.updates=3", "--set", "training.validate_every=3"]


def stand_in_of(line):
    return next((test for begin, test in STANDS_FOR.items() if line.startswith(begin)), None)


RUN = [line for line in console_commands(README) if stand_in_of(line) is None]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with everything that the README's commands speak of."""
    place = tmp_path_factory.mktemp("readme")
    (place / "videos").mkdir()
    for name in ("clip.mp4", "match.mp4", "videos/a.mp4", "videos/b.mp4"):
        action_video(place / name)
    make_video(place / "more.mkv", n_frames=30)
    (place / "paths.txt").write_text("videos/a.mp4\nvideos/b.mp4\n")
    with stand_in_network(), contextlib.chdir(place):
        kept = ascnet(
            "detect", "videos", "--features-out", "features", "--out", "segments.csv", "--device", "cpu"
        )
    assert kept.code == 0, kept.err
    corrected = read_file(place / "segments.csv")
    results = [VideoDetections(video, 5.0, found) for video, found in corrected.items()]
    write_file(results, place / "segments.json")
    shutil.copy(place / "segments.json", place / "other.json")
    write_file(results[:1], place / "corrected.eaf")
    write_folder(place / "mydata")
    (place / "mydata" / "videos").mkdir()
    make_video(place / "mydata" / "videos" / "c.mp4", n_frames=30)
    segments = [{"label": "archery", "segment": [1.0, 4.0]}]
    truth = {
        name: {"duration": 5.0, "subset": "testing", "annotations": segments} for name in ("a.mp4", "b.mp4")
    }
    for name in ("truth.json", "annotations.json"):
        (place / name).write_text(json.dumps({"database": truth}))
    Path(saved(place)).rename(place / "my_model.safetensors")
    for folder in ("runs/mydata-fixed", "FOLDER"):
        (place / folder).mkdir(parents=True)
    shutil.copy(place / "my_model.safetensors", place / "runs/mydata-fixed/best.safetensors")
    shutil.copy(place / "mydata/features/v00.mp4.npy", place / "FOLDER/v00.npy")
    shutil.copy(entry("raft-small").path, place / "FILE")
    return place


@pytest.fixture
def here(place, tmp_path, monkeypatch):
    """A copy of it, to be written to; the current folder."""
    copied = tmp_path / "here"
    shutil.copytree(place, copied)
    monkeypatch.chdir(copied)
    for name in ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "ASCNET_DATA"):
        monkeypatch.delenv(name, raising=False)
    return copied


def run(words, given):
    """One program of a line, with what the one before it said; what it says."""
    if words[0] != "ascnet":
        done = subprocess.run(words, input=given, capture_output=True, check=True, timeout=60)
        return done.stdout
    stdin = io.TextIOWrapper(io.BytesIO(given))
    with (
        mock.patch.object(sys, "stdin", stdin),
        mock.patch("ascnet_cli.extraction.extractor_spec", return_value=PlainSource(RGB)),
        mock.patch(
            "extractors.batch.local.LocalEngine", lambda source, orders, **_: InlineEngine(source, orders)
        ),
        mock.patch("extractors.batch.estimate.durations", estimate._read_headers),
        stand_in_network(),
    ):
        ran = ascnet(*words[1:])
    assert ran.code == 0, ran.err
    assert "Traceback" not in ran.err
    return ran.out.encode()


def shortened(words):
    """A training of three steps; one that is resumed goes on as it was begun."""
    if words[:2] != ["ascnet", "train"] or {"--settings", "--resume"} & set(words):
        return words
    kept = [word for word in words if not word.startswith("training.updates=")]
    kept = [word for at, word in enumerate(kept) if word != "--set" or "=" in "".join(kept[at + 1 : at + 2])]
    return kept + _SHORTER


@pytest.mark.slow
@pytest.mark.parametrize("line", RUN)
def test_a_command_of_the_readme(here, line):
    if "--resume" in line:
        shutil.rmtree("runs")
        run(shortened(["ascnet", "train", "--dataset", "mydata"]), b"")
    said = b""
    for words in pipeline(line):
        said = run(shortened(words), said)
    words = pipeline(line)[0]
    if words[1] == "detect" and "--out" in words:
        out = words[words.index("--out") + 1]
        if (here / out).is_dir():
            assert list((here / out).glob("*.mp4.*"))
            return
        table = said.decode() if out == "-" else (here / out).read_text("utf-8")
        assert HEADER in table.splitlines() or json.loads(table)["version"]
    if words[1] == "extract":
        out = Path(words[words.index("--out") + 1] if "--out" in words else "features")
        assert ("--dry-run" in words) or list(out.rglob("*.mp4.npy"))


@pytest.mark.slow
@pytest.mark.parametrize("program", python_blocks(README))
def test_a_program_of_the_readme(here, capsys, program):
    with stand_in_network():
        exec(compile(program, "README.md", "exec"), {"__name__": "readme"})  # noqa: S102 - our own text
    label, start_s, end_s, score = capsys.readouterr().out.splitlines()[0].rsplit(" ", 3)
    assert label == "archery"
    assert 0.5 < float(start_s) < 1.5 < 3.5 < float(end_s) < 4.5
    assert float(score) > 0.4


def test_what_is_not_run_has_a_test_that_stands_for_it():
    lines = console_commands(README)
    assert [name for name in STANDS_FOR.values() if not is_test(name)] == []
    unused = [begin for begin in STANDS_FOR if not any(line.startswith(begin) for line in lines)]
    assert unused == [], "these are no longer in the README"
    assert len(RUN) > len(lines) / 2


def test_the_stand_ins_recipe_is_that_of_the_shipped_weights():
    assert default_recipe().weights == {"rgb": entry("i3d-rgb-kinetics400").sha256}
