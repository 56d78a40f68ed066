"""I3D on a CUDA card against the processor."""

import pytest
import torch

from extractors.backbones import make_backbone
from extractors.device import exact_arithmetic
from weights.store import load

pytestmark = pytest.mark.gpu


@pytest.fixture
def both(cuda_device):
    exact_arithmetic()
    tensors = load("i3d-rgb-kinetics400").tensors
    return [make_backbone("i3d", "rgb", dict(tensors), device=d) for d in (torch.device("cpu"), cuda_device)]


def test_snippets_agree_with_the_processor(both):
    pictures = torch.randint(0, 256, (32, 224, 224, 3), dtype=torch.uint8)
    rows = []
    for backbone in both:
        clip = backbone.pixels(pictures.to(backbone.device))
        features, _ = backbone.snippets(torch.stack(torch.split(clip, 16, dim=1)))
        rows.append(features.cpu())
    assert ((rows[0] - rows[1]).norm() / rows[0].norm()).item() < 1e-4


def test_a_stream_agrees_with_the_processor(both):
    pictures = torch.randint(0, 256, (48, 224, 224, 3), dtype=torch.uint8)
    rows = []
    for backbone in both:
        clip, stream = backbone.pixels(pictures.to(backbone.device)), backbone.stream()
        rows.append(torch.cat([stream.push(clip[:, :32]), stream.push(clip[:, 32:], last=True)]).cpu())
    assert ((rows[0] - rows[1]).norm() / rows[0].norm()).item() < 1e-4
