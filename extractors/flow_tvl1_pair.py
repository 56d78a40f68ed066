"""TV-L1 of one pair of pictures on one thread of the processor."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from extractors.flow_config_tvl1 import TvL1Config
from extractors.flow_pyramid import Level
from extractors.flow_tvl1_kernels import PAD_PX, iterate, linearize, pack


@dataclass(frozen=True, slots=True)
class _Buffers:
    """What one level of the pyramid works in; the kernels say what the extra rows and columns are for."""

    before_HW: Float32[np.ndarray, "h w"]
    after_HW: Float32[np.ndarray, "h w"]
    packed_HW4: Float32[np.ndarray, "h+8 w+8 4"]
    flow_CHW: Float32[np.ndarray, "2 h w+1"]
    dual_KHW: Float32[np.ndarray, "4 h+1 w+1"]
    data_DHW: Float32[np.ndarray, "4 h w"]
    median_HW: Float32[np.ndarray, "h w"]

    @classmethod
    def of(cls, height: int, width: int) -> _Buffers:
        """Buffers for pictures of a size."""
        return cls(
            before_HW=np.empty((height, width), np.float32),
            after_HW=np.empty((height, width), np.float32),
            packed_HW4=np.zeros((height + 2 * PAD_PX, width + 2 * PAD_PX, 4), np.float32),
            flow_CHW=np.zeros((2, height, width + 1), np.float32),
            dual_KHW=np.zeros((4, height + 1, width + 1), np.float32),
            data_DHW=np.empty((4, height, width), np.float32),
            median_HW=np.empty((height, width), np.float32),
        )


class PairSolver:
    """Solves pairs of pictures of one size, one after the other, in the same memory.

    That is about 70 bytes a pixel and level, 15 MB for 256 x 340 pixels. It is a solver of
    `extractors.flow_tvl1.coarse_to_fine`.

    Args:
        config: what to compute.
        levels: of the pyramid, finest first.
    """

    def __init__(self, config: TvL1Config, levels: tuple[Level, ...]) -> None:
        self._config = config
        self._levels = levels
        self._buffers = [_Buffers.of(level.height, level.width) for level in levels]
        self._at = self._buffers[-1]

    def load(self, before: UInt8[np.ndarray, "h w"], after: UInt8[np.ndarray, "h w"]) -> None:
        """Take the grey pictures of a pair and make their pyramids."""
        finest = self._buffers[0]
        finest.before_HW[:] = before
        finest.after_HW[:] = after
        step = self._config.scale_step
        for finer, coarser in zip(self._buffers, self._buffers[1:], strict=False):
            for source, target in (
                (finer.before_HW, coarser.before_HW),
                (finer.after_HW, coarser.after_HW),
            ):
                # Positions by the ratio that was asked for, not by the sizes, which are rounded.
                cv2.resize(source, None, dst=target, fx=step, fy=step, interpolation=cv2.INTER_LINEAR)

    def enter(self, level: int) -> None:
        """Go to a level: its flow is the coarser one's, or zero at the coarsest; its dual field is zero."""
        self._at = at = self._buffers[level]
        size = (self._levels[level].width, self._levels[level].height)
        pack(at.after_HW, at.packed_HW4)
        at.dual_KHW.fill(0)
        if level + 1 == len(self._levels):
            at.flow_CHW.fill(0)
            return
        for coarser, flow in zip(self._buffers[level + 1].flow_CHW, at.flow_CHW, strict=True):
            cv2.resize(coarser[:, :-1], size, dst=flow[:, :-1], interpolation=cv2.INTER_LINEAR)
        np.multiply(at.flow_CHW, np.float32(1 / self._config.scale_step), out=at.flow_CHW)

    def warp(self) -> None:
        """Linearize the brightness residual around the flow."""
        linearize(self._at.before_HW, self._at.packed_HW4, self._at.flow_CHW, self._at.data_DHW)

    def smooth(self) -> None:
        """Running median of each component, borders repeated."""
        for flow in self._at.flow_CHW:
            cv2.medianBlur(flow[:, :-1], self._config.median_px, dst=self._at.median_HW)
            flow[:, :-1] = self._at.median_HW

    def iterate(self) -> bool:
        """Up to `n_inner` iterations; whether the flow came to rest."""
        config, at = self._config, self._at
        return iterate(
            at.data_DHW,
            at.flow_CHW,
            at.dual_KHW,
            config.data_weight * config.theta,
            config.theta,
            config.tau / config.theta,
            config.n_inner,
            config.epsilon**2 * at.before_HW.size,
        )

    def flow(self) -> Float32[np.ndarray, "2 h w"]:
        """The flow at the finest level, a view that the next pair overwrites."""
        return self._buffers[0].flow_CHW[:, :, :-1]
