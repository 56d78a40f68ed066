"""Two networks behind one signature."""

import warnings

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from extractors.backbones import I3DBackbone, make_backbone
from extractors.errors import OptionError
from extractors.i3d import I3D
from weights.errors import WeightsError
from weights.store import load

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def published_r50():
    """pytorchvideo's own i3d_r50 with random weights."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pytorchvideo.models.hub import i3d_r50
    torch.manual_seed(5)
    return i3d_r50(pretrained=False).eval()


@pytest.mark.slow
def test_r50_gives_2048_features_and_the_published_logits(published_r50):
    backbone = make_backbone("i3d_r50", "rgb", dict(published_r50.state_dict()), device=CPU)
    clips = backbone.pixels(torch.randint(0, 256, (16, 224, 224, 3), dtype=torch.uint8)).unsqueeze(0)
    features, logits = backbone.snippets(clips)
    with torch.inference_mode():
        wanted = published_r50(clips.contiguous())
    assert features.shape == (1, 2048)
    torch.testing.assert_close(logits, wanted, rtol=1e-4, atol=1e-5)


def test_r50_takes_weights_without_step_counters(published_r50):
    state = {n: t for n, t in published_r50.state_dict().items() if not n.endswith("num_batches_tracked")}
    assert make_backbone("i3d_r50", "rgb", state, device=CPU).dim == 2048


def test_r50_scales_pixels_as_it_was_trained(published_r50):
    backbone = make_backbone("i3d_r50", "rgb", dict(published_r50.state_dict()), device=CPU)
    scaled = backbone.pixels(torch.tensor([0, 255], dtype=torch.uint8).view(1, 1, 2, 1).expand(1, 1, 2, 3))
    torch.testing.assert_close(scaled[0].flatten(), torch.tensor([-0.45 / 0.225, 0.55 / 0.225]))


def test_r50_has_no_dense_context_and_no_flow(published_r50):
    backbone = make_backbone("i3d_r50", "rgb", dict(published_r50.state_dict()), device=CPU)
    with pytest.raises(OptionError, match="dense"):
        backbone.stream()
    with pytest.raises(OptionError, match="flow"):
        make_backbone("i3d_r50", "flow", {}, device=CPU)


def test_unknown_names_are_refused():
    with pytest.raises(OptionError, match="c3d"):
        make_backbone("c3d", "rgb", {}, device=CPU)


def test_weights_of_another_network_are_refused(published_r50):
    with pytest.raises(WeightsError, match=r"not those of i3d \(rgb\)"):
        make_backbone("i3d", "rgb", dict(published_r50.state_dict()), device=CPU)


def test_i3d_scales_pixels_to_minus_one_and_one():
    backbone = I3DBackbone(I3D("rgb", width_divisor=16).eval())
    picture = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 1, 3, 1).expand(1, 1, 3, 3)
    scaled = backbone.pixels(picture)
    assert scaled.shape == (3, 1, 1, 3)
    torch.testing.assert_close(scaled[1].flatten(), torch.tensor([-1.0, -0.6, 1.0]))


def test_pictures_reach_the_network_in_its_memory_layout():
    """Channels-last from the decoder on: no copy of the pixels is rearranged."""
    backbone = I3DBackbone(I3D("rgb", width_divisor=16).eval())
    clip = backbone.pixels(torch.zeros(16, 32, 32, 3, dtype=torch.uint8)).unsqueeze(0)
    assert clip.is_contiguous(memory_format=torch.channels_last_3d)


def test_the_batch_does_not_change_the_features():
    tensors = load("i3d-rgb-kinetics400").tensors
    backbone = make_backbone("i3d", "rgb", dict(tensors), device=CPU)
    clips = torch.rand(2, 3, 16, 64, 64) * 2 - 1
    together, _ = backbone.snippets(clips)
    alone, _ = backbone.snippets(clips[1:])
    assert ((together[1:] - alone).norm() / alone.norm()).item() < 1e-5


@pytest.mark.parametrize(
    "dtype",
    [
        torch.float16,
        *(pytest.param(dtype, marks=pytest.mark.slow) for dtype in (torch.float32, torch.bfloat16)),
    ],
)
def test_everything_stays_on_cuda(dtype):
    torch.set_default_dtype(dtype)  # the fixture that every test has sets it back
    with FakeTensorMode():
        with torch.device("cuda"):
            backbone = I3DBackbone(I3D("rgb").eval())
            pictures = torch.zeros(32, 224, 224, 3, dtype=torch.uint8)
        clip = backbone.pixels(pictures)
        features, logits = backbone.snippets(torch.stack(torch.split(clip, 16, dim=1)))
        assert (features.device.type, features.dtype) == ("cuda", dtype)
        assert logits.device.type == "cuda"
        assert backbone.stream().push(clip, last=True).device.type == "cuda"
