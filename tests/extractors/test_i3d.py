"""I3D: parity with a plain forward pass, and a stream that equals one pass over the whole video."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode

from extractors.errors import OptionError
from extractors.i3d import I3D, I3DStream, load_i3d, same_padding
from extractors.snippets import DENSE
from weights.architecture import i3d_shapes
from weights.store import load

CPU = torch.device("cpu")


def pad_same(x, kernel, stride, value):
    """TensorFlow's rule, written out for each axis on its own."""
    for axis in (2, 3, 4):
        length, k, s = x.shape[axis], kernel[axis - 2], stride[axis - 2]
        total = max((math.ceil(length / s) - 1) * s + k - length, 0)
        pads = [0, 0, 0, 0, 0, 0]
        pads[2 * (4 - axis)], pads[2 * (4 - axis) + 1] = total // 2, total - total // 2
        x = F.pad(x, pads, value=value)
    return x


def reference(tensors, x, upto=None):
    """The published graph, one plain operation after the other; pools ignore what lies outside."""

    def unit(x, name, stride=(1, 1, 1)):
        weight = tensors[f"{name}.weight"]
        x = pad_same(x, weight.shape[2:], stride, 0.0)
        return torch.relu(F.conv3d(x, weight, tensors[f"{name}.bias"], stride))

    def pool(x, kernel, stride):
        return F.max_pool3d(pad_same(x, kernel, stride, -math.inf), kernel, stride)

    def mixed(x, name):
        one = unit(unit(x, f"{name}.b1a"), f"{name}.b1b")
        two = unit(unit(x, f"{name}.b2a"), f"{name}.b2b")
        three = unit(pool(x, (3, 3, 3), (1, 1, 1)), f"{name}.b3b")
        return torch.cat((unit(x, f"{name}.b0"), one, two, three), 1)

    x = pool(unit(x, "conv3d_1a_7x7", (2, 2, 2)), (1, 3, 3), (1, 2, 2))
    x = pool(unit(unit(x, "conv3d_2b_1x1"), "conv3d_2c_3x3"), (1, 3, 3), (1, 2, 2))
    x = pool(mixed(mixed(x, "mixed_3b"), "mixed_3c"), (3, 3, 3), (2, 2, 2))
    for letter in "bcdef":
        x = mixed(x, f"mixed_4{letter}")
    x = pool(x, (2, 2, 2), (2, 2, 2))
    x = mixed(mixed(x, "mixed_5b"), "mixed_5c")
    if upto == "map":
        return x
    pooled = F.avg_pool3d(x, (2, 7, 7), 1)
    logits = F.conv3d(pooled, tensors["logits.weight"], tensors["logits.bias"])
    return pooled.mean((2, 3, 4)), logits.mean((2, 3, 4))


def relative_error(found, wanted):
    return ((found - wanted).norm() / wanted.norm()).item()


@pytest.fixture(scope="module")
def small():
    """The real structure, an eighth as wide."""
    torch.manual_seed(3)
    network = I3D("rgb", width_divisor=8, n_classes=12).eval().requires_grad_(False)
    for name, parameter in network.named_parameters():
        if name.endswith("weight"):
            torch.nn.init.kaiming_normal_(parameter)
        else:
            torch.nn.init.normal_(parameter, std=0.1)
    return network


@pytest.fixture(scope="module")
def shipped():
    tensors = load("i3d-rgb-kinetics400").tensors
    return tensors, load_i3d(dict(tensors), stream="rgb", device=CPU)


@pytest.mark.parametrize("stream", ["rgb", "flow"])
def test_names_and_shapes_are_the_canonical_ones(stream):
    with torch.device("meta"):
        state = I3D(stream).state_dict()
    assert {name: tuple(t.shape) for name, t in state.items()} == dict(i3d_shapes(stream))


@pytest.mark.parametrize("kernel", [1, 2, 3, 7])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("length", [1, 2, 7, 8, 15, 16])
def test_same_padding_gives_ceil_of_length_over_stride(length, kernel, stride):
    before, after = same_padding(length, kernel, stride)
    assert 0 <= after - before <= 1
    assert (length + before + after - kernel) // stride + 1 == math.ceil(length / stride)


@pytest.mark.parametrize("shape", [(16, 224, 224), (17, 64, 96), (13, 50, 70), (9, 63, 65), (64, 32, 32)])
def test_feature_map_equals_the_plain_graph(small, shape):
    clip = torch.rand(1, 3, *shape) * 2 - 1
    found, wanted = small.feature_map(clip), reference(small.state_dict(), clip, upto="map")
    assert found.shape == wanted.shape
    assert relative_error(found, wanted) < 1e-5


