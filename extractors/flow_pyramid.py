"""The pyramid of a coarse-to-fine flow: the sizes of its levels, and where a resized pixel takes its values.

Sizes and positions are those of OpenCV's DualTVL1 and of its bilinear `resize`, which does not smooth before
it makes a picture smaller: a level's picture is a little aliased, and the reference's flow is made from it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int32

MIN_SIDE_PX = 16  # a coarser level than this is left out


@dataclass(frozen=True, slots=True)
class Taps:
    """Linear interpolation along one axis: value = low + part (high - low).

    Attributes:
        low: index of the first source sample of each target sample.
        high: index of the second one.
        part: how far the target lies from the first to the second, in [0, 1).
    """

    low: Int32[np.ndarray, " n"]
    high: Int32[np.ndarray, " n"]
    part: Float32[np.ndarray, " n"]


@dataclass(frozen=True, slots=True)
class Level:
    """One size of the pyramid.

    Attributes:
        height: pixels.
        width: pixels.
        shrink: rows and columns of the next finer level's picture that make this level's; None at the finest.
        grow: rows and columns of the next coarser level's flow that make this level's; None at the coarsest.
    """

    height: int
    width: int
    shrink: tuple[Taps, Taps] | None
    grow: tuple[Taps, Taps] | None


def pyramid(height: int, width: int, n_scales: int, scale_step: float) -> tuple[Level, ...]:
    """The levels of a picture, finest first; at least one, whatever the size.

    Args:
        height: of the picture, pixels.
        width: of the picture, pixels.
        n_scales: levels, at most.
        scale_step: size ratio of a level to the next finer one, in (0, 1).
    """
    sizes = [(height, width)]
    while len(sizes) < n_scales:
        smaller = (round(sizes[-1][0] * scale_step), round(sizes[-1][1] * scale_step))
        if min(smaller) < MIN_SIDE_PX:
            break
        sizes.append(smaller)
    levels = []
    for index, (rows, columns) in enumerate(sizes):
        shrink = grow = None
        if index:
            finer = sizes[index - 1]
            # The positions follow the ratio that was asked for, not the one of the rounded sizes.
            ratio = 1 / scale_step
            shrink = (linear_taps(finer[0], rows, ratio), linear_taps(finer[1], columns, ratio))
        if index + 1 < len(sizes):
            coarser = sizes[index + 1]
            grow = (
                linear_taps(coarser[0], rows, coarser[0] / rows),
                linear_taps(coarser[1], columns, coarser[1] / columns),
            )
        levels.append(Level(rows, columns, shrink, grow))
    return tuple(levels)


def linear_taps(n_source: int, n_target: int, ratio: float) -> Taps:
    """Where the samples of a resized axis come from: pixel centres, the ends repeated.

    Args:
        n_source: samples there are.
        n_target: samples to make.
        ratio: source samples a target sample.
    """
    position = (np.arange(n_target) + 0.5) * ratio - 0.5
    position = np.clip(position, 0, n_source - 1)
    low = np.floor(position).astype(np.int32)
    high = np.minimum(low + 1, n_source - 1).astype(np.int32)
    return Taps(low, high, (position - low).astype(np.float32))
