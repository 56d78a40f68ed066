"""Read pickles of numpy arrays and of nothing else.

A pickle is a program, and unpickling runs it. Here its only instructions that can reach outside are
those which rebuild a numpy array; any other name it asks for ends the reading before the name is used.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from weights.errors import WeightsError

# What `ndarray.__reduce__` names: the function is the same one under numpy 1's and numpy 2's name.
_RECONSTRUCT = np.empty(0).__reduce__()[0]
_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}
_MOST_ARRAYS = 10_000  # I3D has 600
# A damaged pickle can fail in any of these ways; see the warning at the end of pickle.UnpicklingError.
_FAILURES = (
    pickle.UnpicklingError,
    EOFError,
    AttributeError,
    IndexError,
    KeyError,
    MemoryError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
)


class _NumpyUnpickler(pickle.Unpickler):
    """An unpickler that knows four names."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:  # noqa: ANN401 - pickle's own signature
        """Look a name up in the allow-list."""
        try:
            return _ALLOWED[module_name, global_name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}") from None

    def persistent_load(self, pid: object, /) -> object:
        """Refuse references to things outside the file."""
        raise pickle.UnpicklingError(f"it refers to {pid!r} outside of the file")


def _latin1(text: str, codec: str) -> bytes:
    """How Python 3 writes bytes into a pickle that Python 2 could read; no other codec."""
    if codec != "latin1":
        raise pickle.UnpicklingError(f"it asks for the codec {codec!r}")
    return text.encode("latin1")


class _ObjectUnpickler(_NumpyUnpickler):
    """The same, for arrays that Python 2, or an older numpy, may have written."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:  # noqa: ANN401 - pickle's own signature
        """Look a name up in the allow-list, or the one function that old pickles write bytes with."""
        if (module_name, global_name) == ("_codecs", "encode"):
            return _latin1
        return super().find_class(module_name, global_name)


def load_numpy_pickle(data: bytes, what: str) -> dict[str, np.ndarray]:
    """Unpickle nested dictionaries of numpy arrays.

    Args:
        data: the pickle.
        what: the file, for messages.

    Returns:
        The arrays, by their keys joined with "/".

    Raises:
        WeightsError: the pickle is damaged, asks for anything but numpy arrays, or holds anything else.
    """
    try:
        content = _NumpyUnpickler(io.BytesIO(data)).load()
        arrays: dict[str, np.ndarray] = {}
        for name, array in _flatten(content, ""):
            arrays[name] = array
            if len(arrays) > _MOST_ARRAYS:
                raise ValueError(f"it holds more than {_MOST_ARRAYS} arrays")
        return arrays
    except _FAILURES as error:
        raise WeightsError(
            f"{what}: not a pickle of plain numpy arrays: {error}",
            hint="It was not run. Take the file from its publisher; other pickles are refused.",
        ) from error


def load_object_array(file: BinaryIO, what: str) -> np.ndarray:
    """Read a `.npy` file whose entries may be lists, text or arrays, which numpy stores as a pickle.

    Args:
        file: open for reading bytes.
        what: the file, for messages.

    Raises:
        WeightsError: it is damaged, or its pickle asks for anything but numpy arrays.
    """
    try:
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0
        if version != (1, 0):
            read_header = np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(file)
        if not dtype.hasobject:
            file.seek(0)
            plain: np.ndarray = np.load(file, allow_pickle=False)
            return plain
        # Python 2 wrote text and bytes alike: latin1 keeps every byte of both.
        content = _ObjectUnpickler(file, encoding="latin1").load()
        if not isinstance(content, np.ndarray) or content.shape != shape:
            raise TypeError(f"it holds no array of shape {shape}")
    except _FAILURES as error:
        raise WeightsError(
            f"{what}: not an array of numbers, text and lists: {error}",
            hint="It was not run. Take the file from its publisher; other pickles are refused.",
        ) from error
    return content


def _flatten(content: object, place: str) -> Iterator[tuple[str, np.ndarray]]:
    """Arrays one by one: a few dictionaries that hold one another twice name more than there is time for."""
    if isinstance(content, np.ndarray) and place:
        yield place, content
        return
    if not isinstance(content, dict) or not content:
        raise TypeError(f"{place or 'its top'} is a {type(content).__name__} without arrays")
    for key, value in content.items():
        if not isinstance(key, str):
            raise TypeError(f"{place or 'its top'} has the key {key!r}, not text")
        yield from _flatten(value, f"{place}/{key}" if place else key)
