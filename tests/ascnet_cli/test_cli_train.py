"""`ascnet train` as a person meets it."""

import json

import pytest

from ascnet_cli.model.checkpoint import load_checkpoint
from tests.ascnet_cli.folder_tools import write_folder
from tests.cli_tools import ascnet

QUICK = ("--set", "training.updates=12", "--set", "training.validate_every=4", "--device", "cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("sports"))


@pytest.mark.slow
def test_a_run_in_its_usual_place(folder, tmp_path):
    ran = ascnet("train", "--dataset", folder, *QUICK)
    assert ran.code == 0
    (run,) = (tmp_path / "runs").iterdir()
    assert run.name == f"{folder.name}-fixed"
    assert {path.name for path in run.iterdir()} == {
        ".lock",
        "MODEL_CARD.md", "best.safetensors", "checkpoints", "config.toml", "environment.json",
        "events.jsonl", "predictions.json", "report.html", "test.json",
    }  # fmt: skip
    header, row = ran.out.splitlines()
    assert header.split()[0] == "seed"
    assert row.split()[0] == "0"
    assert f"ascnet detect clip.mp4 --model runs/{run.name}/best.safetensors" in ran.err
    assert "step 12 of 12, loss total" in ran.err
    assert "10 training videos, 4 test videos, 2 classes" in ran.err

    ran = ascnet("train", "--dataset", folder, *QUICK)
    assert ran.code == 0
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == [run.name, f"{run.name}-2"]


def test_json_is_the_documented_object_and_the_last_line(folder, tmp_path):
    ran = ascnet("train", "--dataset", folder, "--out", "here", "--seed", "3", "--json", *QUICK)
    assert ran.code == 0
    found = json.loads(ran.out.splitlines()[-1])
    assert list(found) == ["run", "checkpoint", "validation_map", "test", "seeds"]
    assert (found["run"], found["checkpoint"], found["seeds"]) == ("here", "here/best.safetensors", [3])
    assert found["test"]["protocol"] == "custom"
    assert found["test"]["videos_evaluated"] == 4
    assert 0 <= found["validation_map"] <= 1
    judged = ascnet("evaluate", "here/predictions.json", "--dataset", folder, "--json").json
    assert judged["average"] == pytest.approx(found["test"]["average"], abs=2e-3)  # files have rounded times


@pytest.mark.slow
def test_several_seeds_and_their_spread(folder, tmp_path):
    ran = ascnet("train", "--dataset", folder, "--out", "here", "--seeds", "1,4", "--json", *QUICK)
    assert ran.code == 0
    assert sorted(path.name for path in (tmp_path / "here").iterdir()) == ["report.html", "seed-1", "seed-4"]
    found = json.loads(ran.out)
    averages = [run["test"]["average"] for run in found["runs"]]
    assert found["seeds"] == [1, 4]
    assert found["spread"]["average"]["mean"] == pytest.approx(sum(averages) / 2)
    assert found["spread"]["average"]["std"] == pytest.approx(abs(averages[0] - averages[1]) / 2**0.5)

    ran = ascnet("train", "--dataset", folder, "--out", "here", "--seeds", "1,4", "--resume", *QUICK)
    assert [line.split()[0] for line in ran.out.splitlines()] == ["seed", "1", "4", "mean", "std"]


def test_a_run_that_is_there_is_resumed_and_never_overwritten(folder, tmp_path):
    assert ascnet("train", "--dataset", folder, "--out", "here", *QUICK).code == 0
    before = (tmp_path / "here" / "best.safetensors").read_bytes()
    ran = ascnet("train", "--dataset", folder, "--out", "here", *QUICK)
    assert ran.code == 2
    assert "holds a run already" in ran.err
    ran = ascnet("train", "--dataset", folder, "--out", "here", "--resume", "--seed", "9", *QUICK)
    assert ran.code == 2
    assert "training.seed: 0 then, 9 now" in ran.err
    assert ascnet("train", "--dataset", folder, "--out", "here", "--resume", *QUICK).code == 0
    assert (tmp_path / "here" / "best.safetensors").read_bytes() == before


@pytest.mark.slow
def test_resume_without_a_folder_takes_the_newest(folder, tmp_path):
    ran = ascnet("train", "--dataset", folder, "--resume", *QUICK)
    assert ran.code == 2
    assert "there is no run" in ran.err
    for _ in range(2):
        ascnet("train", "--dataset", folder, *QUICK)
    ran = ascnet("train", "--dataset", folder, "--resume", "--json", *QUICK)
    assert ran.json["run"] == f"runs/{folder.name}-fixed-2"


def test_settings_reach_the_run_and_can_be_shown(folder, tmp_path):
    chosen = ("--preset", "paper", "--set", "model.selector=none", "--set", "loss.weight_nce=0")
    shown = ascnet("train", "--dataset", folder, "--settings", "--seed", "5", *chosen, *QUICK)
    assert shown.code == 0
    assert not (tmp_path / "runs").exists()
    assert ascnet("train", "--dataset", folder, "--out", "here", "--seed", "5", *chosen, *QUICK).code == 0
    config = (tmp_path / "here" / "config.toml").read_text()
    for line in ('selector = "none"', "weight_nce = 0.0", 'preset = "paper"', "seed = 5", "centre = false"):
        assert line in shown.out.splitlines()
        assert line in config.splitlines()
    model = load_checkpoint(tmp_path / "here" / "best.safetensors").model
    assert model.config.selector == "none"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--set", "model.selector=best"), "model.selector cannot be 'best'"),
        (("--set", "nothing=1"), "no setting 'nothing'"),
        (("--preset", "better"), "unknown preset 'better'"),
        (("--seed", "1", "--seeds", "0-4"), "--seed and --seeds"),
        (("--seed", "1", "--set", "training.seed=2"), "the seed is set twice"),
        (("--seeds", "4-0"), "no seeds from 4 to 0"),
        (("--precision", "float8"), "training.precision cannot be 'float8'"),
        (("--device", "cuda:99"), "cuda"),
    ],
)
def test_what_cannot_be_asked_for(folder, tmp_path, arguments, says):
    ran = ascnet("train", "--dataset", folder, *arguments)
    assert ran.code == 2, ran.err
    assert says in ran.err
    assert not (tmp_path / "runs").exists()


