"""Runs one after the other and at once; some fail."""

import os
import signal
import threading
import time
from dataclasses import replace

import pytest

from ascnet_cli.ablation import workers
from ascnet_cli.ablation.measure import missing
from ascnet_cli.ablation.scores import truth_digest
from ascnet_cli.ablation.workers import RunState, Source, run_at_once, run_here
from ascnet_cli.errors import StorageError, TrainingError
from tests.ascnet_cli.ablation.ablation_tools import QUICK, toy_data, toy_plan


@pytest.fixture
def data(tmp_path):
    (tmp_path / "toy").mkdir()
    return toy_data(tmp_path / "toy")


def ends(states):
    return [(state.run.title, state.reason) for state in states if state.ended]


def test_a_run_that_fails_is_a_reason_and_the_next_goes_on(data, tmp_path, monkeypatch):
    def complete(run, *_arguments, **_options):
        if run.seed == 0:
            raise TrainingError("the loss is not finite", hint="a lower learning rate")
        return True

    monkeypatch.setattr(workers, "complete", complete)
    runs, states = toy_plan(data, "fixed", seeds=(0, 1)).runs, []
    run_here(runs, data, tmp_path, device="cpu", report=states.append, should_stop=lambda: False)
    assert ends(states) == [
        ("fixed, seed 0", "the loss is not finite (a lower learning rate)"),
        ("fixed, seed 1", ""),
    ]


def test_a_full_disk_is_no_matter_of_one_run(data, tmp_path, monkeypatch):
    def complete(*_arguments, **_options):
        raise StorageError("the disk is full")

    monkeypatch.setattr(workers, "complete", complete)
    runs, states = toy_plan(data, "fixed", seeds=(0, 1)).runs, []
    with pytest.raises(StorageError):
        run_here(runs, data, tmp_path, device="cpu", report=states.append, should_stop=lambda: False)
    assert ends(states) == []


def test_steps_are_told_and_a_stop_is_heard(data, tmp_path):
    states = []

    def should_stop():
        return any(state.run.seed == 1 and state.step == 2 for state in states)

    runs = toy_plan(data, "fixed", seeds=(0, 1, 2)).runs
    run_here(runs, data, tmp_path, device="cpu", report=states.append, should_stop=should_stop)
    assert [state.step for state in states if state.run.seed == 0] == [0, 1, 2, 3, 4, 5, 6, 0]
    assert [state.step for state in states if state.run.seed == 1] == [
        0,
        1,
        2,
        3,
    ]  # the step after it was asked
    assert ends(states) == [("fixed, seed 0", "")]
    assert {state.n_steps for state in states if state.step} == {6}
    assert states[0] == RunState(runs[0])


@pytest.mark.slow
def test_several_at_once_in_processes(data, tmp_path):
    (first, second), states = toy_plan(data, "fixed", seeds=(0, 1)).runs, []
    diverging = replace(first.settings.training, learning_rate=1e30)
    broken = replace(first, settings=replace(first.settings, training=diverging))
    run_at_once(
        (broken, second),
        Source(data.name),
        tmp_path,
        jobs=2,
        device="cpu",
        report=states.append,
        should_stop=lambda: False,
    )
    reasons = dict(ends(states))
    assert set(reasons) == {broken.title, second.title}
    assert "not finite" in reasons[broken.title]
    assert reasons[second.title] == ""
    truth = truth_digest(data.annotations, data.test)
    assert missing(second, tmp_path, truth) == ()
    assert missing(broken, tmp_path, truth) == broken.measurements


@pytest.mark.slow
def test_a_process_that_is_killed_is_a_reason_and_none_is_left(data, tmp_path):
    long = QUICK | {"training.updates": "1000000", "training.validate_every": "1000000"}
    runs, states = toy_plan(data, "fixed", seeds=(0, 1), overrides=long).runs, []

    def kill_the_first():
        deadline_s = time.monotonic() + 300
        while time.monotonic() < deadline_s:
            if any(state.step for state in states if state.run.seed == 0):
                for child in workers.multiprocessing.active_children():
                    if child.name == runs[0].title:
                        os.kill(child.pid, signal.SIGKILL)
                        return
            time.sleep(0.05)

    killer = threading.Thread(target=kill_the_first)
    killer.start()
    run_at_once(
        runs,
        Source(data.name),
        tmp_path,
        jobs=2,
        device="cpu",
        report=states.append,
        should_stop=lambda: bool(ends(states)),
    )
    killer.join()
    assert ends(states) == [("fixed, seed 0", "its process ended: SIGKILL")]
    assert not workers.multiprocessing.active_children()
