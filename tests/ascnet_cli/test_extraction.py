"""From what a person asks for to a recipe and an extractor."""

import dataclasses
import pickle

import pytest

from ascnet_cli.config_kinetics import KINETICS400
from ascnet_cli.detector import load_detector
from ascnet_cli.errors import CheckpointError, FeatureError, OptionError, WeightsError
from ascnet_cli.extraction import Choices, extractor_spec
from extractors.batch.source import Seat, flow_config_of
from extractors.flow_config import DisConfig, TvL1Config, flow_config, flow_recipe
from extractors.video import Limits
from tests.cli_tools import KINETICS_WEIGHTS, default_recipe
from weights.registry import entry


def test_the_default_is_rgb_of_isolated_snippets():
    spec = extractor_spec(Choices())
    assert spec.recipe == default_recipe()
    assert spec.weights == {"rgb": KINETICS_WEIGHTS}
    assert pickle.loads(pickle.dumps(spec)) == spec  # noqa: S301 - as it is sent to other processes


@pytest.mark.parametrize("model", ["kinetics400", "mocap"])
def test_for_a_model_features_are_made_as_detect_makes_them(model):
    assert extractor_spec(Choices(), for_model=model).recipe == load_detector(model).extractor.recipe
    assert KINETICS400.context == "dense"


def test_for_a_checkpoint_by_its_path():
    path = entry("mocap").path
    assert extractor_spec(Choices(), for_model=str(path)) == extractor_spec(Choices(), for_model="mocap")


@pytest.mark.parametrize(
    ("choices", "error", "words"),
    [
        ({"streams": "rgb,flow"}, WeightsError, "flow stream needs weights"),
        ({"streams": "depth"}, OptionError, "depth"),
        ({"streams": ","}, OptionError, "streams"),
        ({"context": "long"}, OptionError, "long"),
        ({"decoder": "opencv"}, OptionError, "opencv"),
        ({"flow": "dis"}, OptionError, "without a flow stream"),
        ({"weights_flow": "x"}, OptionError, "without a flow stream"),
        ({"streams": "flow", "weights_rgb": KINETICS_WEIGHTS}, OptionError, "without an RGB stream"),
        ({"streams": "flow", "weights_flow": KINETICS_WEIGHTS}, OptionError, "of the rgb stream"),
        ({"backbone": "i3d_r50"}, OptionError, "no weights of i3d_r50"),
        ({"backbone": "i3d_r50", "weights_rgb": KINETICS_WEIGHTS}, OptionError, "weights of i3d"),
        ({"weights_rgb": "nowhere.safetensors"}, WeightsError, "nowhere.safetensors"),
        ({"weights_rgb": "i3d-rgb-kinetics"}, OptionError, "i3d-rgb-kinetics: neither"),
        ({"weights_rgb": "raft-small"}, OptionError, "raft"),
    ],
)
def test_what_cannot_be_made_says_why(choices, error, words):
    with pytest.raises(error, match=words) as caught:
        extractor_spec(Choices(**choices))
    assert caught.value.hint


@pytest.mark.parametrize("choice", ["context", "streams", "flow", "backbone", "weights_rgb", "decoder"])
def test_a_model_and_a_choice_contradict_each_other(choice):
    with pytest.raises(OptionError, match=f"--{choice.replace('_', '-')}"):
        extractor_spec(Choices(**{choice: "snippet"}), for_model="mocap")


def test_a_model_that_is_none(tmp_path):
    with pytest.raises(CheckpointError, match="no model"):
        extractor_spec(Choices(), for_model="runs/nothing")
    with pytest.raises(OptionError, match="no model 'nothing'") as caught:
        extractor_spec(Choices(), for_model="nothing")
    assert "kinetics400, mocap" in caught.value.hint
    with pytest.raises(CheckpointError, match="not an ASC-Net checkpoint"):
        extractor_spec(Choices(), for_model=str(entry(KINETICS_WEIGHTS).path))


@pytest.mark.parametrize("config", [TvL1Config(), TvL1Config(n_warps=2), DisConfig(), flow_config("dis")])
def test_a_flow_algorithm_is_known_by_its_recipe(config):
    assert flow_config_of(flow_recipe(config)) == config


def test_a_flow_that_is_not_known_is_an_error():
    with pytest.raises(FeatureError, match="farneback"):
        flow_config_of({**flow_recipe(DisConfig()), "algorithm": "farneback"})
    with pytest.raises(FeatureError):
        flow_config_of({})


def test_a_worker_builds_what_the_recipe_says():
    maker, device = extractor_spec(Choices(), device="cpu").build(Seat(0, 1))
    assert device == "cpu"
    assert maker.recipe == default_recipe()


def test_weights_that_changed_since_are_refused(tmp_path):
    import dataclasses

    spec = extractor_spec(Choices(), device="cpu")
    other = dataclasses.replace(spec, recipe=dataclasses.replace(spec.recipe, weights={"rgb": "0" * 64}))
    with pytest.raises(WeightsError, match="not the file any more"):
        other.build(Seat(0, 1))


@pytest.mark.parametrize("for_model", [None, "mocap"])
def test_an_engine_is_part_of_the_recipe_also_for_a_model(for_model):
    plain = extractor_spec(Choices(), for_model=for_model)
    other = extractor_spec(Choices(engine_i3d="openvino"), for_model=for_model)
    assert other.recipe.engine == "openvino"
    assert other.recipe == dataclasses.replace(plain.recipe, engine="openvino")
    assert other.recipe.digest() != plain.recipe.digest()
    assert (plain.device, other.device) == ("auto", "cpu")
    with pytest.raises(OptionError, match="unknown engine 'tensorrt'"):
        extractor_spec(Choices(engine_i3d="tensorrt"), for_model=for_model)


@pytest.mark.parametrize("model", [None, "mocap"])
def test_limits_go_with_the_extractor_and_are_no_part_of_its_recipe(model):
    wide = extractor_spec(Choices(), for_model=model, limits=Limits(10**8, 0.5))
    assert wide.limits == Limits(10**8, 0.5)
    assert wide.recipe == extractor_spec(Choices(), for_model=model).recipe


def test_a_limit_that_a_decoder_cannot_hold_is_refused():
    decord = Choices(decoder="decord")
    assert extractor_spec(decord, limits=Limits(10**8)).limits == Limits(10**8)
    with pytest.raises(OptionError, match="decord counts no damage"):
        extractor_spec(decord, limits=Limits(max_damage=0.5))
