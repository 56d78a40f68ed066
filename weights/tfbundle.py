"""Reader for TensorFlow tensor bundles (`model.ckpt.index` + `model.ckpt.data-00000-of-00001`).

The index is a sorted string table (LevelDB's format, uncompressed) from tensor names to protocol
buffers; the data shards hold the values one after the other. Written from the format's description in
tensorflow/core/util/tensor_bundle/tensor_bundle.h, core/protobuf/tensor_bundle.proto and
https://github.com/google/leveldb/blob/main/doc/table_format.md. Nothing in the files is trusted:
every offset is checked against what is there, every checksum against what was read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from weights.crc32c import crc32c, unmask
from weights.errors import WeightsError
from weights.files import read_bounded

_INDEX_SUFFIX = ".index"
_SHARD = re.compile(r"(?P<prefix>.+)\.data-\d{5}-of-\d{5}")

_MAGIC = bytes.fromhex("57fb808b247547db")  # the end of every LevelDB table
_FOOTER_BYTES = 48
_TRAILER_BYTES = 5  # after each block: compression type, masked checksum
_MAX_INDEX_BYTES = 64 * 2**20
_MAX_SHARDS = 64
_HEADER_KEY = b""

# tensorflow/core/framework/types.proto; checkpoints of other types than these hold no weights.
_DTYPES = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8", 19: "<f2"}


class _MalformedError(Exception):
    """Something in a file contradicts the format; caught in `read_bundle`."""


@dataclass(frozen=True, slots=True)
class BundleEntry:
    """Where a tensor lies.

    Attributes:
        dtype: TensorFlow's number of the type.
        shape: sizes of its axes.
        shard: which data file.
        offset: first byte there.
        size: bytes.
        checksum: masked CRC-32C of those bytes.
    """

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    checksum: int


def bundle_prefix(path: Path) -> Path | None:
    """The common part of a bundle's file names, given any of them or that part; None: not a bundle."""
    shard = _SHARD.fullmatch(path.name)
    if path.name.endswith(_INDEX_SUFFIX):
        prefix = path.with_name(path.name.removesuffix(_INDEX_SUFFIX))
    else:
        prefix = path.with_name(shard["prefix"]) if shard else path
    return prefix if prefix.with_name(prefix.name + _INDEX_SUFFIX).exists() else None


def data_file(prefix: Path, shard: int = 0, n_shards: int = 1) -> Path:
    """The path of a data shard."""
    return prefix.with_name(f"{prefix.name}.data-{shard:05d}-of-{n_shards:05d}")


def read_bundle(prefix: Path) -> dict[str, np.ndarray]:
    """Read every tensor of a bundle whose type is a number.

    Args:
        prefix: the path without `.index`.

    Raises:
        WeightsError: a file is missing, cut short, damaged, or not a tensor bundle.
    """
    index_path = prefix.with_name(prefix.name + _INDEX_SUFFIX)
    index = read_bounded(index_path, _MAX_INDEX_BYTES)
    try:
        n_shards, entries = _parse_index(index)
    except _MalformedError as error:
        raise _damaged(index_path, error) from error
    shards: dict[int, bytes] = {}
    arrays: dict[str, np.ndarray] = {}
    for name, entry in entries.items():
        if entry.dtype not in _DTYPES:
            continue
        path = data_file(prefix, entry.shard, n_shards)
        if entry.shard not in shards:
            shards[entry.shard] = read_bounded(path)
        try:
            arrays[name] = _tensor(shards[entry.shard], name, entry)
        except _MalformedError as error:
            raise _damaged(path, error) from error
    return arrays


def _damaged(path: Path, error: Exception) -> WeightsError:
    return WeightsError(
        f"{path}: damaged, or not part of a TensorFlow checkpoint: {error}",
        hint="Get the .index and the .data file again from the same place.",
    )


def _tensor(shard: bytes, name: str, entry: BundleEntry) -> np.ndarray:
    dtype = np.dtype(_DTYPES[entry.dtype])
    if entry.size != prod(entry.shape) * dtype.itemsize:
        raise _MalformedError(f"{name} has {entry.size} bytes for shape {entry.shape} of {dtype.name}")
    if entry.offset + entry.size > len(shard):
        raise _MalformedError(f"{name} ends at byte {entry.offset + entry.size} of {len(shard)}")
    data = shard[entry.offset : entry.offset + entry.size]
    expected, found = unmask(entry.checksum), crc32c(data)
    if expected != found:
        raise _MalformedError(f"{name} has checksum {found:08x}, the index says {expected:08x}")
    return np.frombuffer(data, dtype=dtype).reshape(entry.shape)


