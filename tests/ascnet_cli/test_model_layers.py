"""Dropout and unit rows: PyTorch's own are what they are held to."""

import pytest
import torch
from torch.nn import functional

from ascnet_cli.model.layers import Dropout, dropout_scale, unit_rows


@pytest.mark.parametrize("p", [0.1, 0.5, 0.7])
def test_dropout_zeroes_its_share_and_keeps_the_mean(p):
    torch.manual_seed(0)
    layer, ones = Dropout(p).train(), torch.ones(400, 500, requires_grad=True)
    out = layer(ones)
    assert out.unique().tolist() == pytest.approx([0.0, 1 / (1 - p)])
    assert (out == 0).float().mean().item() == pytest.approx(p, abs=5e-3)
    assert out.mean().item() == pytest.approx(1, abs=2e-2)
    out.sum().backward()
    assert torch.equal(ones.grad, out.detach())  # what was dropped learns nothing
    assert not torch.equal(layer(ones), out)


def test_dropout_does_nothing_when_it_is_not_training_or_drops_nothing():
    values = torch.rand(3, 4)
    assert Dropout(0.5).eval()(values) is values
    assert Dropout(0.0).train()(values) is values
    assert not Dropout(1.0).train()(values).any()


def test_half_precision_values_are_dropped_by_numbers_of_single_precision():
    torch.manual_seed(0)
    out = Dropout(0.7).train()(torch.ones(300, 300, dtype=torch.bfloat16))
    assert out.dtype == torch.bfloat16
    assert (out == 0).float().mean().item() == pytest.approx(0.7, abs=5e-3)


def test_a_views_numbers_are_drawn_in_the_order_in_memory():
    plain = torch.empty(2, 3, 5)
    turned = torch.empty_strided((2, 5, 3), (15, 1, 5))
    torch.manual_seed(0)
    one = dropout_scale(plain, 0.5)
    torch.manual_seed(0)
    assert torch.equal(dropout_scale(turned, 0.5).transpose(1, 2), one)


@pytest.mark.parametrize("turned", [False, True])
def test_unit_rows_are_those_of_pytorch_with_their_gradient(turned):
    torch.manual_seed(0)
    values = torch.randn(2, 7, 5, dtype=torch.float64)
    values = values.transpose(1, 2).contiguous().transpose(1, 2) if turned else values
    gradient = torch.randn_like(values)
    results = []
    for function in (unit_rows, lambda x: functional.normalize(x, dim=-1)):
        x = values.clone().requires_grad_()
        y = function(x)
        y.backward(gradient)
        results.append((y.detach(), x.grad))
    torch.testing.assert_close(results[0][0], results[1][0])
    torch.testing.assert_close(results[0][1], results[1][1])
    assert torch.autograd.gradcheck(unit_rows, (values.requires_grad_(),))


def test_a_row_of_zeros_stays_one():
    x = torch.zeros(1, 4, requires_grad=True)
    y = unit_rows(x)
    assert not y.any()
    y.backward(torch.zeros(1, 4))
    assert torch.equal(x.grad, torch.zeros(1, 4))
