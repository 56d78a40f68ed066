import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

from weights.errors import WeightsError
from weights.pickles import load_numpy_pickle


class Malicious:
    """Unpickling this makes a folder."""

    def __init__(self, sentinel):
        self.sentinel = str(sentinel)

    def __reduce__(self):
        return os.mkdir, (self.sentinel,)


class HidesInAnArray(Malicious):
    pass


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_nested_arrays_come_back_equal(protocol):
    tree = {
        "params": {"a/b": {"kernel": np.arange(6, dtype=np.float32).reshape(2, 3)}},
        "s": np.float64([1.5]),
    }
    if protocol == 5:
        # Protocol 5 rebuilds arrays through another function, which no known checkpoint uses.
        with pytest.raises(WeightsError, match="_frombuffer"):
            load_numpy_pickle(pickle.dumps(tree, protocol), "file")
        return
    if protocol == 2:
        # Bytes are text passed through a codec there, likewise unused.
        with pytest.raises(WeightsError, match="_codecs"):
            load_numpy_pickle(pickle.dumps(tree, protocol), "file")
        return
    arrays = load_numpy_pickle(pickle.dumps(tree, protocol), "file")
    assert arrays.keys() == {"params/a/b/kernel", "s"}
    np.testing.assert_array_equal(arrays["params/a/b/kernel"], tree["params"]["a/b"]["kernel"])


def test_the_names_of_numpy_1_are_known_too():
    data = pickle.dumps({"a": np.ones(3)}, protocol=4)
    old = data.replace(b"\x8c\x16numpy._core.multiarray", b"\x8c\x15numpy.core.multiarray")
    assert old != data
    # The frame that holds the name is one byte shorter.
    length = int.from_bytes(data[3:11], "little")
    old = data[:3] + (length - 1).to_bytes(8, "little") + old[11:]
    np.testing.assert_array_equal(load_numpy_pickle(old, "file")["a"], np.ones(3))


@pytest.mark.parametrize("wrap", [lambda m: m, lambda m: {"a": m}, lambda m: {"a": np.array([m, None])}])
def test_a_malicious_pickle_does_not_run(tmp_path, wrap):
    sentinel = tmp_path / "it_ran"
    data = pickle.dumps(wrap(Malicious(sentinel)), protocol=4)
    with pytest.raises(WeightsError, match="mkdir") as caught:
        load_numpy_pickle(data, "bad.ckpt")
    assert not sentinel.exists()
    assert str(caught.value).startswith("bad.ckpt: ")
    assert "not run" in caught.value.hint
    pickle.loads(data)  # noqa: S301 - shows that the pickle would have run
    assert sentinel.exists()


@pytest.mark.parametrize("name", [b"builtins\neval", b"os\nsystem", b"numpy\nload", b"numpy\nmemmap"])
def test_other_names_are_refused_even_from_numpy(name):
    with pytest.raises(WeightsError, match=name.decode().replace("\n", r"\.")):
        load_numpy_pickle(b"c" + name + b"\n.", "file")


def test_references_outside_the_file_are_refused():
    with pytest.raises(WeightsError, match="outside of the file"):
        load_numpy_pickle(b"Pexternal\n.", "file")


@pytest.mark.parametrize("content", [[np.ones(2)], {"a": "text"}, {1: np.ones(2)}, np.ones(2), {"a": None}])
def test_anything_but_named_arrays_is_refused(content):
    with pytest.raises(WeightsError, match="not a pickle of plain numpy arrays"):
        load_numpy_pickle(pickle.dumps(content, protocol=4), "file")


def test_no_truncated_pickle_escapes_as_another_error():
    data = pickle.dumps({"a": np.ones(3, np.float32), "b": {"c": np.zeros((2, 2))}}, protocol=4)
    for end in range(len(data)):
        with pytest.raises(WeightsError):
            load_numpy_pickle(data[:end], "file")


