"""What a complete set of I3D weights is: the canonical tensor names and their shapes.

Canonical weights have their batch norms folded in, so that every unit of the network is a convolution
with a bias: `<unit>.weight` (out, in, time, height, width) and `<unit>.bias` (out,). The widths are
those of Inception-v1 (table 1 of arXiv:1409.4842), inflated to three dimensions as in section 2.4 of
"Quo Vadis, Action Recognition?" (arXiv:1705.07750).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Stream = Literal["rgb", "flow"]

STREAMS: tuple[str, ...] = get_args(Stream)
IN_CHANNELS: dict[str, int] = {"rgb": 3, "flow": 2}  # flow: horizontal, vertical
N_CLASSES = 400  # Kinetics-400
FEATURE_DIM = 1024
LOGITS = "logits"

# Widths a block: 1x1 | 1x1 then 3x3 | 1x1 then 3x3 | 1x1 after the pool.
MIXED_WIDTHS: dict[str, tuple[int, int, int, int, int, int]] = {
    "mixed_3b": (64, 96, 128, 16, 32, 32),
    "mixed_3c": (128, 128, 192, 32, 96, 64),
    "mixed_4b": (192, 96, 208, 16, 48, 64),
    "mixed_4c": (160, 112, 224, 24, 64, 64),
    "mixed_4d": (128, 128, 256, 24, 64, 64),
    "mixed_4e": (112, 144, 288, 32, 64, 64),
    "mixed_4f": (256, 160, 320, 32, 128, 128),
    "mixed_5b": (256, 160, 320, 32, 128, 128),
    "mixed_5c": (384, 192, 384, 48, 128, 128),
}


@dataclass(frozen=True, slots=True)
class UnitShape:
    """One convolution of the network.

    Attributes:
        n_in: input channels.
        n_out: output channels.
        kernel: side of the cubic kernel.

    Raises:
        ValueError: a size is not positive.
    """

    n_in: int
    n_out: int
    kernel: int

    def __post_init__(self) -> None:
        if min(self.n_in, self.n_out, self.kernel) < 1:
            raise ValueError(f"a convolution needs positive sizes, not {self}")

    @property
    def weight(self) -> tuple[int, ...]:
        """Shape of the kernel: (out, in, time, height, width)."""
        return (self.n_out, self.n_in, self.kernel, self.kernel, self.kernel)


def i3d_units(stream: Stream) -> dict[str, UnitShape]:
    """Every convolution of I3D, the classifier (`logits`) last, in the order of the forward pass."""
    units = {
        "conv3d_1a_7x7": UnitShape(IN_CHANNELS[stream], 64, 7),
        "conv3d_2b_1x1": UnitShape(64, 64, 1),
        "conv3d_2c_3x3": UnitShape(64, 192, 3),
    }
    n_in = 192
    for block, (b0, b1a, b1b, b2a, b2b, b3b) in MIXED_WIDTHS.items():
        units[f"{block}.b0"] = UnitShape(n_in, b0, 1)
        units[f"{block}.b1a"] = UnitShape(n_in, b1a, 1)
        units[f"{block}.b1b"] = UnitShape(b1a, b1b, 3)
        units[f"{block}.b2a"] = UnitShape(n_in, b2a, 1)
        units[f"{block}.b2b"] = UnitShape(b2a, b2b, 3)
        units[f"{block}.b3b"] = UnitShape(n_in, b3b, 1)
        n_in = b0 + b1b + b2b + b3b
    units[LOGITS] = UnitShape(n_in, N_CLASSES, 1)
    return units


def i3d_shapes(stream: Stream) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every canonical tensor of one stream's network."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, unit in i3d_units(stream).items():
        shapes[f"{name}.weight"] = unit.weight
        shapes[f"{name}.bias"] = (unit.n_out,)
    return shapes
