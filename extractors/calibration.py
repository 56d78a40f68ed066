"""How an I3D is rounded to 8 bits: the range of every tensor, and a correction of every bias.

Made from a few clips (`extractors.calibrate`), kept in a small file (0.04 MB beside 25 MB of weights). The
8-bit network is built from the weights and this file alone, so two hashes say which one it was.

The calibration of the shipped weights comes with ascnet; those that a person makes lie in the weights folder
and go before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

import weights
from weights.errors import WeightsError
from weights.files import parse_safetensors, read_bounded, safetensors_bytes, sha256_hex, write_whole
from weights.registry import weights_folder

INPUT = "input"  # the tensor that goes into the network
_RANGE, _SHIFT = "range.", "shift."
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
    """

    weights: str
    ranges: Mapping[str, tuple[float, float]]
    shifts: Mapping[str, Float32[np.ndarray, " c"]]

    def __post_init__(self) -> None:
        for name, (low, high) in self.ranges.items():
            if not -np.inf < low < high < np.inf:
                raise ValueError(f"{name} cannot have values from {low} to {high}")
        for name, shift in self.shifts.items():
            if not np.isfinite(shift).all():
                raise ValueError(f"the shift of {name} is not finite")

    def to_bytes(self) -> bytes:
        """As a safetensors file; the same content gives the same bytes."""
        arrays = {f"{_RANGE}{name}": np.array(pair, np.float32) for name, pair in self.ranges.items()}
        arrays |= {f"{_SHIFT}{name}": shift for name, shift in self.shifts.items()}
        return safetensors_bytes(arrays, {"weights": self.weights})

    @property
    def sha256(self) -> str:
        """Of its file."""
        return sha256_hex(self.to_bytes())


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
        shifts = {name.removeprefix(_SHIFT): a for name, a in arrays.items() if name.startswith(_SHIFT)}
        return Calibration(metadata["weights"], ranges, shifts)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise WeightsError(f"{path} is no calibration: {error}", hint=_HINT) from error


def _all() -> Iterator[Calibration]:
    for folder in (weights_folder() / _FOLDER, Path(weights.__file__).parent / _FOLDER):
        for path in sorted(folder.glob("*.safetensors")):
            yield load_calibration(path)


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
