"""Settings by name: presets, what follows from the data, and what a person asks for instead."""

import pytest

from ascnet_cli.config import network_config
from ascnet_cli.config_localization import localization_config
from ascnet_cli.config_training import loss_config, training_config
from ascnet_cli.errors import OptionError
from ascnet_cli.training.settings import DataShape, parse_overrides, parse_value, resolve, setting_names

SHAPE = DataShape(n_classes=20, in_dim=2048, longest=3000, n_videos=200)
SMALL = DataShape(n_classes=3, in_dim=1024, longest=50, n_videos=5)


def settings(preset="fixed", shape=SHAPE, dataset="thumos14", **overrides):
    return resolve(
        preset,
        shape,
        dataset=dataset,
        overrides={name.replace("__", "."): value for name, value in overrides.items()},
    )


@pytest.mark.parametrize("preset", ["paper", "fixed"])
@pytest.mark.parametrize("dataset", ["thumos14", "activitynet13"])
def test_without_overrides_they_are_the_presets(preset, dataset):
    found = settings(preset, dataset=dataset)
    assert found.network == network_config(preset, dataset, n_classes=20, in_dim=2048)
    assert found.loss == loss_config(preset)
    assert found.training == training_config(preset, dataset)
    assert found.localization == localization_config(preset, dataset)


def test_a_data_set_of_ones_own_is_neither_stretched_nor_repeated():
    found = settings(shape=SMALL, dataset="folder")
    assert (found.training.snippets, found.training.short, found.training.batch_size) == (50, "keep", 5)
    assert found.network.embed_dim == 1024
    assert settings(shape=SHAPE, dataset="folder").training.snippets == 750


def test_overrides_reach_every_table():
    found = settings(
        model__selector="none",
        loss__weight_nce="0",
        loss__guide_detach="no",
        training__updates="12",
        localization__alphas="0.1,0.3",
        localization__centre="false",
        model__inference_snippets="none",
    )
    assert found.network.selector == "none"
    assert found.network.inference_snippets is None
    assert (found.loss.weight_nce, found.loss.guide_detach) == (0.0, False)
    assert found.training.updates == 12
    assert (found.localization.alphas, found.localization.centre) == ((0.1, 0.3), False)


def test_either_updates_or_epochs_is_enough():
    found = settings(training__epochs="30").training
    assert (found.updates, found.epochs) == (None, 30)
    found = settings(dataset="activitynet13", training__updates="7").training
    assert (found.updates, found.epochs) == (7, None)
    with pytest.raises(OptionError, match="exactly one of updates and epochs"):
        settings(training__epochs="30", training__updates="7")


@pytest.mark.parametrize(("variant", "empty"), [("class_agnostic", "alphas"), ("class_aware", "betas")])
def test_a_variant_of_one_branch_localizes_by_it_alone(variant, empty):
    found = settings(model__variant=variant)
    assert getattr(found.localization, empty) == ()
    assert found.localization.alphas or found.localization.betas


def test_the_class_agnostic_variant_trains_nothing_of_the_other_branch():
    found = settings(model__variant="class_agnostic")
    assert (found.loss.weight_nce, found.loss.weight_gui) == (0, 0)
    assert found.network.selector == "attention"
    assert settings(model__variant="class_agnostic", model__selector="none").network.selector == "none"


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("model.selektor", "none", "did you mean model.selector"),
        ("selector", "none", "did you mean model.selector"),
        ("model.n_classes", "3", "it follows from the data set"),
        ("qqq", "3", "settings are those of"),
        ("model.selector", "nothing", "give fixed or literal or attention or none"),
        ("training.updates", "many", "give a whole number or none"),
        ("loss.guide_detach", "perhaps", "give true or false"),
        ("loss.weight_nce", "x", "give a number"),
    ],
)
def test_what_is_no_setting_or_no_value_is_said(name, value, says):
    with pytest.raises(OptionError) as caught:
        resolve("fixed", SHAPE, dataset="thumos14", overrides={name: value})
    assert says in caught.value.hint


def test_values_out_of_range_are_refused():
    with pytest.raises(OptionError, match="batch_size must be at least 1"):
        settings(training__batch_size="0")
    with pytest.raises(OptionError, match="alphas"):
        settings(localization__alphas="2")


def test_every_name_can_be_set_to_the_value_that_it_has():
    found = settings()
    tables = {
        "model": found.network,
        "loss": found.loss,
        "training": found.training,
        "localization": found.localization,
    }
    for name in setting_names():
        table, field = name.split(".")
        value = getattr(tables[table], field)
        if name == "training.epochs":  # None beside `updates`: one of the two must be
            continue
        text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        assert resolve("fixed", SHAPE, dataset="thumos14", overrides={name: text}) == found, name


def test_assignments_are_split_at_the_first_sign():
    assert parse_overrides(["model.selector=none", " training.updates = 5 "]) == {
        "model.selector": "none",
        "training.updates": "5",
    }
    for wrong in (["model.selector"], ["=3"], ["model.selector=none", "model.selector=fixed"]):
        with pytest.raises(OptionError):
            parse_overrides(wrong)


def test_a_name_without_value_and_a_literal_none_are_told_apart():
    with pytest.raises(OptionError):
        parse_value("x", int, "n")
    assert parse_value("none", int | None, "n") is None
    assert parse_value("3", int | None, "n") == 3
