"""Optical flow: the signature, the scaling, the rule at a video's end, and each algorithm on known motion."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.torch import load_file
from torch._subclasses.fake_tensor import FakeTensorMode

from extractors.errors import FeatureError, OptionError
from extractors.flow import (
    TVL1_PRESETS,
    DisConfig,
    OpenCvTvL1Config,
    RaftConfig,
    TvL1Config,
    encode_flow,
    flow_config,
    flow_recipe,
    make_flow,
    quantize_flow,
    snippet_flows,
)
from extractors.flow_raft import RaftFlow, pairs_at_once
from tests.extractors.flow_pictures import moving, texture
from weights.errors import WeightsError

RAFT_FILE = Path(__file__).parents[2] / "weights" / "raft_small.safetensors"
RAFT = RaftConfig(weights_sha256="0" * 64, n_updates=6)
# Coarse and quick, for tests of the plumbing; the known motion below is measured with the defaults.
QUICK_TVL1 = OpenCvTvL1Config(n_scales=3, n_warps=2, n_outer=2, n_inner=10, median_px=1)
ALGORITHMS = ("tvl1", "tvl1-opencv", "dis", "raft")


@pytest.fixture(scope="module")
def raft_tensors():
    return load_file(RAFT_FILE)


@pytest.fixture(scope="module")
def estimators(raft_tensors):
    return {
        "tvl1": make_flow(TvL1Config()),
        "tvl1-opencv": make_flow(OpenCvTvL1Config()),
        "dis": make_flow(DisConfig()),
        "raft": make_flow(RAFT, tensors=raft_tensors),
    }


# --- the algorithms on motion that is known -----------------------------------------------------------


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize(("shift_x", "shift_y"), [(3, 0), (-2, 4)])
def test_a_shifted_texture_has_that_shift_as_its_flow_in_x_y_order(estimators, name, shift_x, shift_y):
    flow = estimators[name](moving(2, shift_x, shift_y))
    assert flow.shape == (1, 2, 144, 144)
    assert flow.dtype == np.float32
    inner = flow[0, :, 16:-16, 16:-16]  # content enters and leaves at the border
    assert inner[0].mean() == pytest.approx(shift_x, abs=0.3)
    assert inner[1].mean() == pytest.approx(shift_y, abs=0.3)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_identical_frames_have_almost_no_flow(estimators, name):
    frame = texture(136, 160)
    flow = estimators[name](np.stack([frame, frame]))
    assert np.abs(flow).mean() < 0.1  # RAFT is a network and never says exactly 0
    if name.startswith("tvl1"):
        np.testing.assert_array_equal(flow, 0)


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("scene", ["cut", "grey", "black to white"])
def test_unrelated_and_empty_frames_give_finite_flow_within_the_bounds(estimators, name, scene):
    scenes = {
        "cut": [texture(128, 144, seed=1), texture(128, 144, seed=2)],
        "grey": [np.full((128, 144, 3), 127, np.uint8)] * 2,
        "black to white": [np.zeros((128, 144, 3), np.uint8), np.full((128, 144, 3), 255, np.uint8)],
    }
    # OpenCV iterates to its limit on a cut: the full schedule would prove nothing more.
    estimate = make_flow(QUICK_TVL1) if name == "tvl1-opencv" else estimators[name]
    flow = estimate(np.stack(scenes[scene]))
    assert np.isfinite(flow).all()
    assert np.abs(quantize_flow(flow)).max() <= 1


@pytest.mark.parametrize("name", ALGORITHMS)
def test_pieces_of_a_video_that_share_a_frame_give_the_flow_of_the_whole(estimators, raft_tensors, name):
    estimate = estimators[name] if name != "tvl1-opencv" else make_flow(QUICK_TVL1)
    frames = moving(4, 2, 1, size=128)
    whole = estimate(frames)
    pieces = np.concatenate([estimate(frames[:3]), estimate(frames[2:])])
    if name == "raft":  # a network's sums depend on the batch in their last bits
        np.testing.assert_allclose(pieces, whole, atol=1e-3)
    else:
        np.testing.assert_array_equal(pieces, whole)


@pytest.mark.parametrize("config", [TvL1Config(), QUICK_TVL1, DisConfig()])
def test_a_used_estimator_remembers_nothing(config):
    used = make_flow(config)
    used(moving(3, 5, 5, size=100, seed=3))
    frames = moving(2, 1, 0, size=64)
    np.testing.assert_array_equal(used(frames), make_flow(config)(frames))


@pytest.mark.parametrize("config", [TvL1Config(), QUICK_TVL1, DisConfig()])
def test_one_frame_has_no_pairs_and_is_not_an_error(config):
    assert make_flow(config)(moving(1, 0, 0, size=32)).shape == (0, 2, 32, 32)


def test_frames_that_are_not_contiguous_are_fine(estimators):
    frames = moving(2, 2, 0, size=136)[:, :, ::-1]
    for name in ALGORITHMS:
        flow = estimators[name](frames)
        assert flow[0, 0, 16:-16, 16:-16].mean() == pytest.approx(-2, abs=0.3)


# --- sizes ---------------------------------------------------------------------------------------------


@given(st.integers(1, 40), st.integers(1, 40))
def test_opencvs_tvl1_takes_frames_of_any_size(height, width):
    frames = np.stack([texture(height, width, 1), texture(height, width, 2)])
    flow = make_flow(OpenCvTvL1Config(n_warps=1, n_outer=1, n_inner=1))(frames)
    assert flow.shape == (1, 2, height, width)
    assert np.isfinite(flow).all()


@given(st.integers(4, 12), st.integers(0, 2), st.integers(0, 30), st.integers(0, 300), st.booleans())
def test_dis_takes_every_size_it_promises(patch_px, finest_scale, more, much_more, upright):
    least = patch_px << max(finest_scale, 1)
    size = (least + much_more, least + more) if upright else (least + more, least + much_more)
    config = DisConfig(patch_px=patch_px, finest_scale=finest_scale)
    frames = np.random.default_rng(0).integers(0, 256, (2, *size, 3), np.uint8)
    assert np.isfinite(make_flow(config)(frames)).all()


def test_dis_refuses_frames_that_are_too_small():
    with pytest.raises(OptionError, match="at least 16x16 pixels, not 200x15"):
        make_flow(DisConfig())(np.zeros((2, 15, 200, 3), np.uint8))


def test_raft_refuses_frames_that_are_too_small(estimators):
    with pytest.raises(OptionError, match="at least 128x128 pixels, not 340x127"):
        estimators["raft"](np.zeros((2, 127, 340, 3), np.uint8))


def test_raft_pads_sizes_that_are_no_multiple_of_8_and_crops_the_flow(estimators):
    frames = moving(2, 3, 1, size=144)[:, :133, :139]
    flow = estimators["raft"](frames)
    assert flow.shape == (1, 2, 133, 139)
    assert flow[0, 0, 16:-16, 16:-16].mean() == pytest.approx(3, abs=0.3)


def test_raft_takes_fewer_pairs_at_once_the_larger_the_frames():
    assert pairs_at_once(256, 340) == 6
    assert pairs_at_once(2160, 3840) == 1


def test_raft_chunks_give_the_flow_of_one_pass(estimators, monkeypatch):
    frames = moving(4, 2, 1, size=128)
    whole = estimators["raft"](frames)
    monkeypatch.setattr("extractors.flow_raft._CORRELATION_BYTES", 1)
    assert pairs_at_once(128, 128) == 1
    np.testing.assert_allclose(estimators["raft"](frames), whole, atol=1e-3)


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((2, 32, 32, 1), np.uint8),
        np.zeros((0, 32, 32, 3), np.uint8),
        np.zeros((2, 0, 32, 3), np.uint8),
    ],
)
def test_what_is_no_stack_of_rgb_frames_is_refused(frames):
    with pytest.raises((ValueError, TypeError)):  # the shape check of the tests may be first
        make_flow(DisConfig())(frames)


# --- scaling for I3D -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flow_px", "level", "scaled"),
    [
        (-20, 0, -1.0),
        (-1e30, 0, -1.0),
        (20, 255, 1.0),
        (1e30, 255, 1.0),
        (0, 128, 2 * 128 / 255 - 1),
        (10, 191, 2 * 191 / 255 - 1),  # 191.25
        (-10, 64, 2 * 64 / 255 - 1),  # 63.75
        (0.1, 128, 2 * 128 / 255 - 1),  # 128.1375
        (-0.1, 127, 2 * 127 / 255 - 1),  # 126.8625
    ],
)
def test_flow_becomes_8_bits_and_then_minus_one_to_one(flow_px, level, scaled):
    flow = np.array([flow_px], np.float32)
    assert encode_flow(flow).tolist() == [level]
    assert quantize_flow(flow)[0] == pytest.approx(scaled, abs=1e-7)
    assert quantize_flow(flow).dtype == np.float32


FLOWS = hnp.arrays(np.float32, st.integers(1, 40), elements=st.floats(-60, 60, width=32, allow_nan=False))


@given(FLOWS)
def test_scaled_flow_stays_within_half_a_level_of_the_clipped_flow(flow):
    scaled = quantize_flow(flow)
    assert np.abs(scaled).max() <= 1
    assert np.abs(scaled - np.clip(flow, -20, 20) / 20).max() <= 0.5 / 127.5 + 1e-6


@given(FLOWS)
def test_more_flow_never_becomes_less(flow):
    ordered = quantize_flow(np.sort(flow))
    assert (np.diff(ordered) >= 0).all()


@given(FLOWS)
def test_scaling_uses_the_256_levels_alone(flow):
    levels = (quantize_flow(flow).astype(np.float64) + 1) * 127.5
    np.testing.assert_allclose(levels, encode_flow(flow), atol=1e-4)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_flow_that_is_no_number_is_an_error_and_not_a_level(bad):
    with pytest.raises(FeatureError, match="NaN or infinity"):
        quantize_flow(np.array([1.0, bad], np.float32))


# --- a video's end ---------------------------------------------------------------------------------------


class CountingFlow:
    """Flow k is all k + 1, so that each one can be told from the others."""

    config = QUICK_TVL1

    def __call__(self, frames):
        n_frames, height, width = frames.shape[:3]
        numbers = np.arange(1, n_frames, dtype=np.float32)
        return np.broadcast_to(numbers[:, None, None, None], (n_frames - 1, 2, height, width)).copy()


@pytest.mark.parametrize(
    ("n_frames", "expected"),
    [
        (17, [*range(1, 17)]),  # the video goes on
        (16, [*range(1, 16), 15]),  # its last snippet
        (3, [1, 2] + [2] * 14),  # a last snippet that is short
        (1, [0] * 16),  # a video of one frame
    ],
)
def test_a_snippet_has_16_flows_and_repeats_the_last_one_at_the_end(n_frames, expected):
    frames = np.zeros((n_frames, 4, 6, 3), np.uint8)
    flow = snippet_flows(CountingFlow(), frames, 16)
    assert flow.shape == (16, 2, 4, 6)
    assert flow.dtype == np.float32
    assert flow[:, 0, 0, 0].tolist() == expected


@pytest.mark.parametrize("n_frames", [0, 18])
def test_a_snippet_of_no_frame_or_too_many_is_refused(n_frames):
    with pytest.raises(ValueError, match="frames"):
        snippet_flows(CountingFlow(), np.zeros((n_frames, 4, 6, 3), np.uint8), 16)


# --- configuration and recipe ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: TvL1Config(tau=0.0),
        lambda: TvL1Config(epsilon=-1.0),
        lambda: TvL1Config(n_warps=0),
        lambda: TvL1Config(n_inner=0),
        lambda: TvL1Config(scale_step=1.0),
        lambda: TvL1Config(median_px=4),
        lambda: TvL1Config(theta=float("nan")),
        lambda: OpenCvTvL1Config(tau=0.0),
        lambda: OpenCvTvL1Config(n_scales=0),
        lambda: OpenCvTvL1Config(gamma=-0.1),
        lambda: OpenCvTvL1Config(scale_step=0.0),
        lambda: OpenCvTvL1Config(median_px=2),
        lambda: DisConfig(finest_scale=-1),
        lambda: DisConfig(patch_px=2),
        lambda: DisConfig(stride_px=8),
        lambda: DisConfig(n_gradient=0),
        lambda: DisConfig(n_variational=-1),
        lambda: DisConfig(variational_alpha=-1.0),
        lambda: DisConfig(variational_epsilon=0.0),
        lambda: RaftConfig(weights_sha256="raft-small"),
        lambda: RaftConfig(weights_sha256="0" * 64, architecture="raft_huge"),
        lambda: RaftConfig(weights_sha256="0" * 64, n_updates=0),
    ],
)
def test_parameters_out_of_range_are_refused_by_name(make):
    with pytest.raises(OptionError, match=r"Config\.\w+ must be .+, not "):
        make()


def test_the_defaults_are_opencvs_own():
    """A change of OpenCV's defaults shows here, and does not change our features."""
    theirs = cv2.optflow.DualTVL1OpticalFlow.create()
    ours = OpenCvTvL1Config()
    assert (theirs.getTau(), theirs.getLambda(), theirs.getTheta()) == (
        ours.tau,
        ours.data_weight,
        ours.theta,
    )
    assert (theirs.getGamma(), theirs.getEpsilon()) == (ours.gamma, ours.epsilon)
    assert (theirs.getScalesNumber(), theirs.getScaleStep()) == (ours.n_scales, ours.scale_step)
    assert (theirs.getWarpingsNumber(), theirs.getMedianFiltering()) == (ours.n_warps, ours.median_px)
    assert (theirs.getOuterIterations(), theirs.getInnerIterations()) == (ours.n_outer, ours.n_inner)

    frames = moving(2, 2, 1, size=64)
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    medium = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    for algorithm, config in ((theirs, ours), (medium, DisConfig())):
        plain = algorithm.calc(*grey, None).transpose(2, 0, 1)
        np.testing.assert_array_equal(make_flow(config)(frames)[0], plain)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tau", 0.2),
        ("data_weight", 0.05),
        ("theta", 0.1),
        ("gamma", 0.1),
        ("n_scales", 1),
        ("scale_step", 0.5),
        ("n_warps", 1),
        ("epsilon", 0.5),
        ("n_outer", 1),
        ("n_inner", 3),
        ("median_px", 1),
    ],
)
def test_every_tvl1_parameter_changes_the_flow(name, value):
    frames = moving(2, 3, 2, size=64)
    kinds = [OpenCvTvL1Config] if name == "gamma" else [OpenCvTvL1Config, TvL1Config]
    for kind in kinds:
        assert (make_flow(kind(**{name: value}))(frames) != make_flow(kind())(frames)).any()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("finest_scale", 2),
        ("patch_px", 12),
        ("stride_px", 5),
        ("n_gradient", 1),
        ("n_variational", 1),
        ("variational_alpha", 1.0),
        ("variational_delta", 1.0),
        ("variational_gamma", 1.0),
        ("variational_epsilon", 1.0),
        ("mean_normalization", False),
        ("spatial_propagation", False),
    ],
)
def test_every_dis_parameter_changes_the_flow(name, value):
    frames = moving(2, 3, 2, size=96)
    assert (make_flow(DisConfig(**{name: value}))(frames) != make_flow(DisConfig())(frames)).any()


