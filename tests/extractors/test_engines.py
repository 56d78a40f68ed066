"""Engines by name, what they put into a recipe, and where they do not run."""

import numpy as np
import pytest
import torch

from extractors import features as module
from extractors.calibration import Calibration, save_calibration
from extractors.device import check_device
from extractors.engines import ENGINES, with_engine
from extractors.errors import DeviceError, OptionError
from extractors.features import Extractor
from extractors.flow import DisConfig, flow_recipe
from extractors.recipe import FeatureRecipe
from weights.errors import WeightsError

SHA = "0" * 64
CPU, CUDA = torch.device("cpu"), torch.device("cuda")
PLAIN = FeatureRecipe({"rgb": SHA})


@pytest.fixture
def calibrated():
    made = Calibration(SHA, {"input": (-1.0, 1.0)}, {"unit": np.zeros(2, np.float32)})
    save_calibration(made)
    return made


def test_features_of_different_engines_are_of_different_recipes(calibrated):
    recipes = [with_engine(PLAIN, name) for name in ENGINES]
    assert len({recipe.digest() for recipe in recipes}) == len(ENGINES)
    for recipe in recipes:
        assert FeatureRecipe.from_dict(recipe.as_dict()) == recipe


def test_the_first_engine_leaves_the_recipe_as_it_always_was():
    assert with_engine(PLAIN, "torch") == PLAIN
    assert not {"engine", "calibration"} & PLAIN.as_dict().keys()
    # Features made before there was a choice are still up to date.
    assert PLAIN.digest() == "39d86269625e45a51474998aa361719bb9405d1289baa94af9eea3f1b1a6143b"


def test_eight_bits_name_their_calibration(calibrated):
    recipe = with_engine(PLAIN, "openvino-int8")
    assert recipe.as_dict()["calibration"] == {"rgb": calibrated.sha256}
    assert (recipe.engine, recipe.precision) == ("openvino", "int8")
    assert with_engine(recipe, "torch") == PLAIN


def test_eight_bits_without_a_calibration_say_how_to_make_one():
    with pytest.raises(WeightsError, match="calibration") as raised:
        with_engine(FeatureRecipe({"rgb": "1" * 64}), "openvino-int8")
    assert "ascnet weights calibrate" in raised.value.hint


def test_an_unknown_engine_is_refused():
    with pytest.raises(OptionError, match="tpu"):
        with_engine(PLAIN, "tpu")


@pytest.mark.parametrize(
    "wrong",
    [
        {"engine": "onnx"},
        {"precision": "int4"},
        {"precision": "int8", "calibration": {"rgb": SHA}},
        {"engine": "openvino", "precision": "int8"},
        {"engine": "openvino", "calibration": {"rgb": SHA}},
        {"engine": "openvino", "precision": "float16"},
        {"engine": "openvino", "backbone": "i3d_r50"},
        {
            "engine": "openvino",
            "precision": "int8",
            "calibration": {"rgb": SHA},
            "weights": {"rgb": SHA, "flow": SHA},
            "flow": flow_recipe(DisConfig()),
        },
    ],
)
def test_contradictions_are_refused(wrong):
    with pytest.raises(OptionError):
        FeatureRecipe(**{"weights": {"rgb": SHA}, **wrong})


def test_half_precision_is_never_computed_on_a_processor():
    for name in ("torch-float16", "torch-bfloat16"):
        with pytest.raises(DeviceError, match="float16"):
            check_device(with_engine(PLAIN, name), CPU)
        check_device(with_engine(PLAIN, name), CUDA)


def test_openvino_is_for_the_processor():
    with pytest.raises(DeviceError, match="cuda"):
        check_device(with_engine(PLAIN, "openvino"), CUDA)
    check_device(with_engine(PLAIN, "openvino"), CPU)


def test_the_extractor_builds_what_the_recipe_says(monkeypatch, calibrated):
    made = []
    monkeypatch.setattr(module, "make_backbone", lambda *a, **options: made.append(options))
    Extractor(with_engine(PLAIN, "openvino-int8"), {"rgb": {}}, device=CPU)
    assert made[0]["engine"] == "openvino"
    assert made[0]["calibration"].sha256 == calibrated.sha256
    assert made[0]["dtype"] == torch.float32
    Extractor(PLAIN, {"rgb": {}}, device=CPU)
    assert (made[1]["engine"], made[1]["calibration"]) == ("torch", None)


def test_a_recipe_of_a_calibration_that_is_not_here_is_refused(monkeypatch, calibrated):
    monkeypatch.setattr(module, "make_backbone", lambda *a, **options: None)
    recipe = FeatureRecipe({"rgb": SHA}, engine="openvino", precision="int8", calibration={"rgb": "f" * 64})
    with pytest.raises(WeightsError, match="f" * 64):
        Extractor(recipe, {"rgb": {}}, device=CPU)
