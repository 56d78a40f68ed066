import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weights.convert import convert
from weights.crc32c import crc32c, mask
from weights.errors import WeightsError
from weights.files import git_object_id, parse_safetensors
from weights.layouts import recognise, to_canonical
from weights.tfbundle import bundle_prefix, data_file, read_bundle

MAGIC = bytes.fromhex("57fb808b247547db")
TYPES = {"float32": 1, "float64": 2, "int32": 3, "int64": 9, "float16": 19}


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def block(items, restart_every=16):
    """A LevelDB block with shared key prefixes."""
    out, restarts, last = bytearray(), [], b""
    for i, (key, value) in enumerate(items):
        shared = 0
        if i % restart_every == 0:
            restarts.append(len(out))
        else:
            while shared < min(len(key), len(last)) and key[shared] == last[shared]:
                shared += 1
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        last = key
    for restart in restarts or [0]:
        out += restart.to_bytes(4, "little")
    return bytes(out) + len(restarts or [0]).to_bytes(4, "little")


def table(blocks):
    """A table of data blocks, each a list of items; returns its bytes."""
    out, handles = bytearray(), []

    def add(content):
        handle = varint(len(out)) + varint(len(content))
        out.extend(content + b"\0" + mask(crc32c(content + b"\0")).to_bytes(4, "little"))
        return handle

    handles = [(items[-1][0], add(block(items))) for items in blocks]
    footer = add(block([])) + add(block(handles, restart_every=1))
    return bytes(out) + footer.ljust(40, b"\0") + MAGIC


def entry(dtype, shape, offset, size, checksum):
    dims = b"".join(b"\x12" + varint(len(d)) + d for d in (b"\x08" + varint(n) for n in shape))
    return (
        b"\x08" + varint(dtype) + b"\x12" + varint(len(dims)) + dims + b"\x20" + varint(offset)
        + b"\x28" + varint(size) + b"\x35" + checksum.to_bytes(4, "little")
    )  # fmt: skip


def write_bundle(prefix, arrays, per_block=7):
    """TensorFlow's format, one shard."""
    data, items = bytearray(), [(b"", b"\x08\x01\x1a\x02\x08\x01")]
    for name in sorted(arrays):
        content = arrays[name].tobytes()
        dtype = TYPES[arrays[name].dtype.name]
        checksum = mask(crc32c(content))
        items.append((name.encode(), entry(dtype, arrays[name].shape, len(data), len(content), checksum)))
        data += content
    blocks = [items[i : i + per_block] for i in range(0, len(items), per_block)]
    prefix.with_name(prefix.name + ".index").write_bytes(table(blocks))
    data_file(prefix).write_bytes(data)
    return prefix


@pytest.fixture
def small_bundle(tmp_path):
    arrays = {
        "a/conv/w": np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4),
        "a/norm/beta": np.array([1.5, -2.5], np.float32),
        "step": np.array(7, np.int64),
    }
    return write_bundle(tmp_path / "model.ckpt", arrays), arrays


def test_round_trip(small_bundle):
    prefix, arrays = small_bundle
    back = read_bundle(prefix)
    assert back.keys() == arrays.keys()
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype
        np.testing.assert_array_equal(back[name], array)


@given(
    names=st.sets(st.text("abcdeé/_", min_size=1, max_size=12), min_size=1, max_size=40),
    per_block=st.integers(1, 50),
)
def test_any_names_and_block_sizes(tmp_path_factory, names, per_block):
    arrays = {name: np.full((i % 3, 2), i, np.float16) for i, name in enumerate(sorted(names))}
    prefix = write_bundle(tmp_path_factory.mktemp("bundle") / "m", arrays, per_block)
    back = read_bundle(prefix)
    assert {name: a.tolist() for name, a in back.items()} == {name: a.tolist() for name, a in arrays.items()}


def test_any_file_of_a_bundle_leads_to_it(small_bundle, tmp_path):
    prefix, _ = small_bundle
    for path in (prefix, tmp_path / "model.ckpt.index", tmp_path / "model.ckpt.data-00000-of-00001"):
        assert bundle_prefix(path) == prefix
    assert bundle_prefix(tmp_path / "other.pt") is None