@pytest.mark.parametrize("config", [TvL1Config(), OpenCvTvL1Config(), DisConfig(), RAFT])
def test_the_recipe_names_the_algorithm_every_parameter_and_the_scaling(config):
    recipe = flow_recipe(config)
    assert recipe["algorithm"] in ALGORITHMS
    assert {name: recipe[name] for name in config.__dataclass_fields__} == {
        name: getattr(config, name) for name in config.__dataclass_fields__
    }
    assert {"bound_px", "levels", "rounding", "last_flow"} <= recipe.keys()
    assert json.loads(json.dumps(recipe)) == recipe


def test_algorithms_are_chosen_by_name_with_the_fields_defaults():
    assert flow_config("tvl1") == TvL1Config()
    assert flow_config("tvl1", preset="fast") == TVL1_PRESETS["fast"]
    assert flow_config("tvl1-opencv") == OpenCvTvL1Config()
    assert flow_config("dis") == DisConfig()
    chosen = flow_config("raft", weights_sha256="a" * 64, architecture="raft_large")
    assert chosen == RaftConfig("a" * 64, architecture="raft_large")
    with pytest.raises(OptionError, match="weights_sha256 must be 64 hexadecimal digits, not ''"):
        flow_config("raft")
    with pytest.raises(OptionError, match="'farneback' is not an optical flow algorithm") as caught:
        flow_config("farneback")
    assert "tvl1, tvl1-opencv, dis, raft" in caught.value.hint
    with pytest.raises(OptionError, match="'slow' is not a preset of tvl1"):
        flow_config("tvl1", preset="slow")
    with pytest.raises(OptionError, match="dis has no presets"):
        flow_config("dis", preset="fast")