def opcodes(*parts):
    """A pickle of the dictionary {"a": whatever `parts` leave}."""
    return b"\x80\x05}X\x01\0\0\0a" + b"".join(parts) + b"s."


NDARRAY, DTYPE = b"cnumpy\nndarray\n", b"cnumpy\ndtype\n"
RECONSTRUCT = b"cnumpy._core.multiarray\n_reconstruct\n"
EMPTY = RECONSTRUCT + NDARRAY + b"K\0\x85C\x01b\x87R"
OBJECTS, FLOATS, BYTES = b"X\x02\0\0\0O8", b"X\x02\0\0\0f8", b"X\x02\0\0\0V8"
ONE, MANY = b"K\x01\x85", b"J\0\0\0\x10\x85"  # shapes: (1,), (2**28,)
POINTER = b"A" * 8
BYTEARRAY = b"\x96\x08" + bytes(7) + POINTER
STATE, LAST = b"(K\x01", b"\x89C\x08" + POINTER + b"tb"  # of an array, but for its shape and its type
# State of a type with a field "a" of objects, and without the flag that says so.
FIELDS = (
    b"(K\x03X\x01\0\0\0|NX\x01\0\0\0a\x85}X\x01\0\0\0a" + DTYPE + OBJECTS + b"\x85RK\0\x86sK\x08K\x01K\0tb"
)
SET_ITEM = b"K\0K\x05s"  # what was there is let go of
HARM = {
    "pointers out of bytes": (NDARRAY, ONE, OBJECTS, BYTEARRAY, b"\x87R", SET_ITEM),
    "the same, made anew": (NDARRAY, ONE, OBJECTS, BYTEARRAY, b"\x87\x81", SET_ITEM),
    "room for nothing": (NDARRAY, MANY, OBJECTS, b"\x86R"),
    "room to begin with": (RECONSTRUCT, DTYPE, MANY, b"C\x01b\x87R"),
    "content that does not fill it": (EMPTY, STATE, MANY, DTYPE, FLOATS, b"\x85R", LAST),
    "objects out of bytes": (EMPTY, STATE, ONE, DTYPE, OBJECTS, b"\x85R", LAST),
    "objects that are said to be none": (EMPTY, STATE, ONE, DTYPE, BYTES, b"\x85R", FIELDS, LAST),
    "fields": (EMPTY, STATE, ONE, DTYPE, FLOATS, b"\x85R", FIELDS, LAST),
}


@pytest.mark.parametrize("kind", HARM)
def test_the_known_names_do_no_harm_themselves(tmp_path, kind):
    """In a process of its own: what this is about ends a process, or takes gigabytes."""
    (tmp_path / "a.ckpt").write_bytes(opcodes(*HARM[kind]))
    (tmp_path / "a.npy").write_bytes(np.lib.format.magic(1, 0) + NPY_HEADER + opcodes(*HARM[kind]))
    done = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["refused", "refused"]


_HEADER = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
NPY_HEADER = len(_HEADER).to_bytes(2, "little") + _HEADER
READ = """
import pathlib, resource, sys
from weights.errors import WeightsError
from weights.pickles import load_numpy_pickle, load_object_array
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
folder = pathlib.Path(sys.argv[1])
for read in (
    lambda: load_numpy_pickle((folder / "a.ckpt").read_bytes(), "a.ckpt"),
    lambda: load_object_array((folder / "a.npy").open("rb"), "a.npy"),
):
    try:
        read()
    except WeightsError:
        print("refused")
assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000
"""


def test_what_is_read_is_an_array_like_any_other():
    for order in "<>":
        array = np.asfortranarray(np.arange(6).reshape(2, 3), f"{order}f4")
        (back,) = load_numpy_pickle(pickle.dumps({"a": array}, protocol=4), "file").values()
        assert type(back) is np.ndarray
        assert back.dtype == np.float32  # numpy turns the bytes of other machines around
        np.testing.assert_array_equal(back, array)
