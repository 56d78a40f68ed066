"""An extractor's description that is sent to where its files are not."""

import pickle

import numpy as np
import pytest

from extractors import features
from extractors.batch.source import ExtractorSpec, Seat
from extractors.calibration import Calibration, save_calibration
from extractors.engines import with_engine
from extractors.recipe import FeatureRecipe
from tests.cli_tools import KINETICS_WEIGHTS
from weights.errors import WeightsError
from weights.registry import entry


@pytest.fixture
def calibrated():
    """A calibration that a person made of the default weights; it lies in this machine's weights folder."""
    made = Calibration(
        entry(KINETICS_WEIGHTS).sha256, {"input": (-2.0, 1.0)}, {"unit": np.zeros(2, np.float32)}
    )
    save_calibration(made)
    return made


def test_a_calibration_travels_with_its_weights(calibrated, monkeypatch, tmp_path):
    recipe = with_engine(FeatureRecipe({"rgb": calibrated.weights}), "openvino-int8")
    spec = ExtractorSpec(recipe, {"rgb": KINETICS_WEIGHTS}, device="cpu")
    sent = pickle.dumps(spec.sent())
    monkeypatch.setenv("ASCNET_WEIGHTS", str(tmp_path / "of another machine"))
    made = []
    monkeypatch.setattr(features, "make_backbone", lambda *_args, **options: made.append(options))
    with pytest.raises(WeightsError, match=calibrated.sha256):
        spec.build(Seat(0, 1))  # by its files alone it cannot be made there
    pickle.loads(sent).build(Seat(0, 1))  # noqa: S301 - as it is sent
    assert made[0]["calibration"].sha256 == calibrated.sha256


def test_without_8_bits_nothing_more_is_sent():
    spec = ExtractorSpec(FeatureRecipe({"rgb": entry(KINETICS_WEIGHTS).sha256}), {"rgb": KINETICS_WEIGHTS})
    assert spec.sent().calibrations == {}