def test_a_class_without_a_training_video_is_named(tmp_path):
    folder = write_folder(tmp_path / "data")
    document = json.loads((folder / "annotations.json").read_text())
    document["database"]["v10.mp4"]["annotations"][0]["label"] = "swim"
    (folder / "annotations.json").write_text(json.dumps(document))
    ran = ascnet("train", "--dataset", folder)
    assert ran.code == 4
    assert "no training video is labelled swim" in ran.err


def test_no_data(tmp_path):
    ran = ascnet("train", "--dataset", "nowhere")
    assert ran.code == 2
    ran = ascnet("train", "--dataset", "thumos14")
    assert ran.code == 5


@pytest.mark.slow
def test_resume_takes_the_highest_number_and_a_new_run_comes_after_it(folder, tmp_path):
    name = f"{folder.name}-fixed"
    for number in ("", "-2", "-7", "-old"):
        (tmp_path / "runs" / f"{name}{number}").mkdir(parents=True)
    assert ascnet("train", "--dataset", folder, "--json", *QUICK).json["run"] == f"runs/{name}-8"
    assert ascnet("train", "--dataset", folder, "--json", "--resume", *QUICK).json["run"] == f"runs/{name}-8"


def test_nothing_held_out_and_published_features_are_said(tmp_path):
    folder = write_folder(tmp_path / "data", n_train=4, n_test=2)
    for path in (folder / "features").glob("*.json"):
        path.unlink()
    (folder / "features" / "grid.json").write_text(json.dumps({"stride_frames": 16, "window_frames": 16}))
    ran = ascnet("train", "--dataset", folder, *QUICK)
    assert ran.code == 0
    assert "note: no video is held out" in ran.err
    assert "`ascnet detect` cannot use it" in ran.err


def test_resume_alone_goes_on_with_the_settings_that_a_run_was_begun_with(folder, tmp_path):
    begun = ("--out", "here", "--preset", "paper", "--seed", "4", "--set", "loss.weight_nce=0", *QUICK)
    assert ascnet("train", "--dataset", folder, *begun).code == 0
    before = (tmp_path / "here" / "config.toml").read_text()
    ran = ascnet("train", "--dataset", folder, "--out", "here", "--resume", "--device", "cpu", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["seeds"] == [4]
    assert (tmp_path / "here" / "config.toml").read_text() == before
    ran = ascnet("train", "--dataset", folder, "--out", "nowhere", "--resume")
    assert ran.code == 2
    assert "there is no run nowhere to resume" in ran.err
