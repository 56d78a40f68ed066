"""How an I3D is rounded to 8 bits: scales of channels, ranges of tensors, and corrections of biases.

Made from a few clips (`extractors.calibrate`), kept in a small file (0.06 MB beside 25 MB of weights). The
8-bit network is built from the weights and this file alone, so two hashes say which one it was.

The calibration of the shipped weights comes with ascnet; those that a person makes lie in the weights folder
and go before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Float32

import weights
from extractors.recipe import FeatureRecipe
from weights.architecture import MIXED_WIDTHS
from weights.errors import WeightsError
from weights.files import parse_safetensors, read_bounded, safetensors_bytes, sha256_hex, write_whole
from weights.registry import weights_folder

INPUT = "input"  # the tensor that goes into the network
_RANGE, _SHIFT, _SCALE = "range.", "shift.", "scale."
WEIGHT_STEPS = 127  # of a rounded weight, on each side of zero
_FOLDER = "int8"
_HINT = "make it again with `ascnet weights calibrate`"


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """See the module.

    Attributes:
        weights: sha256 of the weights that it belongs to.
        ranges: (low, high) of each tensor that is rounded, by the unit or module that makes it; others stay
            as they are.
        shifts: what is added to each unit's bias.
        scales: what each channel of a tensor is divided by before it is rounded (see `equalized`).
    """

    weights: str
    ranges: Mapping[str, tuple[float, float]]
    shifts: Mapping[str, Float32[np.ndarray, " _"]]
    scales: Mapping[str, Float32[np.ndarray, " _"]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, (low, high) in self.ranges.items():
            if not -np.inf < low < high < np.inf:
                raise ValueError(f"{name} cannot have values from {low} to {high}")
        for name, shift in self.shifts.items():
            if not np.isfinite(shift).all():
                raise ValueError(f"the shift of {name} is not finite")
        for name, scale in self.scales.items():
            if not (np.isfinite(scale).all() and (scale > 0).all()):
                raise ValueError(f"the scales of {name} are not positive numbers")

    def to_bytes(self) -> bytes:
        """As a safetensors file; the same content gives the same bytes."""
        arrays = {f"{_RANGE}{name}": np.array(pair, np.float32) for name, pair in self.ranges.items()}
        arrays |= {f"{_SHIFT}{name}": shift for name, shift in self.shifts.items()}
        arrays |= {f"{_SCALE}{name}": scale for name, scale in self.scales.items()}
        return safetensors_bytes(arrays, {"weights": self.weights})

    @property
    def sha256(self) -> str:
        """Of its file."""
        return sha256_hex(self.to_bytes())


def weight_parts(
    weight: Float32[np.ndarray, "o c k1 k2 k3"],
) -> list[tuple[Float32[np.ndarray, "o c k1 k2 k3"], Float32[np.ndarray, "o 1 1 1 1"]]]:
    """The 8-bit tensors that stand for a unit's weight, each with its largest value by output channel.

    Kernels of 3 are one tensor of 255 values a channel. The others (1 x 1, and the stem), whose rounding
    costs most accuracy and whose arithmetic is little, are the sum of two: the rounded weight, and what it
    lost, rounded again. That is as good as 15 bits.
    """
    parts = []
    left = weight
    for _ in range(1 if weight.shape[-1] == 3 else 2):
        bound = np.maximum(np.abs(left).max(axis=(1, 2, 3, 4), keepdims=True), np.float32(1e-12))
        step = bound / np.float32(WEIGHT_STEPS)
        part = (np.rint(left / step) * step).astype(np.float32)
        parts.append((part, bound))
        left = left - part
    return parts


def made_by(tensor: str) -> list[str]:
    """The units whose outputs, one after the other, are a tensor."""
    return (
        [f"{tensor}.{part}" for part in ("b0", "b1b", "b2b", "b3b")] if tensor in MIXED_WIDTHS else [tensor]
    )


def read_by() -> dict[str, list[str]]:
    """For each tensor, the units that take it; max pools between them change nothing."""
    stem = [INPUT, "conv3d_1a_7x7", "conv3d_2b_1x1", "conv3d_2c_3x3"]
    found = {tensor: [unit] for tensor, unit in pairwise(stem)}
    for before, name in pairwise([stem[-1], *MIXED_WIDTHS]):
        found[before] = [f"{name}.{part}" for part in ("b0", "b1a", "b2a", "b3b")]
    for name in MIXED_WIDTHS:
        found |= {f"{name}.b1a": [f"{name}.b1b"], f"{name}.b2a": [f"{name}.b2b"]}
    return found


def equalized(
    tensors: Mapping[str, Float32[np.ndarray, "*_"]], scales: Mapping[str, Float32[np.ndarray, " _"]]
) -> dict[str, Float32[np.ndarray, "*_"]]:
    """The same network with scaled channels: a tensor's are divided, and multiplied where it is read.

    ReLU, max pooling and concatenation let positive factors through, so in exact arithmetic nothing changes;
    but channels of very different size become alike, and a step of 1/255 of the largest suits them all.
    Source: Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction" (ICCV
    2019), section 4.1.
    """
    found = dict(tensors)
    for tensor, scale in scales.items():
        units = made_by(tensor)
        bounds = np.cumsum([len(tensors[f"{unit}.bias"]) for unit in units])[:-1]
        for unit, part in zip(units, np.split(scale, bounds), strict=True):
            found[f"{unit}.weight"] = found[f"{unit}.weight"] / part.reshape(-1, 1, 1, 1, 1)
            found[f"{unit}.bias"] = found[f"{unit}.bias"] / part
        for unit in read_by()[tensor]:
            found[f"{unit}.weight"] = found[f"{unit}.weight"] * scale.reshape(1, -1, 1, 1, 1)
    return found


def save_calibration(calibration: Calibration) -> Path:
    """Put it where `find_calibration` looks first.

    Raises:
        OutputError: the folder cannot be written to.
        StorageError: the disk is full.
    """
    path = weights_folder() / _FOLDER / f"{calibration.weights}.safetensors"
    write_whole(path, calibration.to_bytes())
    return path


def load_calibration(path: Path) -> Calibration:
    """Read a calibration.

    Raises:
        WeightsError: it is missing or damaged.
    """
    arrays, metadata = parse_safetensors(read_bounded(path), str(path), _HINT)
    try:
        ranges = {
            name.removeprefix(_RANGE): (float(pair[0]), float(pair[1]))
            for name, pair in arrays.items()
            if name.startswith(_RANGE)
        }
        shifts, scales = (
            {name.removeprefix(kind): array for name, array in arrays.items() if name.startswith(kind)}
            for kind in (_SHIFT, _SCALE)
        )
        return Calibration(metadata["weights"], ranges, shifts, scales)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise WeightsError(f"{path} is no calibration: {error}", hint=_HINT) from error


def _all() -> Iterator[Calibration]:
    for folder in (weights_folder() / _FOLDER, Path(weights.__file__).parent / _FOLDER):
        for path in sorted(folder.glob("*.safetensors")):
            yield load_calibration(path)


def calibrations_of(recipe: FeatureRecipe) -> dict[str, Calibration]:
    """The calibrations that a recipe names, by stream; none where it is not of 8 bits.

    Raises:
        WeightsError: one of them is not here.
    """
    return {
        stream: find_calibration(recipe.weights[stream], sha256=sha256)
        for stream, sha256 in (recipe.calibration or {}).items()
    }


def find_calibration(weights_sha256: str, *, sha256: str | None = None) -> Calibration:
    """The calibration of some weights.

    Args:
        weights_sha256: the weights' hash.
        sha256: the calibration's own, where a recipe names it.

    Raises:
        WeightsError: there is none.
    """
    for found in _all():
        if found.weights == weights_sha256 and sha256 in (None, found.sha256):
            return found
    wanted = f" with the sha256 {sha256}" if sha256 else ""
    raise WeightsError(
        f"there is no 8-bit calibration{wanted} of the weights with the sha256 {weights_sha256}",
        hint="make one with `ascnet weights calibrate VIDEO... --weights NAME`",
    )
