import json
import reprlib
import subprocess
import sys
from dataclasses import asdict, replace

import pytest

from ascnet_cli.config_localization import PRESETS, LocalizationConfig, localization_config
from ascnet_cli.errors import OptionError


def test_thresholds_are_the_papers():
    thumos = localization_config("fixed", "thumos14")
    assert thumos.alphas == (0.20, 0.25)
    assert thumos.betas == tuple(round(0.20 + 0.02 * i, 2) for i in range(40))
    assert (thumos.betas[0], thumos.betas[-1]) == (0.20, 0.98)
    assert (thumos.class_threshold, thumos.gamma, thumos.nms_tiou) == (0.25, 0.25, 0.4)
    activitynet = localization_config("fixed", "activitynet13")
    assert activitynet.alphas == activitynet.betas == (0.005, 0.010, 0.015, 0.020)
    assert activitynet.class_threshold == 0.10


@pytest.mark.parametrize("dataset", ["thumos14", "activitynet13"])
def test_the_presets_differ_in_the_repaired_defects_alone(dataset):
    paper, fixed = (asdict(localization_config(preset, dataset)) for preset in ("paper", "fixed"))
    different = {name: (paper[name], fixed[name]) for name in paper if paper[name] != fixed[name]}
    assert different == {"centre": (False, True), "outer_even": (False, True), "nms_plus_one": (True, False)}


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("dataset", PRESETS["fixed"])
def test_a_config_comes_back_from_json(preset, dataset):
    config = localization_config(preset, dataset)
    assert LocalizationConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("preset", "dataset", "named"),
    [("Fixed", "thumos14", "Fixed"), ("fixed", "thumos15", "thumos15")],
)
def test_unknown_presets_are_named(preset, dataset, named):
    with pytest.raises(OptionError, match=named) as caught:
        localization_config(preset, dataset)
    assert "choose one of" in caught.value.hint


def test_unknown_options_are_named():
    values = localization_config("fixed", "thumos14").to_dict() | {"alfas": [0.1]}
    with pytest.raises(OptionError, match="alfas") as caught:
        LocalizationConfig.from_dict(values)
    assert "alphas" in caught.value.hint


def test_a_missing_option_is_an_error():
    with pytest.raises(OptionError, match="betas"):
        LocalizationConfig.from_dict({"alphas": [0.2], "class_threshold": 0.2})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("alphas", (1.5,)),
        ("alphas", (0.2, 0.2)),
        ("betas", (float("nan"),)),
        ("class_threshold", float("inf")),
        ("upsample", 0),
        ("outer_fraction", -0.1),
        ("gamma", -1.0),
        ("nms_tiou", 0.0),
        ("gamma", 1e308),
        ("gamma", 1000.5),
        ("gamma", float("nan")),
        ("class_threshold", -1e300),
        ("upsample", 10**9),
        ("min_cells", 10**400),
        ("alphas", tuple(n / 2000 for n in range(1001))),
    ],
    ids=lambda value: reprlib.repr(value),
)
def test_values_out_of_range_are_refused_by_name(name, value):
    good = localization_config("fixed", "thumos14")
    with pytest.raises(ValueError, match=name) as caught:
        replace(good, **{name: value})
    assert len(str(caught.value)) < 200
    with pytest.raises(OptionError, match=name):
        LocalizationConfig.from_dict(good.to_dict() | {name: value})


WRONG_KINDS = {
    "upsample": 2.5,
    "min_cells": True,
    "centre": "no",
    "outer_even": 1,
    "outer": "both",
    "gamma": "1",
    "class_threshold": None,
    "nms_tiou": [0.5],
    "outer_fraction": 10**400,
    "alphas": 0.5,
    "betas": ["0.5"],
}


def test_values_of_another_kind_are_refused():
    """In a process of its own: here the checker of types would be the first to refuse them."""
    program = (
        "import json, sys\n"
        "from ascnet_cli.config_localization import LocalizationConfig, localization_config\n"
        "from ascnet_cli.errors import OptionError\n"
        "good = localization_config('fixed', 'thumos14').to_dict()\n"
        "for name, value in json.load(sys.stdin).items():\n"
        "    try:\n"
        "        LocalizationConfig.from_dict({**good, name: value})\n"
        "    except OptionError as error:\n"
        "        print(name, str(error)[:200])\n"
    )
    told = json.dumps(WRONG_KINDS)
    done = subprocess.run(
        [sys.executable, "-c", program], input=told, capture_output=True, text=True, check=True
    )
    said = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert said.keys() == WRONG_KINDS.keys()
    assert all(reason.startswith("localization options do not fit together: ") for reason in said.values())
    assert all(f": {name} must " in reason for name, reason in said.items())
    assert "0" * 50 not in done.stdout


def test_the_bounds_themselves_are_taken():
    good = localization_config("fixed", "thumos14")
    config = replace(good, gamma=1000.0, class_threshold=-1000.0, upsample=1000, min_cells=1000)
    assert LocalizationConfig.from_dict(config.to_dict()) == config


def test_without_thresholds_there_is_nothing_to_find():
    with pytest.raises(ValueError, match="no threshold"):
        LocalizationConfig(alphas=(), betas=(), class_threshold=0.1)
