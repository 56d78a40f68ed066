"""Dual TV-L1 optical flow (Zach, Pock, Bischof 2007), our own: OpenCV's flow in a small part of its time.

    estimate = make_flow(TvL1Config())                       # or TVL1_PRESETS["fast"]
    flow_NCHW = estimate(frames)                             # pixels, (x, y)

The flow u minimizes the variation of u plus lambda times |I1(x + u) - I0(x)|. The second term is linearized
around the flow that there is (a warp), and the two terms are solved in turns: a step towards the data, and a
step of a dual field that smooths. Coarse pictures come first, so that large motion is found. What is said
here follows Sanchez, Meinhardt-Llopis, Facciolo (IPOL 2013, https://doi.org/10.5201/ipol.2013.26); where
OpenCV differs (cubic warps that read zero outside, a pyramid that is not smoothed, medians, when to stop), it
is as in OpenCV, whose flow the public I3D checkpoints know.

`coarse_to_fine` says the algorithm; a solver does its steps: `PairSolver` a pair at a time on each of the
processor's threads, `BatchSolver` many pairs at once in PyTorch, for CUDA. Pairs do not see one another, each
one's iterations end by its own change, and no pair starts from another's flow.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
import torch
from jaxtyping import Float32, UInt8

from extractors.flow import check_frames
from extractors.flow_config_tvl1 import TvL1Config
from extractors.flow_pyramid import Level, pyramid
from extractors.flow_tvl1_batch import BatchSolver, pairs_at_once
from extractors.flow_tvl1_pair import PairSolver


@runtime_checkable
class Solver(Protocol):
    """The steps of TV-L1 on pictures that it holds, at the level that it is at."""

    def enter(self, level: int) -> None:
        """Go to a level: its flow is the coarser one's, or zero at the coarsest; its dual field is zero."""

    def warp(self) -> None:
        """Linearize the brightness residual around the flow."""

    def smooth(self) -> None:
        """Running median of each component, borders repeated."""

    def iterate(self) -> bool:
        """Up to `n_inner` iterations; whether every pair's flow came to rest."""


def coarse_to_fine(solver: Solver, config: TvL1Config, levels: Sequence[Level]) -> None:
    """Solve what the solver holds, from the coarsest level (the last) to the finest (the first)."""
    for level in reversed(range(len(levels))):
        solver.enter(level)
        for _ in range(config.n_warps):
            solver.warp()
            for _ in range(config.n_outer):
                if config.median_px > 1:
                    solver.smooth()
                if solver.iterate():
                    break


class TvL1Flow:
    """A flow estimator (see `extractors.flow.FlowEstimator`): batches on CUDA, threads of the processor else.

    On the processor it takes as many threads as PyTorch has (`torch.set_num_threads`), and the flow does not
    depend on how many, nor on which pairs come together. On CUDA it is the processor's up to rounding.

    Attributes:
        config: what it was made from.
        device: where the flow is computed, if it is CUDA; otherwise the processor does it.
    """

    def __init__(self, config: TvL1Config, *, device: str | torch.device = "cpu") -> None:
        self.config = config
        self.device = torch.device(device)
        self._size = (0, 0)
        self._levels: tuple[Level, ...] = ()
        self._pair_solvers: list[PairSolver] = []  # those at rest; a thread takes one and puts it back
        self._batch_solver: BatchSolver | None = None

    def __call__(self, frames: UInt8[np.ndarray, "n h w 3"]) -> Float32[np.ndarray, "m 2 h w"]:
        """Flow from each frame to the next: m = n - 1 fields in pixels, (x, y).

        Raises:
            ValueError: there is no frame, or they are not 8-bit RGB.
        """
        n_frames, height, width = check_frames(frames)
        flow_MCHW = np.empty((n_frames - 1, 2, height, width), np.float32)
        if n_frames == 1:
            return flow_MCHW
        self._fit(height, width)
        # Reversed and other odd views are nothing that OpenCV takes.
        grey_NHW = np.stack([cv2.cvtColor(np.ascontiguousarray(f), cv2.COLOR_RGB2GRAY) for f in frames])
        if self.device.type == "cuda":
            self._solve_batches(grey_NHW, flow_MCHW)
        else:
            self._solve_pairs(grey_NHW, flow_MCHW)
        return flow_MCHW

    def _fit(self, height: int, width: int) -> None:
        """Keep the memory of the last call where the frames are of the same size, otherwise let it go."""
        if self._size == (height, width):
            return
        self._size = (height, width)
        self._levels = pyramid(height, width, self.config.n_scales, self.config.scale_step)
        self._pair_solvers.clear()
        self._batch_solver = None

    def _solve_pairs(
        self, grey_NHW: UInt8[np.ndarray, "n h w"], flow_MCHW: Float32[np.ndarray, "m 2 h w"]
    ) -> None:
        """Every pair alone, on as many threads as PyTorch has."""
        levels, config = self._levels, self.config

        def solve(index: int) -> None:
            # One step each, so that threads need no lock: no thread finds a solver that another one took.
            try:
                solver = self._pair_solvers.pop()
            except IndexError:
                solver = PairSolver(config, levels)
            solver.load(grey_NHW[index], grey_NHW[index + 1])
            coarse_to_fine(solver, config, levels)
            flow_MCHW[index] = solver.flow()
            self._pair_solvers.append(solver)

        n_threads = min(torch.get_num_threads(), len(flow_MCHW))
        if n_threads == 1:
            for index in range(len(flow_MCHW)):
                solve(index)
            return
        # Threads live for a call only: a process that forks later takes none with it.
        with ThreadPoolExecutor(n_threads, thread_name_prefix="tvl1") as pool:
            list(pool.map(solve, range(len(flow_MCHW))))

    def _solve_batches(
        self, grey_NHW: UInt8[np.ndarray, "n h w"], flow_MCHW: Float32[np.ndarray, "m 2 h w"]
    ) -> None:
        """Many pairs at once, on the device."""
        step = pairs_at_once(*grey_NHW.shape[1:])
        if self._batch_solver is None:
            self._batch_solver = BatchSolver(self.config, self._levels, device=self.device)
        for start in range(0, len(flow_MCHW), step):
            chunk = torch.from_numpy(grey_NHW[start : start + step + 1])
            self._batch_solver.load(chunk.to(self.device))
            coarse_to_fine(self._batch_solver, self.config, self._levels)
            flow_MCHW[start : start + step] = self._batch_solver.flow().cpu().numpy()
