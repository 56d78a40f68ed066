"""Checkpoints: what goes in comes out, and nothing else goes in."""

import dataclasses
import errno
import hashlib
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from ascnet_cli.config import network_config
from ascnet_cli.errors import CheckpointError, OutputError, StorageError
from ascnet_cli.model import checkpoint
from ascnet_cli.model.ascnet import AscNet
from ascnet_cli.model.checkpoint import load_checkpoint, save_checkpoint

LABELS = ("dive", "throw")
RECIPE = {"backbone": "i3d", "context": "snippet", "fps": 25.0, "flow": {"algorithm": "tv-l1", "bound": 20}}


def small_model(seed=0, preset="fixed"):
    config = network_config(preset, "thumos14", n_classes=2, in_dim=6)
    config = dataclasses.replace(config, embed_dim=8, query_dim=4)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return AscNet(config)


def saved(path, **options):
    save_checkpoint(path, small_model(), labels=LABELS, recipe=RECIPE, **options)
    return path


def rewritten(path, change):
    """The checkpoint with its metadata and tensors changed by hand, and its digest made to fit again."""
    data = path.read_bytes()
    state = safetensors.torch.load(data)
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    content = json.loads(header["__metadata__"]["ascnet"])
    change(content, state)
    content["digest"] = checkpoint._digest(content, state)
    path.write_bytes(safetensors.torch.save(state, {"ascnet": json.dumps(content)}))
    return path


@pytest.mark.parametrize("preset", ["paper", "fixed"])
def test_everything_comes_back(tmp_path, preset):
    model = small_model(preset=preset)
    path = tmp_path / "model.safetensors"
    written = save_checkpoint(
        path, model, labels=LABELS, recipe=RECIPE, localization={"alphas": [0.2]}, extra={"updates": 5000}
    )
    loaded = load_checkpoint(path)
    assert (loaded.labels, loaded.config, loaded.recipe) == (LABELS, model.config, RECIPE)
    assert (loaded.localization, loaded.extra) == ({"alphas": [0.2]}, {"updates": 5000})
    assert loaded.sha256 == written == hashlib.sha256(path.read_bytes()).hexdigest()
    assert not loaded.model.training
    features = np.random.default_rng(0).standard_normal((20, 6)).astype(np.float32)
    ours, theirs = model.score(features, LABELS), loaded.model.score(features, LABELS)
    np.testing.assert_array_equal(ours.cas, theirs.cas)
    np.testing.assert_array_equal(ours.video, theirs.video)
    state, again = model.state_dict(), loaded.model.state_dict()
    assert state.keys() == again.keys()
    assert all(torch.equal(state[name], again[name]) for name in state)


def test_a_loaded_model_can_be_trained_on(tmp_path):
    model = load_checkpoint(saved(tmp_path / "m.safetensors")).model.train()
    model(torch.ones(1, 5, 6), torch.ones(1, 5, dtype=torch.bool)).y_BNC[0, 0, 1].backward()
    torch.optim.SGD(model.parameters(), lr=1.0).step()
    assert not torch.equal(model.aware_head.weight, small_model().aware_head.weight)


def test_equal_models_make_equal_files(tmp_path):
    assert saved(tmp_path / "a").read_bytes() == saved(tmp_path / "b").read_bytes()


def test_every_flipped_byte_is_found(tmp_path):
    path = saved(tmp_path / "m.safetensors")
    data = path.read_bytes()
    places = np.linspace(0, len(data) - 1, 60).astype(int)
    for place in places:
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(CheckpointError, match=r"m\.safetensors"):
            load_checkpoint(path)


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.01, 0.5, 0.999])
def test_a_truncated_file_is_damaged(tmp_path, share):
    path = saved(tmp_path / "m.safetensors")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(CheckpointError, match=r"m\.safetensors is (damaged|empty)") as caught:
        load_checkpoint(path)
    assert caught.value.exit_code == 5
    assert caught.value.hint
    assert "\n" not in str(caught.value)


class Payload:
    def __reduce__(self):
        return (Path.touch, (Path("ran").absolute(),))


