"""Bytes on disk: bounded reads, fingerprints, whole writes, and the safetensors layout."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from weights.atomic import replacing, write_error
from weights.errors import WeightsError

# The largest public checkpoint that is read has 28 million numbers, 112 MB (i3d_r50). Four times that
# leaves room, and keeps a wrong path (a video, a disk image) from filling the memory.
MAX_BYTES = 512 * 2**20

FORMAT = "ascnet"  # the value of "format" in the metadata of every file that we write

_SAFETENSORS_DTYPES = {"float16": "F16", "float32": "F32"}


def check_kinds(arrays: Mapping[str, np.ndarray], what: str, hint: str) -> None:
    """See that weights are numbers in single or half precision.

    Anything else (whole numbers, truth values, complex numbers, double precision) would have to be cast, and
    is not what any known network was saved as.

    Raises:
        WeightsError: some are not; the message names the first five, and their types.
    """
    others = [
        f"{name} is {array.dtype}"
        for name, array in arrays.items()
        if array.dtype.name not in _SAFETENSORS_DTYPES
    ]
    if others:
        more = f"; and {len(others) - 5} more" if len(others) > 5 else ""
        raise WeightsError(
            f"{what}: {'; '.join(others[:5])}{more}; weights are float32 or float16", hint=hint
        )


def sha256_hex(data: bytes) -> str:
    """SHA-256 of some bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def git_object_id(data: bytes) -> str:
    """The id under which git stores a file: SHA-1 of "blob <size>", a zero byte, and the content."""
    digest = hashlib.sha1(b"blob %d\0" % len(data), usedforsecurity=False)
    digest.update(data)
    return digest.hexdigest()


def read_bounded(path: Path, limit: int = MAX_BYTES) -> bytes:
    """Read a whole file once.

    Raises:
        WeightsError: the file is missing, not a regular one, cannot be read, or has more than `limit` bytes.
    """
    try:
        if path.exists() and not path.is_file():  # before it is opened: a pipe would keep us for ever
            raise WeightsError(f"{path}: not a regular file", hint="Check the path.")
        with path.open("rb") as file:
            # No more room than is needed: `read` takes all that it is told at once.
            data = file.read(min(limit, os.fstat(file.fileno()).st_size) + 1)
    except OSError as error:
        raise WeightsError(
            f"{path}: cannot be read ({error.strerror})", hint="Check the path and its permissions."
        ) from error
    if len(data) > limit:
        raise WeightsError(
            f"{path}: larger than {limit >> 20} MiB, which no known checkpoint is",
            hint="Check that the path is the one of a checkpoint.",
        )
    return data


def write_whole(path: Path, data: bytes) -> None:
    """Write a file, and its folder where there is none; it is complete at its final path, or not there.

    Raises:
        OutputError: the place cannot be written to.
        StorageError: the disk is full or broken.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(error, path.parent) from error
    with replacing(path) as file:
        file.write(data)


def tensors_sha256(arrays: Mapping[str, np.ndarray]) -> str:
    """One hash over names, types, shapes and values, whatever file they lie in."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def safetensors_bytes(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """Serialise to https://huggingface.co/docs/safetensors#format, equal input to equal bytes.

    The library's own writer puts the metadata in an order that changes from run to run, which would
    make the file's hash change too. Tensors go in descending size of their type, so that each begins
    at a multiple of its item size, then by name.

    Raises:
        ValueError: a tensor is neither float16 nor float32.
    """
    header: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))}
    parts: list[bytes] = []
    end = 0
    for name in sorted(arrays, key=lambda name: (-arrays[name].dtype.itemsize, name)):
        array = arrays[name]
        if array.dtype.name not in _SAFETENSORS_DTYPES:
            raise ValueError(f"{name} is {array.dtype}; only float16 and float32 are stored")
        part = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        header[name] = {
            "dtype": _SAFETENSORS_DTYPES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [end, end + len(part)],
        }
        parts.append(part)
        end += len(part)
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    return b"".join([len(head).to_bytes(8, "little"), head, *parts])


def parse_safetensors(
    data: bytes,
    what: str,
    hint: str = "Get or convert the file again; `ascnet weights convert` reads the public layouts.",
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Tensors and metadata of a safetensors file that is already in memory.

    Args:
        data: the file.
        what: the file, for messages.
        hint: what to do when it is damaged.

    Raises:
        WeightsError: the bytes are not a whole safetensors file.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(data)
    except (SafetensorError, KeyError, ValueError) as error:
        raise WeightsError(f"{what}: not a whole safetensors file ({error})", hint=hint) from error
    # The library has just checked the header, but hands out metadata for files on disk only.
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return arrays, dict(header.get("__metadata__") or {})
