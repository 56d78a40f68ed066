"""The schedules: the table of method and paper, and what is refused."""

import dataclasses

import pytest

from ascnet_cli.config_training import training_config
from ascnet_cli.errors import OptionError


def test_thumos14():
    config = training_config("fixed", "thumos14")
    assert (config.snippets, config.batch_size, config.updates, config.epochs) == (750, 8, 5000, None)
    assert (config.learning_rate, config.weight_decay, config.short) == (1e-4, 5e-5, "stretch")


def test_activitynet13():
    config = training_config("fixed", "activitynet13")
    assert (config.snippets, config.batch_size, config.updates, config.epochs) == (75, 32, None, 30)
    assert (config.learning_rate, config.weight_decay) == (1e-4, 1e-3)


def test_the_presets_differ_in_length_alone():
    paper, fixed = (dataclasses.asdict(training_config(p, "thumos14")) for p in ("paper", "fixed"))
    assert {name for name in paper if paper[name] != fixed[name]} == {"preset", "updates", "validate_every"}
    assert paper["updates"] == 30 * 200 // 8  # 30 epochs of the 200 videos
    paper, fixed = (dataclasses.asdict(training_config(p, "activitynet13")) for p in ("paper", "fixed"))
    assert {name for name in paper if paper[name] != fixed[name]} == {"preset"}


def test_epochs_become_updates():
    config = training_config("fixed", "activitynet13")
    assert config.n_updates(64) == 60
    assert config.n_updates(65) == 61  # 60.9: no video of the last epoch is left out
    assert training_config("paper", "thumos14").n_updates(7) == 750


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 3},
        {"updates": None},
        {"updates": 0},
        {"snippets": 0},
        {"batch_size": 0},
        {"validate_every": 0},
        {"learning_rate": 0.0},
        {"learning_rate": float("inf")},
        {"weight_decay": -1.0},
        {"validation_fraction": 1.0},
        {"seed": -1},
        {"split_seed": 2**63},
    ],
)
def test_values_out_of_range_are_refused_by_name(wrong):
    with pytest.raises(OptionError, match=next(iter(wrong))):
        dataclasses.replace(training_config("fixed", "thumos14"), **wrong)


@pytest.mark.parametrize(("preset", "dataset"), [("best", "thumos14"), ("fixed", "thumos15")])
def test_unknown_names_are_refused(preset, dataset):
    with pytest.raises(OptionError, match="unknown"):
        training_config(preset, dataset)
