from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy
import torch

from weights.architecture import i3d_shapes
from weights.errors import WeightsError
from weights.files import safetensors_bytes, sha256_hex, tensors_sha256
from weights.integrity import verify
from weights.registry import entries, entry
from weights.store import load


@pytest.fixture
def in_folder(monkeypatch, tmp_path):
    """A folder for fetched weights, and (entry name, bytes) -> that file written to it."""
    monkeypatch.setenv("ASCNET_WEIGHTS", str(tmp_path))

    def write(name, data):
        entry(name).path.write_bytes(data)
        return entry(name).path

    return write


@pytest.fixture
def canonical(small_i3d):
    """(changes) -> a canonical flow file's bytes, of zeros."""

    def make(object_id="5d552d2206f41089c428b0d9d8de3b1fccc85b5a", change=lambda arrays: None):
        arrays = {name: np.zeros(shape, np.float32) for name, shape in i3d_shapes("flow").items()}
        change(arrays)
        metadata = {"architecture": "i3d", "stream": "flow", "source_git_object_id": object_id}
        return safetensors_bytes(arrays, metadata | {"tensors_sha256": tensors_sha256(arrays)})

    return make


@pytest.fixture
def shipped_elsewhere(monkeypatch, tmp_path):
    """The shipped entry, in a copy of its file that a test may damage."""
    known = entry("raft-small")
    monkeypatch.setattr("weights.registry._PACKAGE", tmp_path)
    path = tmp_path / known.file
    path.write_bytes(bytes(known.bytes))
    return path


@pytest.mark.parametrize("kind", ["bool", "int8", "int64", "float64", "complex64"])
def test_numbers_of_another_type_are_refused_not_cast(small_i3d, tmp_path, kind):
    arrays = {name: np.zeros(shape, np.float32) for name, shape in i3d_shapes("flow").items()}
    arrays["logits.bias"] = arrays["logits.bias"].astype(kind)
    path = tmp_path / "own.safetensors"
    path.write_bytes(safetensors.numpy.save(arrays, {"architecture": "i3d", "stream": "flow"}))
    with pytest.raises(
        WeightsError, match=rf"own\.safetensors: logits\.bias is {kind}; weights are"
    ) as caught:
        load(path)
    assert caught.value.exit_code == 5


def test_the_shipped_i3d_loads_whole():
    loaded = load("i3d-rgb-kinetics400")
    assert loaded.sha256 == entry("i3d-rgb-kinetics400").sha256
    assert (loaded.architecture, loaded.metadata["stream"]) == ("i3d", "rgb")
    assert {name: tuple(tensor.shape) for name, tensor in loaded.tensors.items()} == i3d_shapes("rgb")
    assert {tensor.dtype for tensor in loaded.tensors.values()} == {torch.float32}
    stem = loaded.tensors["conv3d_1a_7x7.weight"]
    stem[0, 0, 0, 0, 0] += 1  # tensors are the caller's own
    assert (
        load("i3d-rgb-kinetics400").tensors["conv3d_1a_7x7.weight"][0, 0, 0, 0, 0] == stem[0, 0, 0, 0, 0] - 1
    )


def test_the_shipped_raft_loads_whole():
    loaded = load("raft-small")
    assert loaded.architecture == "raft_small"
    assert sum(tensor.numel() for tensor in loaded.tensors.values()) > 980_000


def test_a_damaged_shipped_file_is_an_error_with_both_hashes(shipped_elsewhere):
    with pytest.raises(WeightsError) as caught:
        load("raft-small")
    message = str(caught.value)
    assert str(shipped_elsewhere) in message
    assert entry("raft-small").sha256 in message
    assert sha256_hex(shipped_elsewhere.read_bytes()) in message
    assert caught.value.exit_code == 5
    assert "Install ascnet again" in caught.value.hint


def test_a_missing_shipped_file_is_an_error(shipped_elsewhere):
    shipped_elsewhere.unlink()
    with pytest.raises(WeightsError, match="raft-small are not here"):
        load("raft-small")
    assert verify("raft-small").state == "damaged"


def test_weights_that_were_not_fetched_say_how_to_get_them(in_folder):
    with pytest.raises(WeightsError, match="i3d-flow-imagenet are not here") as caught:
        load("i3d-flow-imagenet")
    assert caught.value.hint == "Run `ascnet weights fetch i3d-flow-imagenet`."


