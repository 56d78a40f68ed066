"""Read pickles of numpy arrays and of nothing else.

A pickle is a program, and unpickling runs it. Here its only instructions that can reach outside are
those which rebuild a numpy array; any other name it asks for ends the reading before the name is used.

Even those names do not give numpy's own objects: `numpy.ndarray` called with a buffer makes an array of
objects out of any bytes, whose next change follows a pointer that the file chose; called with a shape alone
it takes as much memory as the file likes; and the state of a `numpy.dtype` may say that objects are none.
So what stands in for them here can do one thing each, and looks at what it is given first.
"""

from __future__ import annotations

import io
import math
import pickle
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from weights.errors import WeightsError

# Numbers, bytes and text of a size, and objects: all that arrays of weights and of annotations are made of.
_CODE = re.compile(r"[|<>=]?(?:[biufc](?:1|2|4|8|16)|[SU][1-9]\d{0,8}|O[48]?)")
_PLAIN_STATE = (None, None, None)  # of a type: no array in it, no names and no fields
_STATE_PARTS = 5  # of an array: version, shape, type, whether columns come first, content


class _Type:
    """Stands in for a `numpy.dtype` on its way."""

    __slots__ = ("dtype",)

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype

    def __setstate__(self, state: object) -> None:
        """Take the byte order out of what `numpy.dtype.__reduce__` wrote; the rest says nothing new."""
        if not isinstance(state, tuple) or state[2:_STATE_PARTS] != _PLAIN_STATE:
            raise pickle.UnpicklingError("it asks for a type of its own")
        self.dtype = self.dtype.newbyteorder(state[1])


class _Types:
    """Stands in for `numpy.dtype` itself."""

    __slots__ = ()

    def __call__(self, code: object, *_how: object) -> _Type:
        if not isinstance(code, str) or not _CODE.fullmatch(code):
            raise pickle.UnpicklingError(f"it asks for the type {code!r}")
        return _Type(np.dtype(code))


class _Array(np.ndarray):
    """An array on its way, that takes only a content that fits its shape."""

    __slots__ = ()

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) != _STATE_PARTS or not isinstance(state[2], _Type):
            raise pickle.UnpicklingError("it has an array of no known form")
        version, shape, kind, columns_first, content = state
        if not isinstance(shape, tuple) or not all(type(size) is int and size >= 0 for size in shape):
            raise pickle.UnpicklingError("it has an array without a shape")
        objects = kind.dtype.hasobject
        if not isinstance(content, list if objects else (bytes, str)):
            raise pickle.UnpicklingError("it has an array whose content is of another kind")
        if math.prod(shape) * (1 if objects else kind.dtype.itemsize) != len(content):
            raise pickle.UnpicklingError("it has an array whose content does not fill its shape")
        told = (version, shape, kind.dtype, columns_first, content)
        super().__setstate__(told)  # type: ignore[arg-type]  # text is what Python 2 called bytes


class _Reconstruct:
    """Stands in for the function that begins an array, empty."""

    __slots__ = ()

    def __call__(self, kind: object, *_what: object) -> _Array:
        if kind is not _NDARRAY:
            raise pickle.UnpicklingError("it asks for an array of another class")
        return _Array((0,), np.int8)


_NDARRAY = object()  # a name to be given on, not to be called
_RECONSTRUCT = _Reconstruct()
# What `ndarray.__reduce__` names: the function is the same one under numpy 1's and numpy 2's name.
_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _Types(),
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
        content = content.view(np.ndarray)
    except _FAILURES as error:
        raise WeightsError(
            f"{what}: not an array of numbers, text and lists: {error}",
            hint="It was not run. Take the file from its publisher; other pickles are refused.",
        ) from error
    return content


def _flatten(content: object, place: str) -> Iterator[tuple[str, np.ndarray]]:
    """Arrays one by one: a few dictionaries that hold one another twice name more than there is time for."""
    if isinstance(content, np.ndarray) and place:
        yield place, content.view(np.ndarray)
        return
    if not isinstance(content, dict) or not content:
        raise TypeError(f"{place or 'its top'} is a {type(content).__name__} without arrays")
    for key, value in content.items():
        if not isinstance(key, str):
            raise TypeError(f"{place or 'its top'} has the key {key!r}, not text")
        yield from _flatten(value, f"{place}/{key}" if place else key)
