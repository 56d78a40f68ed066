"""A running median as a short list of comparisons of whole pictures, on any device of PyTorch.

The window's columns are sorted first; neighbouring windows share them. Then each rank of the columns is
sorted along the row, which leaves few places where the median can be: the element of rank i (from 0) in its
column and j in its row has at least (i + 1)(j + 1) - 1 others that are not larger. What remains is a short
network for those places. Comparators whose results nobody reads are dropped.

A comparator orders two wires: the smaller value goes to the first, the larger one to the second.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from jaxtyping import Float32
from torch import Tensor

Comparator = tuple[int, int]
Step = tuple[int, int, bool, bool]  # first wire, second wire, is the smaller read, is the larger read

_SORT: dict[int, tuple[Comparator, ...]] = {
    3: ((0, 1), (1, 2), (0, 1)),
    5: ((0, 1), (3, 4), (2, 4), (2, 3), (1, 4), (0, 3), (0, 2), (1, 3), (1, 2)),
}
# Over the places that are left, numbered rank * side + place, and the wire of the median. Found by leaving
# comparators out of a sorting network for as long as the middle of every pattern of zeros and ones that is
# sorted both ways came out right, which proves it for all values.
_LAST: dict[int, tuple[tuple[Comparator, ...], int]] = {
    3: (((2, 4), (4, 6), (2, 4)), 4),
    5: (
        (
            *((17, 13), (16, 20), (7, 3), (8, 11), (17, 16), (13, 20), (21, 9), (21, 12), (4, 15), (3, 17)),
            *((11, 13), (12, 15), (11, 17), (21, 12), (17, 4), (13, 21), (16, 12), (11, 13), (16, 4)),
            (13, 16),
        ),
        16,
    ),
}


def running_median(x_NCHW: Float32[Tensor, "n c h w"], side: int) -> Float32[Tensor, "n c h w"]:
    """Median of the square window around each pixel, borders repeated.

    Args:
        x_NCHW: any pictures.
        side: of the window, 3 or 5 pixels.

    Raises:
        ValueError: another side.
    """
    if side not in _SORT:
        raise ValueError(f"there is a median of 3 or 5 pixels a side, not of {side}")
    reach = side // 2
    height, width = x_NCHW.shape[-2:]
    padded = F.pad(x_NCHW, (reach, reach, reach, reach), mode="replicate")
    ranks: list[Tensor | None] = [padded[:, :, j : j + height] for j in range(side)]
    for first, second in _SORT[side]:
        _order(ranks, (first, second, True, True))
    wires = [rank[..., i : i + width] for rank in ranks if rank is not None for i in range(side)]
    steps, middle = _network(side)
    kept: list[Tensor | None] = [*wires]
    for step in steps:
        _order(kept, step)
    median = kept[middle]
    if median is None:
        raise ValueError(f"the network of {side} pixels a side drops its own result")
    return median


def _order(wires: list[Tensor | None], step: Step) -> None:
    """A comparator; what nobody reads is let go."""
    first, second, smaller, larger = step
    a, b = wires[first], wires[second]
    if a is None or b is None:
        raise ValueError(f"wire {first} or {second} was dropped and is read")
    wires[first] = torch.minimum(a, b) if smaller else None
    wires[second] = torch.maximum(a, b) if larger else None


@lru_cache(maxsize=2)
def _network(side: int) -> tuple[tuple[Step, ...], int]:
    """The comparators after the columns are sorted, and the wire of the median."""
    last, middle = _LAST[side]
    rows = tuple((rank * side + a, rank * side + b) for rank in range(side) for a, b in _SORT[side])
    read = {middle}
    steps: list[Step] = []
    for first, second in reversed(rows + last):
        if first in read or second in read:
            steps.append((first, second, first in read, second in read))
            read |= {first, second}
    return tuple(reversed(steps)), middle