@pytest.mark.parametrize("kind", ["pickle", "torch"])
def test_a_pickle_is_refused_and_does_not_run(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model.pt"
    if kind == "pickle":
        path.write_bytes(pickle.dumps(Payload()))
    else:
        torch.save({"model": Payload()}, path)
    with pytest.raises(CheckpointError, match="never unpickles"):
        load_checkpoint(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("text", [b"<!DOCTYPE html><html>404</html>", b"hello", b"{}"])
def test_a_text_file_is_refused(tmp_path, text):
    path = tmp_path / "model.safetensors"
    path.write_bytes(text)
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        load_checkpoint(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"nowhere\.safetensors cannot be read: No such file") as caught:
        load_checkpoint(tmp_path / "nowhere.safetensors")
    assert "--model" in caught.value.hint


def test_weights_of_another_program_are_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    safetensors.torch.save_file({"weight": torch.ones(2)}, path)
    with pytest.raises(CheckpointError, match="not an ascnet checkpoint"):
        load_checkpoint(path)


def without(name):
    return lambda content, state: content.pop(name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content, state: content.update(format=2), "has format 2; this ascnet reads format 1"),
        (without("format"), "names no format"),
        (without("recipe"), "no proper recipe inside"),
        (lambda content, state: content.update(labels="ab"), "no proper labels inside"),
        (lambda content, state: content.update(labels=["dive"]), "1 labels for 2 classes"),
        (lambda content, state: content.update(labels=["dive", "dive"]), "not all different names"),
        (lambda content, state: content.update(labels=["dive", 7]), "not all different names"),
        (lambda content, state: content.update(labels=["dive", " \t"]), "is blank"),
        (lambda content, state: content.update(labels=["dive", "a\nb"]), r"'a\\nb' has control characters"),
        (lambda content, state: content.update(labels=["dive", "\x9b2J"]), "has control characters"),
        (lambda content, state: content.update(labels=["dive", "\ud800"]), "has control characters"),
        (
            lambda content, state: content.update(labels=["dive", "x" * 1001]),
            "has 1001 characters, more than",
        ),
        (lambda content, state: content["network"].update(selector="best"), "selector cannot be 'best'"),
        (lambda content, state: content["network"].update(sigma_fg=0), "sigma_fg must be from 1"),
        (lambda content, state: content["network"].pop("in_dim"), "in_dim is missing"),
        (lambda content, state: state.pop("embed.bias"), "embed.bias is missing"),
        (lambda content, state: state.update(more=torch.ones(1)), "more is unexpected"),
        (
            lambda content, state: state.update({"aware_head.bias": torch.zeros(4)}),
            r"aware_head.bias is torch.float32 \(4,\), not torch.float32 \(3,\)",
        ),
        (
            lambda content, state: state.update({"aware_head.bias": torch.zeros(3).half()}),
            "aware_head.bias is torch.float16",
        ),
        (
            lambda content, state: state["embed.weight"].fill_(float("nan")),
            r"not finite in 1 tensors \(embed.weight\)",
        ),
    ],
)
def test_a_checkpoint_that_contradicts_itself_is_refused(tmp_path, change, message):
    path = rewritten(saved(tmp_path / "m.safetensors"), change)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_checkpoint(path)
    assert caught.value.hint


KINDS = ("bool", "int8", "int64", "float64", "float8_e4m3fn", "bfloat16", "complex64")


@pytest.mark.parametrize("compact", [False, True])
@pytest.mark.parametrize("kind", [*KINDS, "float16 or float32"])
def test_numbers_of_another_type_are_refused_not_cast(tmp_path, kind, compact):
    """The digest fits: this is not damage, but a file that somebody made."""
    other = "float32" if compact else "float16"
    dtype = getattr(torch, kind.replace("float16 or float32", other))

    def change(content, state):
        state["aware_head.bias"] = torch.ones(3).to(dtype)

    path = rewritten(saved(tmp_path / "m.safetensors", compact=compact), change)
    with pytest.raises(
        CheckpointError, match=f"m.safetensors .*: aware_head.bias is {dtype}; it must"
    ) as caught:
        load_checkpoint(path)
    assert caught.value.exit_code == 5


def test_labels_that_are_long_but_names_come_back(tmp_path):
    labels = ("x" * 1000, "\u202e<b> \u00e9, =1+1")
    save_checkpoint(tmp_path / "m.safetensors", small_model(), labels=labels, recipe=RECIPE)
    assert load_checkpoint(tmp_path / "m.safetensors").labels == labels


def test_the_first_five_differences_are_named_and_the_rest_counted(tmp_path):
    def change(content, state):
        for name in list(state)[:7]:
            del state[name]

    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(rewritten(saved(tmp_path / "m.safetensors"), change))
    assert str(caught.value).count("is missing") == 5
    assert str(caught.value).endswith("; and 2 more")


