import os
import pickle

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