def _parse_index(data: bytes) -> tuple[int, dict[str, BundleEntry]]:
    """Number of shards, and the tensors by name."""
    if len(data) < _FOOTER_BYTES or not data.endswith(_MAGIC):
        raise _MalformedError("it does not end like a LevelDB table")
    footer = data[-_FOOTER_BYTES:]
    at = _skip_handle(footer)
    (offset, at), end = _varint(footer, at), len(data) - _FOOTER_BYTES
    size, _ = _varint(footer, at)
    n_shards = 0
    entries: dict[str, BundleEntry] = {}
    for _, handle in _block_items(_block(data, offset, size, end)):
        block_offset, at = _varint(handle, 0)
        block_size, _ = _varint(handle, at)
        for key, value in _block_items(_block(data, block_offset, block_size, end)):
            if key == _HEADER_KEY:
                n_shards = _n_shards(value)
            else:
                entries[_text(key)] = _entry(value)
    if not 1 <= n_shards <= _MAX_SHARDS or any(entry.shard >= n_shards for entry in entries.values()):
        raise _MalformedError(f"its header speaks of {n_shards} shards")
    return n_shards, entries


def _text(key: bytes) -> str:
    try:
        return key.decode()
    except UnicodeDecodeError as error:
        raise _MalformedError(f"the name {key!r} is not text") from error


def _skip_handle(footer: bytes) -> int:
    """Position after the first of the footer's two block handles."""
    _, at = _varint(footer, 0)
    return _varint(footer, at)[1]


def _block(data: bytes, offset: int, size: int, end: int) -> bytes:
    """One block of the table, its checksum verified."""
    if offset + size + _TRAILER_BYTES > end:
        raise _MalformedError(f"a block of {size} bytes at {offset} reaches over the end")
    content = data[offset : offset + size]
    trailer = data[offset + size : offset + size + _TRAILER_BYTES]
    expected, found = unmask(int.from_bytes(trailer[1:], "little")), crc32c(content + trailer[:1])
    if expected != found:
        raise _MalformedError(f"the block at {offset} has checksum {found:08x}, stored is {expected:08x}")
    if trailer[0] != 0:
        raise _MalformedError("its blocks are compressed, which TensorFlow does not do")
    return content


def _block_items(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Key and value pairs; each key repeats a part of the one before it."""
    if len(block) < 4:
        raise _MalformedError("a block is too short")
    end = len(block) - 4 * (int.from_bytes(block[-4:], "little") + 1)
    at, key = 0, b""
    while at < end:
        shared, at = _varint(block, at)
        fresh, at = _varint(block, at)
        size, at = _varint(block, at)
        if shared > len(key) or at + fresh + size > end:
            raise _MalformedError("a block's entry reaches over its end")
        key = key[:shared] + block[at : at + fresh]
        yield key, block[at + fresh : at + fresh + size]
        at += fresh + size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A base-128 number of at most 64 bits, and the position after it."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise _MalformedError("a number does not end")


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field numbers and values of a protocol buffer: numbers, or bytes for nested messages."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == 0:
            number, at = _varint(message, at)
            yield tag >> 3, number
            continue
        if kind == 2:
            size, at = _varint(message, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise _MalformedError(f"a field of the unknown kind {kind}")
        if at + size > len(message):
            raise _MalformedError("a field reaches over its message")
        value = message[at : at + size]
        yield tag >> 3, value if kind == 2 else int.from_bytes(value, "little")
        at += size


def _n_shards(header: bytes) -> int:
    """BundleHeaderProto: 1 num_shards, 2 endianness."""
    fields = dict(_fields(header))
    if fields.get(2, 0) != 0:
        raise _MalformedError("its numbers are big-endian")
    n_shards = fields.get(1, 1)
    return n_shards if isinstance(n_shards, int) else 0


def _entry(message: bytes) -> BundleEntry:
    """BundleEntryProto: 1 dtype, 2 shape, 3 shard_id, 4 offset, 5 size, 6 crc32c."""
    numbers = dict.fromkeys((1, 3, 4, 5, 6), 0)
    shape: tuple[int, ...] = ()
    for number, value in _fields(message):
        if isinstance(value, bytes):
            if number == 2:
                shape = _shape(value)
        elif number in numbers:
            numbers[number] = value
    return BundleEntry(numbers[1], shape, numbers[3], numbers[4], numbers[5], numbers[6])


def _shape(message: bytes) -> tuple[int, ...]:
    """TensorShapeProto: 2 dim, each with 1 size."""
    sizes: list[int] = []
    for number, value in _fields(message):
        if number == 2 and isinstance(value, bytes):
            size = dict(_fields(value)).get(1, 0)
            sizes.append(size if isinstance(size, int) else 0)
    return tuple(sizes)