LARGER_THAN_ANY_FLOAT = (
    '{"format": 1, "network": {}, "labels": [], "recipe": {}, "localization": {}, "extra": {"a": 1e400}}'
)


@pytest.mark.parametrize("metadata", ["{", "[]", '{"format": NaN}', "[" * 100_000, LARGER_THAN_ANY_FLOAT])
def test_metadata_that_is_not_ours_is_damage(tmp_path, metadata):
    path = tmp_path / "m.safetensors"
    path.write_bytes(safetensors.torch.save(small_model().state_dict(), {"ascnet": metadata}))
    with pytest.raises(CheckpointError, match="is damaged: its metadata"):
        load_checkpoint(path)


def test_a_model_that_diverged_is_not_saved(tmp_path):
    model = small_model()
    model.aware_head.bias.data[1] = float("nan")
    path = saved(tmp_path / "m.safetensors")
    before = path.read_bytes()
    with pytest.raises(
        CheckpointError, match=r"was not written: numbers that are not finite.*aware_head.bias"
    ):
        save_checkpoint(path, model, labels=LABELS, recipe=RECIPE)
    assert path.read_bytes() == before


def test_labels_that_do_not_fit_are_not_saved(tmp_path):
    with pytest.raises(CheckpointError, match="3 labels for 2 classes"):
        save_checkpoint(tmp_path / "m", small_model(), labels=("a", "b", "c"), recipe=RECIPE)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("code", "error"), [(errno.ENOSPC, StorageError), (errno.EACCES, OutputError)])
@pytest.mark.parametrize(("owner", "step"), [(os, "fsync"), (Path, "replace")])
def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, code, error, owner, step):
    path = saved(tmp_path / "m.safetensors")
    before = path.read_bytes()

    def failing(*arguments):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(owner, step, failing)
    with pytest.raises(error, match=r"m\.safetensors"):
        save_checkpoint(path, small_model(seed=1), labels=LABELS, recipe=RECIPE)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match="does not exist"):
        saved(tmp_path / "nowhere" / "m.safetensors")


def test_a_compact_file_scores_as_the_whole_one_and_is_much_smaller(tmp_path):
    model = small_model()
    save_checkpoint(tmp_path / "compact.safetensors", model, labels=LABELS, recipe=RECIPE, compact=True)
    save_checkpoint(tmp_path / "whole.safetensors", model, labels=LABELS, recipe=RECIPE)
    found = load_checkpoint(tmp_path / "compact.safetensors").model
    state = found.state_dict()
    read = {name: t for name, t in model.state_dict().items() if not name.startswith("queries.")}
    assert state.keys() == read.keys()
    assert len(read) < len(model.state_dict())
    for name, tensor in read.items():
        assert torch.equal(state[name], tensor.half().float())
    rows = np.random.default_rng(0).random((9, model.config.in_dim), np.float32)
    ours, theirs = found.score(rows, LABELS), model.eval().score(rows, LABELS)
    np.testing.assert_allclose(ours.cas, theirs.cas, atol=2e-3)
    np.testing.assert_allclose(ours.attention, theirs.attention, atol=2e-3)
    np.testing.assert_allclose(ours.video, theirs.video, atol=2e-3)
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("compact", "whole")]
    assert sizes[0] < sizes[1]


def test_queries_in_a_compact_file_are_unexpected(tmp_path):
    def change(content, state):
        content.update(compact=True)
        state.update({name: tensor.half() for name, tensor in state.items()})

    path = rewritten(saved(tmp_path / "odd.safetensors"), change)
    with pytest.raises(CheckpointError, match=r"queries\.\w+.* is unexpected"):
        load_checkpoint(path)


def test_a_header_whose_metadata_is_null_is_no_checkpoint(tmp_path):
    head = b'{"__metadata__": null, "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}'
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(head).to_bytes(8, "little") + head + bytes(4))
    with pytest.raises(CheckpointError, match="not an ascnet checkpoint"):
        load_checkpoint(path)


def test_a_threshold_larger_than_any_float_is_refused():
    """In a process of its own: here the checker of types would be the first to refuse it."""
    program = (
        "from ascnet_cli.config_localization import LocalizationConfig, localization_config\n"
        "values = localization_config('fixed', 'thumos14').to_dict()\n"
        "LocalizationConfig.from_dict({**values, 'gamma': 10**400})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "OptionError: localization options do not fit together" in done.stderr
