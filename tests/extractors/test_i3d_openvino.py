"""I3D on OpenVINO: the same features as on PyTorch, in snippets and dense, in float32 and in 8 bits."""

import threading

import numpy as np
import pytest
import torch

from extractors import i3d_openvino
from extractors.calibrate import calibrate, snippets_of
from extractors.calibration import find_calibration
from extractors.errors import OptionError
from extractors.i3d import I3D, I3DStream, load_i3d
from extractors.i3d_openvino import OpenVinoBackbone
from extractors.lanes import LaneClips, Lanes
from weights.store import load

openvino = pytest.importorskip("openvino", reason="the extra `openvino` is not installed")


@pytest.fixture(scope="module")
def network():
    """The real structure, an eighth as wide, with activations of about the same size everywhere."""
    torch.manual_seed(3)
    network = I3D("rgb", width_divisor=8, n_classes=12).eval().requires_grad_(False)
    for name, parameter in network.named_parameters():
        if name.endswith("weight"):
            torch.nn.init.kaiming_normal_(parameter)
        else:
            torch.nn.init.normal_(parameter, std=0.05)
    return network


@pytest.fixture(scope="module")
def clips():
    """Smooth, as pictures are."""
    torch.manual_seed(4)
    small = torch.rand(3, 3, 5, 12, 12) * 2 - 1
    return torch.nn.functional.interpolate(small, (16, 224, 224), mode="trilinear")


@pytest.fixture(scope="module")
def backbone(network):
    return OpenVinoBackbone("rgb", network.state_dict())


def relative_error(found, wanted):
    return ((found - wanted).norm() / wanted.norm()).item()


def test_snippets_are_those_of_pytorch(network, backbone, clips):
    features, logits = backbone.snippets(clips[:2])
    wanted_features, wanted_logits = network(clips[:2])
    assert relative_error(features, wanted_features) < 1e-5
    assert relative_error(logits, wanted_logits) < 1e-5


def test_a_stream_is_that_of_pytorch_wherever_it_is_cut(network, backbone, clips):
    frames = torch.cat((clips[0], clips[1]), dim=1)[:, :24]
    wanted = I3DStream(network).push(frames, last=True)
    stream = backbone.stream()
    found = torch.cat(
        [rows for rows in (stream.push(frames[:, :10]), stream.push(frames[:, 10:], last=True)) if len(rows)]
    )
    assert found.shape == wanted.shape
    assert relative_error(found, wanted) < 1e-5


@pytest.mark.slow
def test_eight_bits_are_near_and_are_eight_bits(network, clips):
    calibration = calibrate("a" * 64, network.state_dict(), clips[:2])
    coarse = OpenVinoBackbone("rgb", network.state_dict(), calibration)
    found, _ = coarse.snippets(clips[2:])
    wanted, _ = network(clips[2:])
    cosine = torch.nn.functional.cosine_similarity(found, wanted).item()
    assert 0.99 < cosine < 1 - 1e-7
    dense = coarse.stream().push(clips[2][:, :16], last=True)
    wanted = I3DStream(network).push(clips[2][:, :16], last=True)
    assert torch.nn.functional.cosine_similarity(dense, wanted).min() > 0.98


def test_threads_do_not_disturb_each_other(backbone, clips):
    pictures = [((clip + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 3, 0).numpy() for clip in clips]
    with Lanes(1) as lanes:
        alone = [LaneClips(backbone, lanes).submit(clip).result() for clip in pictures]
    with Lanes(3) as lanes:
        runner = LaneClips(backbone, lanes)
        together = [runner.submit(clip) for clip in pictures * 3]
        for index, row in enumerate(together):
            np.testing.assert_array_equal(row.result(), alone[index % 3])
    assert threading.active_count() < 50


def test_where_it_is_missing_the_extra_is_named(monkeypatch, network):
    monkeypatch.setattr(i3d_openvino.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(OptionError, match="not installed") as raised:
        OpenVinoBackbone("rgb", network.state_dict())
    assert "ascnet[openvino]" in raised.value.hint


@pytest.mark.slow
def test_the_shipped_calibration_is_near_on_real_snippets(data_folder):
    """As the bench does on 500 of them."""
    loaded = load("i3d-rgb-kinetics400")
    clips = snippets_of(sorted((data_folder / "trimmed" / "YoYo").glob("*"))[4:6], 4)
    exact = OpenVinoBackbone("rgb", loaded.tensors)
    coarse = OpenVinoBackbone("rgb", loaded.tensors, find_calibration(loaded.sha256))
    cosine = torch.nn.functional.cosine_similarity(exact.snippets(clips)[0], coarse.snippets(clips)[0])
    assert cosine.min() > 0.999
    torch_features, _ = load_i3d(dict(loaded.tensors), stream="rgb", device=torch.device("cpu"))(clips)
    assert relative_error(exact.snippets(clips)[0], torch_features) < 1e-4
