"""No tensor of a training step is of two snippets each: the queries look at T snippets, (B, C + 1, T)."""

import dataclasses

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ascnet_cli.config import network_config
from ascnet_cli.config_training import loss_config
from ascnet_cli.model.ascnet import AscNet
from ascnet_cli.model.losses import total_loss

# All different, and no two of the other dimensions multiply to T.
B, T, D, N_CLASSES, QUERY_DIM = 2, 53, 12, 4, 7


class Shapes(TorchDispatchMode):
    """Notes the shape of every tensor that any operation gives, those of the backward pass too."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self.seen |= {tuple(leaf.shape) for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)}
        return result


def shapes_of_a_step(preset, **changes):
    config = network_config(preset, "thumos14", n_classes=N_CLASSES, in_dim=D)
    model = AscNet(dataclasses.replace(config, embed_dim=D, query_dim=QUERY_DIM, **changes)).train()
    features, valid = torch.randn(B, T, D), torch.arange(T) < torch.tensor([[T], [T - 9]])
    actions = torch.eye(N_CLASSES, dtype=torch.bool)[:B]
    with Shapes() as shapes:
        output = model(features, valid)
        queries = model.queries(output.u_BTD, valid)
        total_loss(output, queries, actions, loss_config(preset)).total.backward()
    return shapes.seen


@pytest.mark.parametrize("selector", ["fixed", "literal", "attention", "none"])
@pytest.mark.parametrize("preset", ["paper", "fixed"])
def test_no_activation_is_of_snippets_by_snippets(preset, selector):
    seen = shapes_of_a_step(preset, selector=selector)
    assert (B, N_CLASSES + 1, T) in seen  # eq. 9's attention, and eq. 10's similarities
    assert not [shape for shape in seen if shape.count(T) > 1 or any(size >= T * T for size in shape)]


def test_what_snippets_compared_with_snippets_would_take_is_seen():
    x_BTD = torch.randn(B, T, D, requires_grad=True)
    with Shapes() as shapes:
        torch.bmm(x_BTD, x_BTD.transpose(1, 2)).softmax(dim=2).sum().backward()
    assert (B, T, T) in shapes.seen
