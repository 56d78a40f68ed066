"""`.npy` files and no others: no pickle, no archive, and no more memory than the file is long.

`numpy.load` guesses what a file is. Here the header is read first: what it promises must be just what
the file holds.
"""

from __future__ import annotations

import io
import math
import tokenize
from pathlib import Path

import numpy as np

# All that numpy's reader of headers has been seen to raise at a damaged one.
_FAILURES = (
    ValueError,
    TypeError,
    SyntaxError,
    OverflowError,
    RecursionError,
    MemoryError,
    tokenize.TokenError,
)
_MAGIC = b"\x93NUMPY"


def parse_npy(data: bytes) -> np.ndarray:
    """The array of a `.npy` file that is in memory.

    Raises:
        ValueError: it is none, damaged, or holds objects.
    """
    file = io.BytesIO(data)
    shape, in_columns, dtype = _header(file, len(data))
    flat = np.frombuffer(data, dtype=dtype, offset=file.tell())
    return np.array(flat.reshape(shape, order="F" if in_columns else "C"), order="C")


def map_npy(path: Path) -> np.ndarray:
    """The array of a `.npy` file, mapped into memory for reading.

    Raises:
        ValueError: it is none, damaged, or holds objects.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        shape, in_columns, dtype = _header(file, path.stat().st_size)
        offset = file.tell()
    if not math.prod(shape):
        return np.empty(shape, dtype)  # nothing cannot be mapped
    return np.memmap(path, dtype, "r", offset, shape, "F" if in_columns else "C")


def _header(file: io.BufferedIOBase, n_bytes: int) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether columns come first, and type; the file is left behind the header."""
    if file.read(len(_MAGIC)) != _MAGIC:
        raise ValueError("not a .npy file")
    file.seek(0)
    try:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, in_columns, dtype = np.lib.format.read_array_header_1_0(file)
        else:
            shape, in_columns, dtype = np.lib.format.read_array_header_2_0(file)
    except _FAILURES as error:
        raise ValueError(f"its header is damaged: {error}") from error
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are pickles")
    if min(shape, default=0) < 0 or not dtype.itemsize:
        raise ValueError(f"its header speaks of {shape} {dtype}")
    promised, found = math.prod(shape) * dtype.itemsize, n_bytes - file.tell()
    if promised != found:
        raise ValueError(f"its header promises {promised} bytes of numbers, {found} are there")
    return shape, bool(in_columns), dtype
