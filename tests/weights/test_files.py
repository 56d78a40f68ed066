import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from weights.errors import OutputError, WeightsError
from weights.files import (
    git_object_id,
    parse_safetensors,
    read_bounded,
    safetensors_bytes,
    tensors_sha256,
    write_whole,
)

ARRAYS = st.dictionaries(
    st.text(min_size=1, max_size=8).filter(lambda name: name != "__metadata__"),
    hnp.arrays(st.sampled_from([np.float16, np.float32]), hnp.array_shapes(max_dims=4, max_side=3)),
    min_size=1,
    max_size=5,
)


@pytest.mark.parametrize(
    ("data", "object_id"),
    [
        (b"", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"),
        (b"hello world\n", "3b18e512dba79e4c8300dd08aeb37f8e728b8dad"),
    ],
)
def test_git_object_ids_are_those_git_prints(data, object_id):
    assert git_object_id(data) == object_id


@given(arrays=ARRAYS, metadata=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=4))
def test_safetensors_round_trip_through_the_library(arrays, metadata):
    data = safetensors_bytes(arrays, metadata)
    back, back_metadata = parse_safetensors(data, "file")
    assert back_metadata == metadata
    assert back.keys() == arrays.keys()
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype
        np.testing.assert_array_equal(back[name], array)


@given(arrays=ARRAYS)
def test_order_does_not_change_the_bytes(arrays):
    backwards = dict(reversed(arrays.items()))
    assert safetensors_bytes(arrays, {"a": "1", "b": "2"}) == safetensors_bytes(
        backwards, {"b": "2", "a": "1"}
    )
    assert tensors_sha256(arrays) == tensors_sha256(backwards)


def test_the_hash_of_tensors_sees_values_shapes_types_and_names():
    array = np.arange(4, dtype=np.float32)
    versions = [
        {"a": array},
        {"b": array},
        {"a": array + 1},
        {"a": array.reshape(2, 2)},
        {"a": array.astype(np.float16)},
        {"a": array, "b": array},
    ]
    assert len({tensors_sha256(version) for version in versions}) == len(versions)


def test_other_types_are_not_stored():
    with pytest.raises(ValueError, match="a is int64"):
        safetensors_bytes({"a": np.zeros(2, np.int64)}, {})


def test_truncated_safetensors_are_an_error_at_any_length():
    data = safetensors_bytes({"a": np.ones((2, 3), np.float32)}, {"format": "x"})
    for end in range(len(data)):
        with pytest.raises(WeightsError, match="not a whole safetensors file"):
            parse_safetensors(data[:end], "file")


def test_a_write_that_fails_leaves_nothing_behind(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file: cannot be written"):
        write_whole(tmp_path / "file" / "under", b"data")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="folder is a folder"):
        write_whole(tmp_path / "folder", b"data")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_a_write_replaces_what_was_there(tmp_path):
    path = tmp_path / "new" / "file"
    write_whole(path, b"one")
    write_whole(path, b"two")
    assert path.read_bytes() == b"two"
    assert [other.name for other in path.parent.iterdir()] == ["file"]


def test_reading_is_bounded(tmp_path):
    (tmp_path / "big").write_bytes(bytes(11))
    assert len(read_bounded(tmp_path / "big", limit=11)) == 11
    with pytest.raises(WeightsError, match="larger than"):
        read_bounded(tmp_path / "big", limit=10)
    with pytest.raises(WeightsError, match="absent: cannot be read"):
        read_bounded(tmp_path / "absent")
