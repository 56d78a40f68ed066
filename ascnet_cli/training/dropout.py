"""Dropout over a batch that several processes share: each zeroes what one process alone would."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ascnet_cli.model.layers import Dropout, dropout_scale
from ascnet_cli.training.parallel import Ranks


class SharedDropout(Dropout):
    """Draws for the whole batch, as one process does, and applies the rows of this process's part.

    So equal seeds give equal losses with any number of processes, and the state of the random numbers
    stays the same in all of them: a run may go on with another number. The price is the drawing of the
    other parts' numbers, little beside the embedding's convolution.

    Args:
        p: share of the values that become zero.
        ranks: the processes.
        batch_size: videos of the whole batch.
    """

    def __init__(self, p: float, ranks: Ranks, batch_size: int) -> None:
        super().__init__(p)
        self._batch_size = batch_size
        self._part = ranks.part(batch_size)

    def forward(self, values: Tensor) -> Tensor:
        """Zeroes and scales in training mode; axis 0 is the part's videos."""
        if not self.training or not self.p:
            return values
        on_cpu = values.device.type == "cpu"
        # Numbers are drawn in the order in memory: the whole batch is laid out as the part is.
        room = torch.empty_strided(
            (self._batch_size, *values.shape[1:]),
            (values[0].numel(), *values.stride()[1:]),
            dtype=torch.float32 if on_cpu else values.dtype,
            device=values.device,
        )
        scale = dropout_scale(room, self.p) if on_cpu else functional.dropout(room.fill_(1), self.p)
        return values * scale[self._part].to(values.dtype)


def share_dropout(model: nn.Module, ranks: Ranks, batch_size: int) -> None:
    """Puts `SharedDropout` in the place of a network's dropout layers, which hold no parameters."""
    for name, layer in list(model.named_modules()):
        if isinstance(layer, Dropout):
            model.set_submodule(name, SharedDropout(layer.p, ranks, batch_size))