def test_a_fetched_file_loads_by_name_and_by_path(in_folder, canonical):
    path = in_folder("i3d-flow-imagenet", canonical())
    by_name, by_path = load("i3d-flow-imagenet"), load(path)
    assert (by_name.name, by_path.name) == ("i3d-flow-imagenet", str(path))
    assert by_name.sha256 == by_path.sha256 == sha256_hex(path.read_bytes())
    assert by_name.metadata["stream"] == "flow"


def test_a_damaged_fetched_file_is_an_error_with_both_hashes(in_folder, canonical):
    data = canonical()
    path = in_folder("i3d-flow-imagenet", data[:-1] + b"\x01")
    with pytest.raises(
        WeightsError, match=r"damaged: the sha256 of its tensors is [0-9a-f]{64}, .* [0-9a-f]{64}"
    ):
        load("i3d-flow-imagenet")
    with pytest.raises(WeightsError, match="damaged"):
        load(path)


def test_a_file_made_from_another_source_is_not_taken_for_the_entry(in_folder, canonical):
    path = in_folder("i3d-flow-imagenet", canonical(object_id="0" * 40))
    with pytest.raises(WeightsError, match=f"{'0' * 40}, the registry says 5d552d22"):
        load("i3d-flow-imagenet")
    assert load(path).tensors  # by path it is the user's own file


@pytest.mark.parametrize("ending", [".pt", ".pth", ".pkl", ".ckpt", ".PTH"])
def test_pickles_are_never_loaded(tmp_path, ending):
    path = tmp_path / f"model{ending}"
    path.write_bytes(b"anything")
    with pytest.raises(WeightsError, match="only safetensors files are loaded") as caught:
        load(path)
    assert "ascnet weights convert" in caught.value.hint


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("mixed_4b.b0.bias"), r"missing mixed_4b\.b0\.bias"),
        (lambda a: a.update(more=np.zeros(1, np.float32)), "unexpected more"),
        (
            lambda a: a.update({"logits.bias": np.zeros(157, np.float32)}),
            r"logits\.bias has shape \(157,\), not",
        ),
        (lambda a: a["mixed_4b.b0.bias"].fill(np.nan), r"NaN or infinity in mixed_4b\.b0\.bias"),
        (lambda a: a["mixed_4b.b0.bias"].fill(-np.inf), r"NaN or infinity in mixed_4b\.b0\.bias"),
    ],
)
def test_tensors_that_do_not_make_the_network_are_refused(tmp_path, canonical, change, message):
    path = tmp_path / "mine.safetensors"
    path.write_bytes(canonical(change=change))
    with pytest.raises(WeightsError, match=message) as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_files_without_our_metadata_are_known_by_their_tensors(tmp_path, small_i3d):
    path = tmp_path / "bare.safetensors"
    arrays = {name: np.zeros(shape, np.float32) for name, shape in i3d_shapes("flow").items()}
    path.write_bytes(safetensors_bytes(arrays, {}))
    assert load(path).architecture == "i3d"
    path.write_bytes(safetensors_bytes({"fc": np.zeros(3, np.float32)}, {}))
    with pytest.raises(WeightsError, match="neither I3D, i3d_r50 nor RAFT"):
        load(path)


def test_what_is_neither_a_name_nor_a_file_is_answered_with_the_names(tmp_path):
    with pytest.raises(WeightsError, match="neither the name of known weights nor a file") as caught:
        load(tmp_path / "absent.safetensors")
    assert "i3d-rgb-kinetics400" in caught.value.hint


def test_verify_tells_the_three_states_apart(in_folder, canonical):
    assert verify("raft-small").state == "ok"
    absent = verify("i3d-flow-imagenet")
    assert (absent.state, absent.sha256) == ("absent", "")
    path = in_folder("i3d-flow-imagenet", canonical())
    assert verify("i3d-flow-imagenet") == replace(
        absent, state="ok", sha256=sha256_hex(path.read_bytes()), message="", hint=""
    )
    path.write_bytes(b"garbage")
    damaged = verify("i3d-flow-imagenet")
    assert damaged.state == "damaged"
    assert damaged.sha256 == sha256_hex(b"garbage")
    assert "not a whole safetensors file" in damaged.message
    assert "fetch" in damaged.hint


def test_verify_knows_no_other_names():
    with pytest.raises(WeightsError, match="no weights are called 'x'"):
        verify("x")
    assert len(entries()) == 10
