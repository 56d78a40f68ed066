"""The default model: smoothing, pooling, and the head at each row."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ascnet_cli.config_kinetics import KINETICS400, KineticsConfig
from ascnet_cli.errors import FeatureError
from ascnet_cli.model.kinetics import KineticsModel, moving_mean, peak_mean, softmax
from extractors.i3d import load_i3d
from weights.registry import class_names, entry
from weights.store import load

rows = hnp.arrays(np.float64, st.tuples(st.integers(1, 30), st.integers(1, 4)), elements=st.floats(-50, 50))


def test_moving_mean_by_hand():
    values = np.array([[1.0], [2.0], [6.0], [7.0]])
    np.testing.assert_allclose(moving_mean(values, 3)[:, 0], [1.5, 3.0, 5.0, 6.5])


@given(rows, st.sampled_from([1, 3, 5, 7, 99]))
def test_moving_mean_is_the_mean_of_the_rows_that_exist(values, width):
    half = width // 2
    for index, mean in enumerate(moving_mean(values, width)):
        wanted = values[max(index - half, 0) : index + half + 1].mean(axis=0)
        np.testing.assert_allclose(mean, wanted, atol=1e-9)


@given(rows)
def test_softmax_is_a_distribution_that_keeps_the_order(values):
    found = softmax(values)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_array_equal(found.max(axis=1), found[np.arange(len(found)), values.argmax(axis=1)])


def test_peak_mean_by_hand():
    cas = np.array([[0.1, 0.9], [0.8, 0.2], [0.6, 0.3], [0.2, 0.4]])
    np.testing.assert_allclose(peak_mean(cas, 2), [0.7, 0.65])
    np.testing.assert_allclose(peak_mean(cas, 9), cas.mean(axis=0))  # all that there are


@pytest.fixture(scope="module")
def model():
    loaded = load(KINETICS400.weights)
    return KineticsModel(
        weight=loaded.tensors["logits.weight"].numpy().reshape(400, 1024),
        bias=loaded.tensors["logits.bias"].numpy(),
        labels=class_names(entry(KINETICS400.weights)),
        config=KINETICS400,
    )


def test_the_head_at_a_row_is_the_networks_own(model):
    network = load_i3d(dict(load(KINETICS400.weights).tensors), stream="rgb", device=torch.device("cpu"))
    features = np.random.default_rng(0).uniform(0, 1, (5, 1024)).astype(np.float32)
    with torch.inference_mode():
        wanted = network.classify(torch.from_numpy(features.T[None]))[0].T.numpy()
    np.testing.assert_allclose(model.logits(features), wanted, rtol=1e-5, atol=1e-5)


def test_scores_are_those_of_400_classes_without_attention(model):
    features = np.random.default_rng(0).uniform(0, 1, (12, 1024)).astype(np.float32)
    scores = model.score(features)
    assert scores.cas.shape == (12, 400)
    np.testing.assert_allclose(scores.cas.sum(axis=1), 1, atol=1e-5)
    assert not scores.attention.any()
    assert scores.labels[0] == "abseiling"


def test_features_of_another_width_are_refused(model):
    with pytest.raises(FeatureError, match="1024"):
        model.score(np.zeros((3, 2048), np.float32))


@pytest.mark.parametrize("wrong", [{"smooth_rows": 4}, {"smooth_rows": 0}, {"peak_rows": 0}])
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        dataclasses.replace(KINETICS400, **wrong)
    assert isinstance(KINETICS400, KineticsConfig)