def test_features_and_logits_of_the_shipped_weights_equal_the_plain_graph(shipped):
    tensors, network = shipped
    clip = torch.rand(1, 3, 32, 224, 224) * 2 - 1  # four positions: the head's pool is more than a mean
    with torch.inference_mode():
        features, logits = network(clip)
        wanted_features, wanted_logits = reference(tensors, clip)
    assert features.shape == (1, 1024)
    assert logits.shape == (1, 400)
    assert relative_error(features, wanted_features) < 1e-4
    assert relative_error(logits, wanted_logits) < 1e-4


def test_flow_stream_runs():
    torch.manual_seed(0)
    network = I3D("flow", width_divisor=8).eval()
    features, logits = network(torch.rand(2, 2, 16, 32 * 7, 32 * 7))
    assert features.shape == (2, network.dim)
    assert logits.shape == (2, 400)


def run_stream(network, frames, lengths):
    stream, rows, start = I3DStream(network), [], 0
    for index, length in enumerate(lengths):
        out = stream.push(frames[:, start : start + length], last=index == len(lengths) - 1)
        start += length
        if len(out):
            rows.append(out)
    assert start == frames.shape[1]
    return torch.cat(rows)


@settings(max_examples=25)
@given(data=st.data())
def test_a_stream_equals_one_pass_wherever_it_is_cut(small, data):
    """No seam can be seen in dense features, because there are no chunks with borders."""
    n_frames = 8 * data.draw(st.integers(1, 14), label="positions")
    cuts = sorted(data.draw(st.sets(st.integers(1, max(n_frames - 1, 1)), max_size=6), label="cuts"))
    bounds = [0, *(cut for cut in cuts if cut < n_frames), n_frames]
    frames = torch.rand(3, n_frames, 32, 32) * 2 - 1
    whole = small.feature_map(frames.unsqueeze(0)).mean((3, 4))[0].T
    streamed = run_stream(small, frames, [b - a for a, b in itertools.pairwise(bounds)])
    assert streamed.shape == whole.shape
    assert relative_error(streamed, whole) < 1e-5


def test_a_seam_would_be_seen(small):
    """The test above can fail: separate chunks without context differ by far more."""
    frames = torch.rand(3, 64, 32, 32) * 2 - 1
    whole = small.feature_map(frames.unsqueeze(0)).mean((3, 4))[0].T
    chunks = [run_stream(small, frames[:, start : start + 32], [32]) for start in (0, 32)]
    assert relative_error(torch.cat(chunks), whole) > 1e-2


@pytest.mark.slow
def test_a_stream_of_the_shipped_weights_equals_one_pass(shipped):
    _, network = shipped
    frames = torch.rand(3, 48, 224, 224) * 2 - 1
    with torch.inference_mode():
        whole = network.feature_map(frames.unsqueeze(0)).mean((3, 4))[0].T
    assert relative_error(run_stream(network, frames, [32, 16]), whole) < 1e-5


def test_the_dense_grid_lies_where_the_network_looks(small):
    """Composing kernels, strides and padding gives the frame that a row's receptive field is centred on."""
    position = 0.0  # of row 0, walked back from the last operator to the frames
    for stage in reversed(small.stages()):
        before, _ = same_padding(2 * stage.kernel, stage.kernel, stage.stride)
        position = position * stage.stride - before + (stage.kernel - 1) / 2
    middle_s = (position + 0.5) / DENSE.fps  # a frame is shown for one grid step
    assert DENSE.centres_s(1)[0] == pytest.approx(middle_s, abs=1e-12)


def test_a_stream_ends_on_a_whole_position(small):
    with pytest.raises(OptionError, match="multiple of 8"):
        I3DStream(small).push(torch.zeros(3, 12, 32, 32), last=True)


def test_a_stream_keeps_little(small):
    """What is kept between pieces does not grow with the video."""
    stream = I3DStream(small)
    kept = []
    for _ in range(12):
        stream.push(torch.rand(3, 16, 32, 32))
        kept.append(sum(tail.numel() for tail in stream._tails if tail is not None))
    assert max(kept[6:]) == max(kept[:6])


def test_devices_do_not_mix_on_cuda():
    """Without a card: fake tensors on "cuda" raise when devices are mixed."""
    with FakeTensorMode():
        with torch.device("cuda"):
            network = I3D("rgb").eval()
            frames = torch.rand(3, 32, 224, 224)
        features, logits = network(frames.unsqueeze(0))
        assert features.device.type == logits.device.type == "cuda"
        stream = I3DStream(network)
        assert stream.push(frames[:, :16]).device.type == "cuda"
        assert stream.push(frames[:, 16:], last=True).device.type == "cuda"


def test_a_device_mix_up_would_be_seen():
    with FakeTensorMode():
        with torch.device("cuda"):
            network = I3D("rgb").eval()
        with pytest.raises(RuntimeError, match="device"):
            network(torch.rand(1, 3, 16, 224, 224, device="cpu"))
