"""Two layers that PyTorch has, made for long rows of numbers on a processor.

On CUDA both are PyTorch's own, fused there.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

LEAST_LENGTH = 1e-12  # a shorter row is divided by this, as in `torch.nn.functional.normalize`


class Dropout(nn.Dropout):
    """Zeroes a share of the values in training mode and scales the others up.

    PyTorch's own draws each value's fate one by one on a processor, which takes four times as long as numbers
    between 0 and 1 and a comparison.
    """

    def forward(self, values: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
        """The values, of the same shape, device and type."""
        if not self.training or not self.p:
            return values
        if values.device.type != "cpu":
            return functional.dropout(values, self.p)
        return values * dropout_scale(torch.empty_like(values, dtype=torch.float32), self.p).to(values.dtype)


def dropout_scale(room: Float[Tensor, "*axes"], p: float) -> Float[Tensor, "*axes"]:
    """0 with probability `p`, else 1 / (1 - p), in the place of `room`'s numbers."""
    return room.uniform_().ge_(p).mul_(1 / (1 - p) if p < 1 else 0.0)


class _UnitRows(torch.autograd.Function):
    """x / |x| along the last axis, with the gradient written out: (g - y (y . g)) / |x|.

    It reads the rows twice on the way back; PyTorch's division alone does so five times.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ANN401 - torch's context has no type
        length: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp_min_(LEAST_LENGTH)
        y = x / length
        ctx.save_for_backward(y, length)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:  # noqa: ANN401
        y, length = ctx.saved_tensors
        (g,) = gradients
        along = torch.linalg.vecdot(y, g, dim=-1).unsqueeze(-1)
        gradient: Tensor = torch.addcmul(g, y, along, value=-1).div_(length)
        return gradient


def unit_rows(x: Float[Tensor, "*axes d"]) -> Float[Tensor, "*axes d"]:
    """Rows of unit length; a row of zeros stays one, and its gradient is that of x / `LEAST_LENGTH`."""
    if x.device.type != "cpu":
        return functional.normalize(x, dim=-1, eps=LEAST_LENGTH)
    unit: Tensor = _UnitRows.apply(x)
    return unit
