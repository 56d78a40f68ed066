"""What a run's folder tells of its training."""

import json
import math

import pytest

from ascnet_cli.errors import CheckpointError
from ascnet_cli.training.history import mean_curve, read_history, seed_folders
from ascnet_cli.training.run_folder import RunFolder

TEST = {"tiou": [0.5, 0.7], "map": [0.5, 0.25], "average": 0.375, "per_class": {"run": [0.5, 0.25]}}


def write_run(run, events=(), *, seed=0, held_out=4, test=None):
    """A run's folder of some events: kind, seconds after noon, and content."""
    folder = RunFolder(run)
    folder.begin({"training": {"seed": seed, "preset": "fixed"}, "data": {"videos": 9, "held_out": held_out}})
    folder.note_environment({"device": "cpu", "processes": 1, "torch": "2.14", "python": "3.11"})
    lines = [
        json.dumps({"event": kind, "time": f"2026-01-01T12:{at // 60:02d}:{at % 60:02d}+00:00", **content})
        for kind, at, content in events
    ]
    (run / "events.jsonl").write_text("".join(line + "\n" for line in lines))
    if test is not None:
        (run / "test.json").write_text(json.dumps(test))
    return run


def step(at, number, **losses):
    return ("step", at, {"step": number, **losses})


def validation(at, number, value):
    return ("validation", at, {"step": number, "map": value})


START = ("start", 0, {"step": 0, "n_steps": 40, "processes": 1})


def test_curves(tmp_path):
    events = [START, step(5, 10, total=2.0, fg=1.5), validation(6, 10, 0.25), step(9, 20, total=None, fg=1.0)]
    history = read_history(write_run(tmp_path / "run", events))
    assert list(history.losses) == ["total", "fg"]
    assert history.losses["fg"] == ((10.0, 1.5), (20.0, 1.0))
    assert history.losses["total"][0] == (10.0, 2.0)
    assert math.isnan(history.losses["total"][1][1])
    assert history.validation == ((10.0, 0.25),)
    assert (history.step, history.n_steps, history.seed, history.test) == (20, 40, "0", None)
    assert history.state == "going on, or killed"


@pytest.mark.parametrize(
    ("reason", "state"),
    [("finished", "finished"), ("asked to", "stopped: asked to"), ("loss", "stopped: loss")],
)
def test_how_a_run_ended(tmp_path, reason, state):
    stop = ("stop", 9, {"step": 20, "reason": reason})
    assert read_history(write_run(tmp_path / "run", [START, stop])).state == state


def test_the_time_between_two_starts_does_not_count(tmp_path):
    events = [START, step(10, 10), ("start", 500, {"step": 10, "n_steps": 40}), step(507, 20)]
    assert read_history(write_run(tmp_path / "run", events)).elapsed_s == 17


def test_the_chosen_network_is_the_last_one_close_to_the_highest(tmp_path):
    values = [0.5, 0.9, 0.7, 0.6]  # 4 videos are held out: within 0.25
    events = [START, *(validation(n, 10 * n, value) for n, value in enumerate(values, 1))]
    assert read_history(write_run(tmp_path / "run", events)).chosen == (30.0, 0.7)
    assert read_history(write_run(tmp_path / "none")).chosen is None


def test_notes_are_told_once(tmp_path):
    note = ("note", 1, {"step": 0, "text": "tf32 is not there"})
    assert read_history(write_run(tmp_path / "run", [START, note, START, note])).notes == (
        "tf32 is not there",
    )


def test_a_test_result(tmp_path):
    assert read_history(write_run(tmp_path / "run", test=TEST)).test == TEST


@pytest.mark.parametrize(
    "damaged",
    [
        "",
        "[]",
        "{}",
        json.dumps(TEST | {"map": [0.5]}),
        json.dumps(TEST | {"per_class": {"run": ["a", "b"]}}),
    ],
)
def test_a_damaged_test_result(tmp_path, damaged):
    run = write_run(tmp_path / "run")
    (run / "test.json").write_text(damaged)
    with pytest.raises(CheckpointError, match=r"test\.json"):
        read_history(run)


def test_what_is_no_run(tmp_path):
    with pytest.raises(CheckpointError, match="holds no run"):
        read_history(tmp_path)
    assert not list(tmp_path.iterdir())


def test_seeds_by_number(tmp_path):
    for seed in (10, 2, 0):
        write_run(tmp_path / f"seed-{seed}", seed=seed)
    (tmp_path / "seed-none").mkdir()
    assert [path.name for path in seed_folders(tmp_path)] == ["seed-0", "seed-2", "seed-10"]
    assert seed_folders(tmp_path / "seed-0") == ()


def test_the_mean_is_over_the_steps_that_all_have():
    assert mean_curve([((1.0, 2.0), (2.0, 4.0)), ((1.0, 4.0),)]) == ((1.0, 3.0),)
    assert mean_curve([]) == ()
