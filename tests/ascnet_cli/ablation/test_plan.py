"""Which networks are trained."""

import dataclasses

import pytest

from tests.ascnet_cli.ablation.ablation_tools import QUICK, toy_data, toy_plan


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return toy_data(tmp_path_factory.mktemp("toy"))


def together(plan):
    """The rows that share a training."""
    found = {}
    for row, (key, _) in plan.places.items():
        found.setdefault(key, set()).add(row)
    return list(found.values())


def test_rows_that_need_the_same_network_share_it(data):
    shared = together(toy_plan(data))
    assert {
        "all-losses", "selector", "fixed", "fixed-centre", "fixed-outer", "fixed-nms", "fixed-whole",
        "attention-only", "cas-only", "whole-video", "uniform",
    } in shared  # fmt: skip
    assert {"fg-bg-ct", "both"} in shared
    # No video is longer than the printed 750 snippets.
    assert {"paper", "paper+centre", "paper+outer", "paper+nms", "paper+whole"} in shared
    assert {"no-selector"} in shared
    assert {"class-aware"} in shared


def test_a_video_that_is_thinned_makes_whole_inference_a_training_of_its_own(data):
    assert len(together(toy_plan(data, "paper,paper+whole"))) == 1
    longer = tuple(dataclasses.replace(file, n_rows=800) for file in data.test)
    assert len(together(toy_plan(dataclasses.replace(data, test=longer), "paper,paper+whole"))) == 2


def test_each_training_is_there_once_a_seed_and_a_seed_is_done_before_the_next(data):
    plan = toy_plan(data, "III,V", seeds=(3, 1))
    assert [run.seed for run in plan.runs] == [3] * 6 + [1] * 6
    assert len({(run.key, run.seed) for run in plan.runs}) == 12
    assert {run.settings.training.seed for run in plan.runs} == {3, 1}


def test_measurements_of_a_run_differ_and_every_row_finds_its_own(data):
    plan = toy_plan(data)
    for run in plan.runs:
        keys = [measurement.key for measurement in run.measurements]
        assert len(set(keys)) == len(keys)
    for row in plan.rows:
        key, measured = plan.places[row.name]
        (run,) = (run for run in plan.runs if run.key == key)
        (found,) = (m for m in run.measurements if m.key == measured)
        assert found.finder == row.finder
        assert row.name in run.rows
    betas = {m.localization.betas for run in plan.runs if "cas-only" in run.rows for m in run.measurements}
    assert () in betas


def test_other_settings_or_data_are_other_runs(data, tmp_path):
    keys = {toy_plan(data, "fixed").runs[0].key}
    keys.add(toy_plan(data, "fixed", overrides=QUICK | {"training.updates": "7"}).runs[0].key)
    keys.add(toy_plan(data, "fixed", overrides=QUICK | {"localization.gamma": "0.5"}).runs[0].key)
    fewer = data.videos.only(data.videos.names[1:])
    keys.add(toy_plan(dataclasses.replace(data, videos=fewer), "fixed").runs[0].key)
    keys.add(toy_plan(dataclasses.replace(data, recipe={"backbone": "other"}), "fixed").runs[0].key)
    assert len(keys) == 5
    assert toy_plan(data, "fixed").runs[0].key in keys  # and the same ones are the same


def test_a_rows_own_settings_win(data):
    plan = toy_plan(data, "V", overrides=QUICK | {"model.selector": "attention"})
    by_row = {run.rows[0]: run.settings.network.selector for run in plan.runs}
    assert by_row == {"no-selector": "none", "selector": "attention"}
