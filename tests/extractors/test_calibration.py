"""Rounding to 8 bits: the grid, the bounds, the correction of the means, and the file."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from extractors import calibration as module
from extractors.calibrate import (
    _Calibrator,
    _evenly,
    _Pair,
    calibrate,
    channel_scales,
    rounded,
    rounded_weight,
    snippets_of,
)
from extractors.calibration import (
    INPUT,
    Calibration,
    equalized,
    find_calibration,
    load_calibration,
    made_by,
    read_by,
    save_calibration,
    weight_parts,
)
from extractors.errors import OptionError, VideoError
from extractors.i3d import I3D
from tests.synthetic import make_video
from weights.architecture import i3d_units
from weights.errors import WeightsError
from weights.registry import entry
from weights.store import load

MADE = Calibration(
    "a" * 64,
    {"input": (-1.0, 1.0)},
    {"unit": np.array([0.5, -0.25], np.float32)},
    {"unit": np.array([2.0, 0.5], np.float32)},
)


@given(
    x=arrays(np.float32, 20, elements=st.floats(-3, 3, width=32)),
    high=st.floats(0.125, 2, width=32),
)
def test_rounding_is_to_the_nearest_of_256_values(x, high):
    found = rounded(torch.from_numpy(x), 0.0, high).numpy()
    levels = np.linspace(0, high, 256)
    nearest = np.abs(np.clip(x, 0, high)[:, None] - levels).min(axis=1)
    np.testing.assert_allclose(np.abs(found - np.clip(x, 0, high)), nearest, atol=1e-5)


@pytest.mark.parametrize(("kernel", "finer"), [(1, 254), (3, 1), (7, 254)])
def test_a_weight_is_rounded_for_each_output_channel_on_its_own(kernel, finer):
    """Kernels of 3 in one part; the others in two, which is 254 times finer."""
    scale = torch.tensor([1e-3, 1.0, 50.0, 0.0]).view(4, 1, 1, 1, 1)
    weight = torch.randn(4, 30, kernel, kernel, kernel) * scale
    found = rounded_weight(weight)
    for channel in range(4):
        step = weight[channel].abs().max().item() / 127
        lost = (found[channel] - weight[channel]).abs().max().item()
        assert lost <= step / 2 / finer * 1.01
        assert lost > step / 8 / finer or step == 0
    for part, bound in weight_parts(weight.numpy()):
        levels = part / np.maximum(bound, 1e-12) * 127
        np.testing.assert_allclose(levels, np.rint(levels), atol=1e-3)
        assert np.abs(levels).max() <= 127.001


def test_scales_make_channels_and_the_weights_that_read_them_alike():
    largest = torch.tensor([1.0, 2.0, 4.0, 1e-9, 1e9])
    coarse = [torch.ones(2, 5, 1, 1, 1), torch.rand(3, 5, 3, 3, 3)]  # rounded to 8 bits: halfway
    scale = channel_scales(largest, coarse)
    torch.testing.assert_close(scale[:3] / scale[1], torch.tensor([0.5, 1.0, 2.0]).sqrt())
    assert scale.max() <= 8
    assert scale.min() >= 1 / 8
    fine = channel_scales(largest, coarse[:1])  # two parts: nearer to the channels
    assert fine[2] / fine[1] == pytest.approx(2**0.75)
    read_more = channel_scales(largest, [coarse[0] * torch.tensor([1, 1, 16.0, 1, 1]).view(1, 5, 1, 1, 1)])
    assert read_more[2] / read_more[1] == pytest.approx(2**0.75 / 2)


def test_an_equalized_network_is_the_same_network():
    torch.manual_seed(0)
    network = I3D("rgb", width_divisor=16).eval().requires_grad_(False)
    tensors = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    scales = {
        tensor: np.exp(np.random.default_rng(len(tensor)).uniform(-1, 1, n_channels)).astype(np.float32)
        for tensor in read_by()
        if tensor != INPUT
        for n_channels in [sum(len(tensors[f"{unit}.bias"]) for unit in made_by(tensor))]
    }
    clip = torch.rand(1, 3, 16, 32, 32)
    wanted, _ = network(clip)
    network.load_state_dict({n: torch.from_numpy(a) for n, a in equalized(tensors, scales).items()})
    found, _ = network(clip)
    assert len(scales) == 29
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)


def test_the_shift_gives_back_the_mean_that_rounding_took():
    tensors = {"unit.weight": torch.randn(6, 3, 1, 1, 1), "unit.bias": torch.rand(6) + 5}
    clips = torch.rand(2, 3, 2, 8, 8)
    coarse = rounded(clips + 0.2, 0.0, 1.2)
    run = _Calibrator(tensors)
    out = run.unit(_Pair(clips, coarse), "unit")
    assert out.exact.min() > 0  # the ReLU cuts nothing off here, so the means are those before it
    torch.testing.assert_close(out.rounded.mean((0, 2, 3, 4)), out.exact.mean((0, 2, 3, 4)))
    assert np.abs(run.shifts["unit"]).max() > 0.01


def test_no_clips_are_refused():
    with pytest.raises(OptionError, match="at least one"):
        calibrate("a" * 64, {}, torch.zeros(0, 3, 16, 224, 224))


@given(n_clips=st.integers(0, 300), n=st.integers(1, 20))
def test_snippets_are_taken_evenly(n_clips, n):
    clips = [np.full((16, 1, 1, 3), i % 256, np.uint8) for i in range(n_clips)]
    found = [id(clip) for clip in _evenly(iter(clips), n)]
    places = [[id(clip) for clip in clips].index(one) for one in found]
    assert len(found) == min(n, n_clips)
    assert places == sorted(set(places))
    if n_clips > 4 * n > 4:
        assert places[-1] >= n_clips / 2 - 2 * n_clips / n


def test_snippets_come_from_all_videos_and_are_scaled(tmp_path):
    videos = [make_video(tmp_path / f"{i}.mp4", n_frames=40) for i in range(2)]
    clips = snippets_of(videos, 3)
    assert clips.shape == (3, 3, 16, 224, 224)
    assert -1 <= clips.min() < -0.5
    assert 0.5 < clips.max() <= 1
    (tmp_path / "bad.mp4").write_bytes(b"nothing")
    with pytest.raises(VideoError):
        snippets_of([tmp_path / "bad.mp4"], 3)
    with pytest.raises(OptionError, match="snippet"):
        snippets_of([make_video(tmp_path / "short.mp4", n_frames=5)], 3)


def test_a_file_comes_back_as_it_was_and_knows_its_hash():
    path = save_calibration(MADE)
    again = load_calibration(path)
    assert again.weights == MADE.weights
    assert again.ranges == MADE.ranges
    np.testing.assert_array_equal(again.shifts["unit"], MADE.shifts["unit"])
    np.testing.assert_array_equal(again.scales["unit"], MADE.scales["unit"])
    assert again.sha256 == MADE.sha256
    assert find_calibration("a" * 64).sha256 == MADE.sha256
    assert find_calibration("a" * 64, sha256=MADE.sha256).weights == "a" * 64


def test_what_is_not_there_is_named():
    with pytest.raises(WeightsError, match="b" * 64):
        find_calibration("b" * 64)
    save_calibration(MADE)
    with pytest.raises(WeightsError, match="c" * 64):
        find_calibration("a" * 64, sha256="c" * 64)


@pytest.mark.parametrize("content", [b"", b"no file", MADE.to_bytes()[:-3]])
def test_a_damaged_file_is_refused(tmp_path, content):
    path = tmp_path / "damaged.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="damaged"):
        load_calibration(path)


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    path.write_bytes(module.safetensors_bytes({"x": np.zeros(2, np.float32)}, {"format": "pt"}))
    with pytest.raises(WeightsError, match="no calibration"):
        load_calibration(path)


@pytest.mark.parametrize("pair", [(1.0, 1.0), (0.0, float("inf")), (float("nan"), 1.0)])
def test_ranges_that_are_none_are_refused(pair):
    with pytest.raises(ValueError, match="values from"):
        Calibration("a" * 64, {"x": pair}, {})


@pytest.mark.parametrize("scale", [0.0, -1.0, float("inf"), float("nan")])
def test_scales_that_are_none_are_refused(scale):
    with pytest.raises(ValueError, match="positive"):
        Calibration("a" * 64, {}, {}, {"x": np.array([1.0, scale], np.float32)})


def test_the_shipped_weights_have_a_calibration_and_it_is_whole():
    known = entry("i3d-rgb-kinetics400")
    found = find_calibration(known.sha256)
    tensors = load(known.name).tensors
    assert set(found.shifts) == set(i3d_units("rgb")) - {"logits"}
    for unit, shift in found.shifts.items():
        assert shift.shape == tensors[f"{unit}.bias"].shape
    # All tensors are rounded but that of the stem and the last one.
    assert set(read_by()) - set(found.ranges) == {"conv3d_1a_7x7"}
    assert set(found.ranges) <= set(read_by())
