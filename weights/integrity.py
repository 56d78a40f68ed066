"""Weights files, read once and checked before anything uses them. No torch here: see `store`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from weights.architecture import STREAMS, i3d_shapes
from weights.errors import WeightsError
from weights.files import check_kinds, parse_safetensors, read_bounded, sha256_hex, tensors_sha256
from weights.layouts import check_shapes
from weights.r50 import ARCHITECTURE as R50
from weights.r50 import check_r50, is_r50
from weights.registry import WeightsEntry, entry

_PICKLES = (".pt", ".pth", ".pyth", ".pkl", ".pickle", ".ckpt", ".bin", ".tar")
# Every RAFT checkpoint of either size names its first convolution so, after conversion.
_RAFT_STEM = "feature_encoder.convnormrelu.0.weight"


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """A weights file whose content was verified.

    Attributes:
        name: the registry's name, or the path.
        sha256: of the whole file.
        architecture: "i3d", "i3d_r50", "raft_small", "raft_large", "ascnet" (a trained ASC-Net), or
            "raft" where the file does not say which.
        arrays: the tensors, as stored.
        metadata: what the file says of itself.
    """

    name: str
    sha256: str
    architecture: str
    arrays: dict[str, np.ndarray]
    metadata: dict[str, str]


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """What `verify` found.

    Attributes:
        name: of the entry.
        path: of its file.
        state: "ok"; "absent": not fetched yet; "damaged": missing from the package, or not what it was.
        sha256: of the file as it is; empty when it is not there.
        message: what is wrong; empty when nothing is.
        hint: what to do about it; empty when there is nothing to do.
    """

    name: str
    path: Path
    state: Literal["ok", "absent", "damaged"]
    sha256: str = ""
    message: str = ""
    hint: str = ""


def read_entry(known: WeightsEntry) -> CheckedFile:
    """Read and check the file of a registry entry.

    The bytes are read once; what is hashed is what is parsed.

    Raises:
        WeightsError: the file is not there, or not the one that the registry speaks of.
    """
    if not known.path.exists():
        raise WeightsError(
            f"the weights {known.name} are not here: {known.path} is missing", hint=_fix(known)
        )
    data = read_bounded(known.path)
    found = sha256_hex(data)
    if known.shipped and found != known.sha256:
        raise WeightsError(
            f"{known.path}: damaged: its sha256 is {found}, the registry says {known.sha256}",
            hint=_fix(known),
        )
    checked = _check(data, found, known.name, str(known.path), _fix(known))
    source = checked.metadata.get("source_git_object_id", "")
    expected = known.source.files[0].git_object_id
    if not known.shipped and source != expected:
        raise WeightsError(
            f"{known.path}: made from another file than {known.name}: its source has the git object id "
            f"{source or '(none)'}, the registry says {expected}",
            hint=_fix(known),
        )
    return checked


def read_file(path: Path) -> CheckedFile:
    """Read and check a converted file of the user's own.

    Raises:
        WeightsError: the file cannot be read, is no safetensors file, or holds no known network.
    """
    if path.suffix.lower() in _PICKLES:
        raise WeightsError(
            f"{path}: only safetensors files are loaded, never a {path.suffix} file",
            hint="Convert it first with `ascnet weights convert`.",
        )
    data = read_bounded(path)
    return _check(data, sha256_hex(data), str(path), str(path), "Convert or copy the file again.")


def verify(name: str) -> VerifyResult:
    """Check one entry's file as a load would, and say what was found.

    Raises:
        WeightsError: no entry has this name.
    """
    known = entry(name)
    path = known.path
    if not path.exists() and not known.shipped:
        return VerifyResult(name, path, "absent", message="not fetched", hint=_fix(known))
    try:
        checked = read_entry(known)
    except WeightsError as error:
        found = sha256_hex(read_bounded(path)) if path.is_file() else ""
        return VerifyResult(name, path, "damaged", found, str(error), error.hint)
    return VerifyResult(name, path, "ok", checked.sha256)


def check_i3d(arrays: Mapping[str, np.ndarray], stream: str, what: str) -> None:
    """See that canonical I3D tensors are complete, of the right shapes, and finite.

    Raises:
        WeightsError: they are not; the message gives the first five differences.
    """
    if stream not in STREAMS:
        raise WeightsError(f"{what}: its stream is {stream!r}, not one of {', '.join(STREAMS)}")
    shapes = i3d_shapes("rgb" if stream == "rgb" else "flow")
    check_shapes(shapes, arrays, what, f"I3D ({stream})")


def _check(data: bytes, sha256: str, name: str, what: str, fix: str) -> CheckedFile:
    """Everything that holds for registry entries and for the user's own files alike."""
    arrays, metadata = parse_safetensors(data, what, fix)
    promised = metadata.get("tensors_sha256", "")
    if promised:
        found = tensors_sha256(arrays)
        if found != promised:
            raise WeightsError(
                f"{what}: damaged: the sha256 of its tensors is {found}, it was written with {promised}",
                hint=fix,
            )
    check_kinds(arrays, what, fix)
    architecture = _architecture(arrays, metadata, what)
    if architecture == "i3d":
        check_i3d(arrays, metadata.get("stream") or _stream(arrays), what)
    elif architecture == R50:
        check_r50(arrays, what)
    bad = [key for key, array in arrays.items() if array.dtype.kind == "f" and not np.isfinite(array).all()]
    if bad:
        raise WeightsError(f"{what}: holds NaN or infinity in {', '.join(bad[:5])}", hint=fix)
    return CheckedFile(name, sha256, architecture, arrays, metadata)


def _architecture(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str], what: str) -> str:
    stated = metadata.get("architecture", "")
    if stated:
        return stated
    if "ascnet" in metadata:
        return "ascnet"  # whoever loads the model checks that it is whole
    if "conv3d_1a_7x7.weight" in arrays:
        return "i3d"
    if is_r50(arrays):
        return R50
    if _RAFT_STEM in arrays:
        return "raft"
    raise WeightsError(
        f"{what}: holds neither I3D, i3d_r50 nor RAFT tensors under the names that are loaded",
        hint="Convert the published file with `ascnet weights convert`.",
    )


def _stream(arrays: Mapping[str, np.ndarray]) -> str:
    return "flow" if arrays["conv3d_1a_7x7.weight"].shape[1:2] == (2,) else "rgb"


def _fix(known: WeightsEntry) -> str:
    if known.shipped:
        return "Install ascnet again; in a git checkout, restore the file with git."
    return f"Run `ascnet weights fetch {known.name}`."
