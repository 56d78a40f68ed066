"""TV-L1 of many pairs of pictures at once, in PyTorch: for CUDA. On a processor `PairSolver` is faster.

The iterations work in place, in memory that is kept from call to call. Between them (a warp, a median, a new
level) tensors come from PyTorch's own store of freed memory.

Shape legend: N pairs, C = 2 components of the flow (x, y), D = 2 directions (across, down), H and W pixels.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float32, UInt8
from torch import Tensor

from extractors.flow_config_tvl1 import TvL1Config
from extractors.flow_median import running_median
from extractors.flow_pyramid import Level, Taps

MIN_SQUARE = torch.finfo(torch.float32).eps  # a squared gradient up to this is none
_PIXELS_AT_ONCE = 16 * 256 * 340  # about 150 bytes each


def pairs_at_once(height: int, width: int) -> int:
    """Pairs of a batch: by the frame size alone."""
    return max(1, _PIXELS_AT_ONCE // (height * width))


class BatchSolver:
    """Solves batches of pairs of one size. It is a solver of `extractors.flow_tvl1.coarse_to_fine`.

    A pair whose flow has come to rest changes places with the last one that has not, and the iterations go
    on with those before it; the next warp takes all of them again, in their own order.

    Args:
        config: what to compute.
        levels: of the pyramid, finest first.
        device: where everything lies.
    """

    def __init__(self, config: TvL1Config, levels: tuple[Level, ...], *, device: torch.device) -> None:
        self._config = config
        self._levels = levels
        self._device = device
        self._memory: dict[str, Float32[Tensor, " n"]] = {}
        self._shrink = [self._taps(level.shrink) for level in levels]
        self._grow = [self._taps(level.grow) for level in levels]
        self._swaps: list[tuple[int, int]] = []
        self._n_moving = 0

    def load(self, frames_NHW: UInt8[Tensor, "n h w"]) -> None:
        """Take the pairs of consecutive grey frames, which are on the solver's device, and make pyramids."""
        self._pictures = [frames_NHW[:, None].float()]
        for taps in self._shrink[1:]:
            self._pictures.append(_resize(self._pictures[-1], taps))
        self._bind(0)  # the largest level first: the others fit into its memory

    def enter(self, level: int) -> None:
        """Go to a level: its flow is the coarser one's, or zero at the coarsest; its dual field is zero."""
        coarser = None if level + 1 == len(self._levels) else self._in_order()
        self._bind(level)
        if coarser is None:
            self._flow_NCHW.zero_()
        else:
            self._flow_NCHW.copy_(_resize(coarser, self._grow[level])).mul_(1 / self._config.scale_step)
        self._dual_NCDHW.zero_()
        self._slope_NCDHW.zero_()  # its last column and row stay so
        pictures = self._pictures[level]
        self._before_N1HW, after = pictures[:-1], pictures[1:]
        padded = F.pad(after, (1, 1, 1, 1), mode="replicate")
        across = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
        down = padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]
        # In double precision, so that a place that grid_sample is told comes out as it went in: with zeros
        # outside, a border that is read a millionth of a pixel off starts to move.
        self._packed_N3HW = torch.cat((after, across / 2, down / 2), dim=1).double()
        height, width = after.shape[-2:]
        self._columns_W = torch.arange(width, device=self._device, dtype=torch.float64)
        self._rows_H1 = torch.arange(height, device=self._device, dtype=torch.float64)[:, None]

    def warp(self) -> None:
        """Linearize the brightness residual around the flow."""
        flow = self._in_order()
        height, width = flow.shape[-2:]
        # grid_sample counts from -1 to 1 between the outer edges of the border pixels.
        x_NHW = (2 * (flow[:, 0] + self._columns_W) + 1) / width - 1
        y_NHW = (2 * (flow[:, 1] + self._rows_H1) + 1) / height - 1
        warped_N3HW = F.grid_sample(
            self._packed_N3HW,
            torch.stack((x_NHW, y_NHW), dim=-1),
            mode="bicubic",
            padding_mode="zeros",
            align_corners=False,
        )
        gradient = self._gradient_NCHW.copy_(warped_N3HW[:, 1:])
        toward = (gradient * flow).sum(dim=1, keepdim=True)
        self._residual_N1HW.copy_(warped_N3HW[:, :1]).sub_(toward).sub_(self._before_N1HW)
        square = (gradient * gradient).sum(dim=1, keepdim=True)
        self._inverse_N1HW.copy_(torch.where(square > MIN_SQUARE, 1 / square, 0.0))

    def smooth(self) -> None:
        """Running median of each component, borders repeated."""
        moving = self._flow_NCHW[: self._n_moving]
        moving.copy_(running_median(moving, self._config.median_px))

    def iterate(self) -> bool:
        """Up to `n_inner` iterations; whether every pair's flow came to rest."""
        for _ in range(self._config.n_inner):
            change_N = self._step(self._n_moving)
            rest = self._config.epsilon**2 * self._before_N1HW[0].numel()
            at_rest = self._at_rest(change_N, rest)
            for pair in reversed(range(len(at_rest))):
                if at_rest[pair]:
                    self._n_moving -= 1
                    self._swap(pair, self._n_moving)
            if not self._n_moving:
                return True
        return False

    def flow(self) -> Float32[Tensor, "n 2 h w"]:
        """The flow at the level that was entered last; the next batch overwrites it."""
        return self._in_order()

    def _step(self, n: int) -> Float32[Tensor, " n"]:
        """One iteration of the first n pairs, in place; each one's squared change, summed over pixels."""
        config = self._config
        flow, dual, slope = self._flow_NCHW[:n], self._dual_NCDHW[:n], self._slope_NCDHW[:n]
        gradient, change, length = self._gradient_NCHW[:n], self._change_NCHW[:n], self._length_NCHW[:n]
        step = self._step_N1HW[:n]
        # Towards the data: no farther than to where the residual is zero, nor than lambda theta gradients.
        torch.mul(gradient, flow, out=length)
        torch.add(length[:, :1], length[:, 1:], out=step)
        step.add_(self._residual_N1HW[:n]).mul_(self._inverse_N1HW[:n])
        limit = config.data_weight * config.theta
        step.clamp_(-limit, limit)
        # Smoother: theta times the divergence of the dual field, which is zero outside.
        torch.add(dual[:, :, 0], dual[:, :, 1], out=change)
        change[..., 1:].sub_(dual[:, :, 0, :, :-1])
        change[..., 1:, :].sub_(dual[:, :, 1, :-1])
        change.mul_(config.theta).sub_(torch.mul(gradient, step, out=length))
        flow.add_(change)
        # The dual field follows the flow's gradient and is brought back to length 1.
        torch.sub(flow[..., 1:], flow[..., :-1], out=slope[:, :, 0, :, :-1])
        torch.sub(flow[..., 1:, :], flow[..., :-1, :], out=slope[:, :, 1, :-1])
        dual.add_(slope, alpha=config.tau / config.theta)
        torch.mul(slope[:, :, 0], slope[:, :, 0], out=length)
        length.addcmul_(slope[:, :, 1], slope[:, :, 1]).sqrt_().mul_(config.tau / config.theta).add_(1)
        dual.div_(length[:, :, None])
        # By rows first: then no sum is long enough to be split over threads.
        return change.square_().sum(dim=-1).sum(dim=(1, 2))

    def _at_rest(self, change_N: Float32[Tensor, " n"], rest: float) -> list[bool]:
        """Which pairs' change, px², is no more than `rest`; waits for the device."""
        answers: list[bool] = (change_N <= rest).tolist()
        return answers

    def _bind(self, level: int) -> None:
        """Lay the working tensors of a level, for the pairs that were loaded, into the memory."""
        n, height, width = len(self._pictures[0]) - 1, self._levels[level].height, self._levels[level].width
        # Two memories for the flow: a level's is made from the coarser one's.
        self._flow_NCHW = self._tensor(f"flow {level % 2}", n, 2, height, width)
        self._dual_NCDHW = self._tensor("dual", n, 2, 2, height, width)
        self._slope_NCDHW = self._tensor("slope", n, 2, 2, height, width)
        self._gradient_NCHW = self._tensor("gradient", n, 2, height, width)
        self._change_NCHW = self._tensor("change", n, 2, height, width)
        self._length_NCHW = self._tensor("length", n, 2, height, width)
        self._residual_N1HW = self._tensor("residual", n, 1, height, width)
        self._inverse_N1HW = self._tensor("inverse", n, 1, height, width)
        self._step_N1HW = self._tensor("step", n, 1, height, width)
        self._n_moving = n
        self._swaps.clear()

    def _tensor(self, name: str, *shape: int) -> Tensor:
        """A named tensor of a shape, in memory that is kept; its numbers are whatever lies there."""
        size = math.prod(shape)
        if name not in self._memory or len(self._memory[name]) < size:
            self._memory[name] = torch.empty(size, device=self._device, dtype=torch.float32)
        return self._memory[name][:size].view(shape)

    def _swap(self, a: int, b: int) -> None:
        """Let two pairs change places, with all that the iterations need."""
        self._swaps.append((a, b))
        self._exchange(a, b, self._gradient_NCHW, self._residual_N1HW, self._inverse_N1HW)
        self._exchange(a, b, self._flow_NCHW, self._dual_NCDHW)

    def _in_order(self) -> Float32[Tensor, "n 2 h w"]:
        """Put all pairs back to their own places, moving again; the flow. The linearization is lost."""
        while self._swaps:
            self._exchange(*self._swaps.pop(), self._flow_NCHW, self._dual_NCDHW)
        self._n_moving = len(self._flow_NCHW)
        return self._flow_NCHW

    @staticmethod
    def _exchange(a: int, b: int, *tensors: Tensor) -> None:
        if a != b:
            for tensor in tensors:
                tensor[[a, b]] = tensor[[b, a]]

    def _taps(self, taps: tuple[Taps, Taps] | None) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Rows' and columns' (low, high, part) on the device; none where a level has no neighbour."""
        return [
            (
                torch.tensor(axis.low, device=self._device),
                torch.tensor(axis.high, device=self._device),
                torch.tensor(axis.part, device=self._device),
            )
            for axis in taps or ()
        ]


def _resize(
    x_NCHW: Float32[Tensor, "n c h w"], taps: list[tuple[Tensor, Tensor, Tensor]]
) -> Float32[Tensor, "n c hh ww"]:
    """Linear interpolation along rows and columns."""
    (above, below, down), (left, right, across) = taps
    x_NCHW = torch.lerp(x_NCHW.index_select(3, left), x_NCHW.index_select(3, right), across)
    return torch.lerp(x_NCHW.index_select(2, above), x_NCHW.index_select(2, below), down[:, None])
