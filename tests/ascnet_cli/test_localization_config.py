import json
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
        ("upsample", 2.5),
        ("min_cells", True),
        ("centre", "no"),
        ("outer_fraction", -0.1),
        ("gamma", -1.0),
        ("outer", "both"),
        ("nms_tiou", 0.0),
    ],
)
def test_values_out_of_range_are_refused_by_name(name, value):
    good = localization_config("fixed", "thumos14")
    # Under test the types of fields are checked too, and first.
    with pytest.raises((ValueError, TypeError), match=name):
        replace(good, **{name: value})
    with pytest.raises(OptionError, match=name):
        LocalizationConfig.from_dict(good.to_dict() | {name: value})


def test_without_thresholds_there_is_nothing_to_find():
    with pytest.raises(ValueError, match="no threshold"):
        LocalizationConfig(alphas=(), betas=(), class_threshold=0.1)