def test_each_damaged_byte_of_the_index_is_noticed(small_bundle):
    prefix, arrays = small_bundle
    path = prefix.with_name("model.ckpt.index")
    whole = path.read_bytes()
    unnoticed = []
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x41]) + whole[position + 1 :])
        try:
            back = read_bundle(prefix)
        except WeightsError:
            continue
        unnoticed.append(position)
        assert all((back[name] == array).all() for name, array in arrays.items())
    # Only bytes that nothing reads may change: the metaindex block and the footer's padding.
    index_block_and_footer = len(whole) - unnoticed[0]
    assert index_block_and_footer < 120
    assert whole[unnoticed[0] : unnoticed[0] + 8] == block([])


def test_no_truncated_index_escapes_as_another_error(small_bundle):
    prefix, _ = small_bundle
    path = prefix.with_name("model.ckpt.index")
    whole = path.read_bytes()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(WeightsError, match=r"model\.ckpt\.index: damaged"):
            read_bundle(prefix)


def test_damaged_data_names_the_tensor(small_bundle):
    prefix, _ = small_bundle
    path = data_file(prefix)
    data = bytearray(path.read_bytes())
    data[5] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="a/conv/w has checksum"):
        read_bundle(prefix)


def test_data_that_is_cut_short_is_an_error(small_bundle):
    prefix, _ = small_bundle
    path = data_file(prefix)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(WeightsError, match="step ends at byte 112 of 111"):
        read_bundle(prefix)


def test_a_missing_data_file_is_an_error(small_bundle):
    prefix, _ = small_bundle
    data_file(prefix).unlink()
    with pytest.raises(WeightsError, match="data-00000-of-00001: cannot be read"):
        read_bundle(prefix)


@pytest.mark.parametrize(
    ("header", "message"),
    [(b"\x08\x00", "0 shards"), (b"\x08\xff\xff\xff\xff\x0f", "shards"), (b"\x08\x01\x10\x01", "big-endian")],
)
def test_odd_headers_are_refused(tmp_path, header, message):
    (tmp_path / "m.index").write_bytes(table([[(b"", header)]]))
    with pytest.raises(WeightsError, match=message):
        read_bundle(tmp_path / "m")


def test_a_size_that_the_shape_contradicts_is_refused(tmp_path):
    items = [(b"", b"\x08\x01"), (b"x", entry(1, (2**40, 2**40), 0, 8, 0))]
    (tmp_path / "m.index").write_bytes(table([items]))
    data_file(tmp_path / "m").write_bytes(bytes(8))
    with pytest.raises(WeightsError, match="x has 8 bytes for shape"):
        read_bundle(tmp_path / "m")


def test_tensors_that_are_not_numbers_are_left_out(tmp_path):
    items = [(b"", b"\x08\x01"), (b"graph", entry(7, (1,), 0, 10**9, 0))]
    (tmp_path / "m.index").write_bytes(table([items]))
    assert read_bundle(tmp_path / "m") == {}


@pytest.mark.parametrize("stream", ["rgb", "flow"])
@pytest.mark.parametrize("given", ["model.ckpt", "model.ckpt.index", "model.ckpt.data-00000-of-00001"])
def test_a_deepmind_checkpoint_is_converted_from_any_of_its_files(
    tmp_path, random_units, publish, stream, given
):
    arrays = publish(random_units(stream), "deepmind", stream)
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    write_bundle(tmp_path / "model.ckpt", arrays)
    converted = convert(tmp_path / given, tmp_path / "out.safetensors")
    assert (converted.layout, converted.stream) == ("deepmind", stream)
    shard = data_file(tmp_path / "model.ckpt").read_bytes()
    assert converted.source_git_object_id == git_object_id(shard)
    expected = to_canonical(arrays, recognise(arrays, "arrays"), "arrays")
    stored, _ = parse_safetensors(converted.path.read_bytes(), "out")
    assert all((stored[name] == array).all() for name, array in expected.items())