def test_reading_a_recipe_loads_neither_torch_nor_opencv():
    code = (
        "import sys, extractors.flow as f; f.flow_recipe(f.TvL1Config());"
        "sys.exit(' '.join({'torch', 'cv2', 'numba'} & sys.modules.keys()) or 0)"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (0, "")


def test_every_preset_and_the_reference_have_recipes_of_their_own():
    configs = [*TVL1_PRESETS.values(), OpenCvTvL1Config()]
    assert len({json.dumps(flow_recipe(config)) for config in configs}) == len(configs) == 3


def test_two_raft_checkpoints_have_two_recipes():
    assert flow_recipe(RaftConfig("0" * 64)) != flow_recipe(RaftConfig("1" * 64))


def test_raft_without_weights_and_weights_without_raft_are_refused(raft_tensors):
    with pytest.raises(OptionError, match="needs weights"):
        make_flow(RAFT)
    with pytest.raises(OptionError, match="tvl1-opencv takes no weights"):
        make_flow(OpenCvTvL1Config(), tensors=raft_tensors)


def test_raft_refuses_weights_of_another_architecture(raft_tensors):
    with pytest.raises(WeightsError, match="raft_small, not of raft_large"):
        make_flow(RaftConfig("0" * 64, architecture="raft_large"), tensors=raft_tensors)


def test_making_raft_draws_no_random_numbers(raft_tensors):
    before = torch.get_rng_state()
    make_flow(RAFT, tensors=raft_tensors)
    assert torch.equal(torch.get_rng_state(), before)


# --- a GPU, without one ----------------------------------------------------------------------------------


def fake_forward(monkeypatch, raft_tensors, *, network_device, frames_device):
    """The device that RAFT's flow lies on, computed with tensors that have a device and no memory."""
    # Looking for NaN reads numbers, which fake tensors do not have.
    monkeypatch.setattr("extractors.flow_raft.check_raft_tensors", lambda tensors, origin: "raft_small")
    # cuDNN's grid_sample has no fake version; PyTorch's own has one, and the same devices.
    with FakeTensorMode(), torch.backends.cudnn.flags(enabled=False):
        tensors = {name: torch.empty(value.shape) for name, value in raft_tensors.items()}
        estimate = RaftFlow(RAFT, device=network_device, tensors=tensors)
        frames = torch.zeros((3, 3, 133, 144), dtype=torch.uint8, device=frames_device)
        flow = estimate.forward(frames)
        assert flow.shape == (2, 2, 133, 144)
        return flow.device.type


def test_raft_runs_on_cuda_without_mixing_devices(monkeypatch, raft_tensors):
    assert fake_forward(monkeypatch, raft_tensors, network_device="cuda", frames_device="cuda") == "cuda"


def test_the_fake_device_would_notice_a_mix(monkeypatch, raft_tensors):
    with pytest.raises(RuntimeError, match="device"):
        fake_forward(monkeypatch, raft_tensors, network_device="cuda", frames_device="cpu")


@pytest.mark.gpu
def test_raft_on_a_gpu_agrees_with_the_processor(raft_tensors, cuda_device):
    frames = moving(5, 3, 1, size=144)
    gpu = make_flow(RAFT, device=cuda_device, tensors=raft_tensors)(frames)
    assert np.abs(gpu - make_flow(RAFT, tensors=raft_tensors)(frames)).mean() < 0.02  # TF32 convolutions
