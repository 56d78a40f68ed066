"""The network's presets and their validation."""

import dataclasses

import pytest

from ascnet_cli.config import DATASETS, DEFAULT_PRESET, PRESETS, NetworkConfig, network_config
from ascnet_cli.errors import OptionError


def test_the_repaired_preset_is_the_default():
    assert DEFAULT_PRESET == "fixed"


@pytest.mark.parametrize(
    ("dataset", "sigmas", "embed_dropout", "snippets"),
    [("thumos14", (8, 8, 3), 0.0, 750), ("activitynet13", (2, 10, 10), 0.5, 75)],
)
def test_presets_hold_the_constants_of_section_iv(dataset, sigmas, embed_dropout, snippets):
    paper = network_config("paper", dataset, n_classes=20, in_dim=2048)
    fixed = network_config("fixed", dataset, n_classes=20, in_dim=2048)
    for config in (paper, fixed):
        assert (config.sigmas, config.embed_dropout) == (sigmas, embed_dropout)
        assert (config.embed_dim, config.dropout, config.variant) == (2048, 0.5, "both")
    assert (paper.selector, paper.guide, paper.query_form, paper.query_dim) == (
        "literal",
        "z_fg",
        "paper",
        2048,
    )
    assert (fixed.selector, fixed.guide, fixed.query_form, fixed.query_dim) == ("fixed", "v", "fixed", 256)
    assert (paper.inference_snippets, fixed.inference_snippets) == (snippets, None)


def test_presets_differ_in_the_named_repairs_alone():
    for dataset in DATASETS:
        paper, fixed = (
            dataclasses.asdict(network_config(preset, dataset, n_classes=3, in_dim=1024))
            for preset in ("paper", "fixed")
        )
        differing = {name for name in paper if paper[name] != fixed[name]}
        repairs = {"subtract_mean", "selector", "guide", "query_form", "query_dim", "inference_snippets"}
        assert differing == repairs | {"preset"}


@pytest.mark.parametrize(("preset", "dataset"), [("papers", "thumos14"), ("fixed", "thumos")])
def test_unknown_names_are_refused_with_the_known_ones(preset, dataset):
    with pytest.raises(OptionError, match="unknown") as caught:
        network_config(preset, dataset, n_classes=20, in_dim=2048)
    known = PRESETS if preset == "papers" else DATASETS
    assert all(name in caught.value.hint for name in known)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n_classes", 0),
        ("sigma_bg", 0),
        ("dropout", 1.0),
        ("embed_dropout", -0.1),
        ("embed_dropout", float("nan")),
        ("inference_snippets", 0),
    ],
)
def test_values_out_of_range_are_refused_by_name(field, value):
    config = network_config("fixed", "thumos14", n_classes=20, in_dim=2048)
    with pytest.raises(OptionError, match=field):
        dataclasses.replace(config, **{field: value})


@pytest.mark.parametrize("selector", ["fixed", "literal"])
def test_a_class_agnostic_model_cannot_be_led_by_the_branch_it_does_not_train(selector):
    config = network_config("fixed", "thumos14", n_classes=20, in_dim=2048)
    with pytest.raises(OptionError, match="class_agnostic"):
        dataclasses.replace(config, variant="class_agnostic", selector=selector)
    assert dataclasses.replace(config, variant="class_agnostic", selector="none").variant == "class_agnostic"


@pytest.mark.parametrize("preset", PRESETS)
def test_a_configuration_survives_a_file(preset):
    config = network_config(preset, "activitynet13", n_classes=200, in_dim=2048)
    assert NetworkConfig.from_mapping(dataclasses.asdict(config)) == config


@pytest.mark.parametrize(
    ("field", "value"),
    [("n_classes", "20"), ("n_classes", True), ("selector", "best"), ("dropout", None), ("sigma_fg", 8.0)],
)
def test_a_wrong_type_from_a_file_is_named(field, value):
    values = dataclasses.asdict(network_config("fixed", "thumos14", n_classes=20, in_dim=2048))
    with pytest.raises(OptionError, match=field):
        NetworkConfig.from_mapping(values | {field: value})


def test_missing_and_unknown_fields_of_a_file_are_named():
    values = dataclasses.asdict(network_config("fixed", "thumos14", n_classes=20, in_dim=2048))
    del values["sigma_ct"]
    with pytest.raises(OptionError, match=r"sigma_ct is missing; gamma is unknown"):
        NetworkConfig.from_mapping(values | {"gamma": 1})
