"""Load weights as tensors; every load is verified first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from weights.errors import WeightsError
from weights.integrity import CheckedFile, VerifyResult, read_entry, read_file, verify
from weights.raft import check_raft_tensors
from weights.registry import entries

__all__ = ["LoadedWeights", "VerifyResult", "load", "verify"]


@dataclass(frozen=True, slots=True)
class LoadedWeights:
    """Weights that are ready for `load_state_dict`.

    Attributes:
        name: the registry's name, or the path that was asked for.
        sha256: of the whole file: the identity that feature files and checkpoints remember.
        architecture: "i3d", "i3d_r50", "raft_small" or "raft_large".
        tensors: float32, on the CPU, by canonical name.
        metadata: what the file says of itself: layout, stream, source.
    """

    name: str
    sha256: str
    architecture: str
    tensors: dict[str, torch.Tensor]
    metadata: dict[str, str]


def load(name_or_path: str | Path) -> LoadedWeights:
    """Load a registry entry by name, or a converted file by path.

    Raises:
        WeightsError: there is no such entry or file, or its content is not what it should be: damaged
            (with both hashes), incomplete (with the first five differences), not finite.
    """
    checked = _read(name_or_path)
    # astype copies: a tensor over the file's own read-only bytes could be written to by mistake.
    tensors = {name: torch.from_numpy(_as_float32(array)) for name, array in checked.arrays.items()}
    architecture = checked.architecture
    if architecture.startswith("raft"):
        architecture = check_raft_tensors(tensors, origin=checked.name)
    return LoadedWeights(checked.name, checked.sha256, architecture, tensors, checked.metadata)


def _as_float32(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32) if array.dtype.kind == "f" else array.copy()


def _read(name_or_path: str | Path) -> CheckedFile:
    for known in entries():
        if known.name == str(name_or_path):
            return read_entry(known)
    path = Path(name_or_path)
    if not path.exists():
        raise WeightsError(
            f"{name_or_path}: neither the name of known weights nor a file",
            hint="Known names: " + ", ".join(known.name for known in entries()) + ".",
        )
    return read_file(path)
