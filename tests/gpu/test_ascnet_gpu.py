"""The network on a card and on the CPU gives the same scores."""

import dataclasses

import pytest
import torch

from ascnet_cli.config import network_config
from ascnet_cli.model.ascnet import AscNet

pytestmark = pytest.mark.gpu


@pytest.fixture
def exact_arithmetic():
    """Without TF32, whose ten bits of mantissa would be most of the difference."""
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield


def model_and_batch(selector="fixed", preset="fixed", in_dim=64):
    config = network_config(preset, "thumos14", n_classes=20, in_dim=in_dim)
    config = dataclasses.replace(config, embed_dim=128, query_dim=32, selector=selector)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AscNet(config)
        features = torch.randn(3, 200, in_dim)
    valid = torch.arange(200) < torch.tensor([[200], [77], [1]])
    return model, features, valid


@pytest.mark.parametrize("selector", ["fixed", "literal", "attention", "none"])
def test_forward_pass(cuda_device, exact_arithmetic, selector):
    model, features, valid = model_and_batch(selector)
    model.eval()
    with torch.inference_mode():
        here = model(features, valid)
        model.to(cuda_device)
        there = model(features.to(cuda_device), valid.to(cuda_device))
    assert torch.equal(here.selected_BNT, there.selected_BNT.cpu())
    for name in ("attention_BNT", "z_BNTC", "omega_BNC", "y_ags_BNC", "y_BNC", "guide_BT", "u_BTD"):
        torch.testing.assert_close(getattr(here, name), getattr(there, name).cpu(), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("preset", ["paper", "fixed"])
def test_gradients(cuda_device, exact_arithmetic, preset):
    gradients = []
    for device in (torch.device("cpu"), torch.device(cuda_device)):
        model, features, valid = model_and_batch(preset=preset)
        model.eval().to(device)  # without dropout, whose random numbers differ between devices
        output = model(features.to(device), valid.to(device))
        queries = model.queries(output.u_BTD, output.valid_BT)
        (output.y_BNC[..., 1].log().sum() + queries.square().cumsum(2).mean()).backward()
        gradients.append({name: value.grad.cpu() for name, value in model.named_parameters()})
    for name, here in gradients[0].items():
        torch.testing.assert_close(here, gradients[1][name], atol=1e-4, rtol=1e-3, msg=name)


def test_scores_come_back_from_the_card(cuda_device, exact_arithmetic):
    model, features, _ = model_and_batch()
    labels = [f"class {i}" for i in range(20)]
    here = model.score(features[0].numpy(), labels)
    there = model.to(cuda_device).score(features[0].numpy(), labels)
    torch.testing.assert_close(torch.from_numpy(here.cas), torch.from_numpy(there.cas), atol=1e-5, rtol=1e-4)
