"""C01 to C07: weights and checkpoints that are malicious, damaged, of another model, or not to be had."""

import argparse
import builtins
import hashlib
import io
import json
import os
import pickle
import shutil
import socket
import subprocess
import tarfile
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from ascnet_cli.errors import CheckpointError
from ascnet_cli.model import checkpoint
from ascnet_cli.model.checkpoint import load_checkpoint
from ascnet_cli.training.checkpoint import load_state
from tests.cli_tools import ascnet
from tests.faults.commands import ROOT, command, environment, files, said_well
from tests.faults.fuzz import text_seeds as seeds
from tests.faults.unpickling import unpickling
from weights import fetch as fetching
from weights import registry
from weights.convert import convert
from weights.errors import WeightsError
from weights.files import git_object_id, parse_safetensors, safetensors_bytes
from weights.registry import SourceFile, WeightsSource, entry
from weights.store import load


class System:
    """A pickle that runs a command."""

    def __init__(self, sentinel):
        self.sentinel = sentinel

    def __reduce__(self):
        return os.system, (f"touch {self.sentinel}",)


class Eval(System):
    """A pickle that evaluates Python."""

    def __reduce__(self):
        return builtins.eval, (f"open({str(self.sentinel)!r}, 'w').close()",)


PAYLOADS = {"os.system": System, "builtins.eval": Eval}


def as_zip(path, payload):
    torch.save({"a": torch.ones(1), "b": payload}, path)


def as_legacy(path, payload):
    torch.save({"a": torch.ones(1), "b": payload}, path, _use_new_zipfile_serialization=False)


def as_pickle(path, payload):
    path.write_bytes(pickle.dumps({"a": payload}))


CONTAINERS = {"zip": as_zip, "legacy": as_legacy, "pickle": as_pickle}
COMMANDS = {
    "convert": ("weights", "convert", "bad.pt", "--out", "out.safetensors"),
    "extract": ("extract", "v.mp4", "--weights-rgb", "bad.pt", "--out", "features"),
    "extract for model": ("extract", "v.mp4", "--for-model", "bad.pt", "--out", "features"),
    "detect": ("detect", "v.mp4", "--model", "bad.pt"),
}


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("command", COMMANDS)
def test_C01_a_malicious_checkpoint_does_not_run(tmp_path, command, payload, container):
    sentinel = tmp_path / "it_ran"
    CONTAINERS[container](tmp_path / "bad.pt", PAYLOADS[payload](sentinel))
    (tmp_path / "v.mp4").write_bytes(b"never looked at")
    ran = ascnet(*COMMANDS[command])
    assert ran.code == 5, ran.err
    assert "bad.pt" in ran.err
    assert not sentinel.exists()
    assert files(tmp_path) == {"bad.pt", "v.mp4"}
    if container != "pickle":  # the file would have done it
        torch.load(tmp_path / "bad.pt", weights_only=False)
        assert sentinel.exists()


def test_C01_a_malicious_training_state_does_not_run(tmp_path):
    state, sentinel = seeds.training_state(tmp_path), tmp_path / "it_ran"
    torch.save({"format": 1, "optimiser": Eval(sentinel)}, state)
    with pytest.raises(CheckpointError, match="damaged"):
        load_state(tmp_path, 7, torch.device("cpu"))
    assert not sentinel.exists()


def test_C01_there_is_no_other_way_to_unpickle():
    """Every `torch.load` says `weights_only=True`, and pickle is read by the allow-list alone."""
    for package in ("ascnet_cli", "extractors", "weights"):
        for path in (ROOT / package).rglob("*.py"):
            found = unpickling(path.read_text(), may_define=path == ROOT / "weights" / "pickles.py")
            assert found == [], path


@pytest.mark.parametrize(
    "text",
    [
        "import marshal\nmarshal.loads(x)",
        "from shelve import open",
        "import joblib.numpy_pickle",
        "from dill import load as read",
        "import pickle\npickle . loads (x)",
        "import pickle\npickle.Unpickler(x)",
        "import pickle as p\np.load(x)",
        "from pickle import loads",
        "import numpy as np\nnp.load(x, allow_pickle = True)",
        "import numpy as np\nnp.load(x, None, True)",
        "np.load(x, allow_pickle=bool(1))",
        "from torch import load",
        "torch.load(x)",
        "torch.load(x, weights_only=trusted)",
        "importlib.import_module('pickle')",
        "pandas.read_pickle(x)",
    ],
)
def test_C01_each_way_to_unpickle_would_be_seen(text):
    assert unpickling(text)
    assert unpickling(text, may_define=True) or "Unpickler" in text


def test_C01_what_unpickles_nothing_is_allowed():
    text = (
        "import pickle\nimport numpy as np\nnp.load(x, allow_pickle=False)\nnp.load(x, 'r')\npickle.dumps(1)"
    )
    assert unpickling(text + "\ntorch.load(x, weights_only=True)\nsafetensors.torch.load(x)") == []


def test_C02_a_checkpoint_that_needs_code_is_to_be_exported_by_its_own_tool(tmp_path):
    torch.save({"args": argparse.Namespace(lr=1), "state_dict": {"a": torch.ones(1)}}, tmp_path / "full.pt")
    ran = ascnet("weights", "convert", "full.pt", "--out", "out.safetensors")
    assert ran.code == 5
    assert "it asks for argparse.Namespace" in ran.err
    assert "can still be loaded" not in ran.err
    assert "no option of ascnet runs it" in ran.err
    assert "with the tool that made it" in ran.err
    for name in ("convert", "fetch", "verify"):
        options = ascnet("weights", name, "--help").out.lower()
        assert not [word for word in ("unsafe", "trust", "pickle", "weights-only") if f"--{word}" in options]


@pytest.mark.parametrize(
    "content",
    [b"", b"<!DOCTYPE html><html><title>404</title></html>", b"version https://git-lfs.github.com/spec/v1\n"],
    ids=["empty", "html", "a pointer of git lfs"],
)
@pytest.mark.parametrize("command", ["convert", "extract", "detect"])
def test_C03_a_page_saved_as_weights_is_5(tmp_path, command, content):
    for name in ("w.safetensors", "w.pt"):
        (tmp_path / name).write_bytes(content)
        arguments = {
            "convert": ("weights", "convert", name, "--out", "out.safetensors"),
            "extract": ("extract", "v.mp4", "--weights-rgb", name, "--out", "features"),
            "detect": ("detect", "v.mp4", "--model", name),
        }[command]
        ran = ascnet(*arguments)
        assert ran.code == 5, ran.err
        assert name in ran.err


@pytest.mark.parametrize("damage", ["flipped", "truncated", "empty"])
def test_C03_damaged_shipped_weights_are_5_with_both_hashes(tmp_path, monkeypatch, damage):
    known = entry("raft-small")
    data = bytearray(known.path.read_bytes())
    data[len(data) // 2] ^= 1
    content = {"flipped": bytes(data), "truncated": bytes(data[:-1]), "empty": b""}[damage]
    package = tmp_path / "package"
    package.mkdir()
    (package / known.file).write_bytes(content)
    monkeypatch.setattr(registry, "_PACKAGE", package)
    for asked in (("weights", "verify", "raft-small"),):
        ran = ascnet(*asked)
        assert ran.code == 5
        assert hashlib.sha256(content).hexdigest() in ran.err + ran.out
        assert known.sha256 in ran.err
    with pytest.raises(WeightsError, match=known.sha256):
        load("raft-small")


@pytest.fixture
def tiny():
    with seeds.tiny_i3d():
        yield


@pytest.fixture
def published(tmp_path, tiny, monkeypatch):
    """An entry whose source is a small I3D, and what an URL would answer with."""
    monkeypatch.setenv("ASCNET_WEIGHTS", str(tmp_path / "store"))
    data = seeds.torch_file(tmp_path / "published.pt", zipped=True).read_bytes()
    file = SourceFile("published.pt", git_object_id=git_object_id(data), urls=("https://one.invalid/a",))
    known = replace(entry("i3d-rgb-imagenet"), source=WeightsSource("someone/there", "1", (file,)))
    return known, data


def test_C03_what_was_damaged_is_put_aside_when_it_is_fetched_again(published, monkeypatch):
    known, data = published
    monkeypatch.setattr(fetching, "_get", lambda url, name, progress: data)
    fetched = fetching.fetch_entry(known)
    good = fetched.path.read_bytes()
    fetched.path.write_bytes(good[:-1])
    again = fetching.fetch_entry(known)
    assert again.state == "fetched"
    assert again.path.read_bytes() == good
    aside = again.path.with_name(f"{again.path.name}.damaged")
    assert aside.exists()
    assert aside.read_bytes() == good[:-1]


def header(document, data=b"\0" * 16):
    head = json.dumps(document).encode()
    return len(head).to_bytes(8, "little") + head + data


SAFETENSORS = {
    "a header of 1 GB": (2**30).to_bytes(8, "little") + b"{}",
    "a header of 16 EB": b"\xff" * 8 + b"{}",
    "overlapping tensors": header(
        {
            "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
            "b": {"dtype": "F32", "shape": [3], "data_offsets": [4, 16]},
        }
    ),
    "negative offsets": header({"a": {"dtype": "F32", "shape": [4], "data_offsets": [-16, 0]}}),
    "offsets beyond the end": header({"a": {"dtype": "F32", "shape": [400], "data_offsets": [0, 1600]}}),
    "a hole": header({"a": {"dtype": "F32", "shape": [2], "data_offsets": [8, 16]}}),
    "a shape that does not fit": header({"a": {"dtype": "F32", "shape": [5], "data_offsets": [0, 16]}}),
    "a shape that overflows": header({"a": {"dtype": "F32", "shape": [2**62, 8], "data_offsets": [0, 16]}}),
    "an unknown type": header({"a": {"dtype": "X9", "shape": [4], "data_offsets": [0, 16]}}),
    "deep brackets": (5000).to_bytes(8, "little") + b"[" * 5000,
}


@pytest.mark.parametrize("kind", SAFETENSORS)
def test_C04_a_header_that_lies_is_a_damaged_file(tmp_path, kind):
    (tmp_path / "w.safetensors").write_bytes(SAFETENSORS[kind])
    with pytest.raises(WeightsError, match=r"w\.safetensors: not a whole safetensors file"):
        load(tmp_path / "w.safetensors")
    with pytest.raises(CheckpointError, match="damaged, or not a safetensors file"):
        load_checkpoint(tmp_path / "w.safetensors")
    ran = ascnet("weights", "convert", "w.safetensors", "--out", "out.safetensors")
    assert ran.code == 5, ran.err
    assert not (tmp_path / "out.safetensors").exists()


def changed_i3d(path, change):
    """The tensors of a converted small I3D, changed, in a file without a promise about them."""
    arrays, metadata = parse_safetensors(path.read_bytes(), "i3d")
    change(arrays)
    metadata = {name: text for name, text in metadata.items() if name != "tensors_sha256"}
    path.write_bytes(safetensors_bytes(arrays, metadata))
    return path


CHANGES = {
    "a key is missing": (lambda a: a.pop("conv3d_2b_1x1.weight"), "conv3d_2b_1x1.weight"),
    "a key is unexpected": (lambda a: a.update(extra=np.ones(2, np.float32)), "extra"),
    "another shape": (lambda a: a.update({"logits.bias": np.ones(9, np.float32)}), "logits.bias"),
    "another number of classes": (
        lambda a: a.update({n: a[n][:3] for n in ("logits.weight", "logits.bias")}), "logits.weight"
    ),
    "NaN": (lambda a: a.update({"logits.bias": a["logits.bias"] * np.nan}), "logits.bias"),
}  # fmt: skip


@pytest.mark.parametrize("kind", CHANGES)
def test_C05_weights_of_another_network_are_refused_with_what_differs(tmp_path, tiny, kind):
    change, named = CHANGES[kind]
    made = convert(seeds.torch_file(tmp_path / "a.pt", zipped=True), tmp_path / "a.safetensors").path
    load(made)
    with pytest.raises(WeightsError, match=named.replace(".", r"\.")):
        load(changed_i3d(made, change))


@pytest.mark.parametrize("kind", ["missing", "of another shape"])
def test_C05_five_differences_are_listed_and_no_more(tmp_path, tiny, kind):
    made = convert(seeds.torch_file(tmp_path / "a.pt", zipped=True), tmp_path / "a.safetensors").path

    def change(arrays):
        for name in sorted(arrays)[:9]:
            tensor = arrays.pop(name)
            if kind == "of another shape":
                arrays[name] = tensor[None]

    with pytest.raises(WeightsError) as caught:
        load(changed_i3d(made, change))
    assert sum(str(caught.value).count(unit) for unit in (".weight", ".bias")) == 5


def test_C05_a_model_of_other_classes_is_refused_by_detect(tmp_path):
    path = seeds.trained(tmp_path)
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"run', b'"rum', 1).replace(b'\\"run', b'\\"rum', 1))
    assert path.read_bytes() != data
    (tmp_path / "v.mp4").write_bytes(b"never looked at")
    ran = ascnet("detect", "v.mp4", "--model", path, "--out", "out.csv")
    assert ran.code == 5, ran.err
    assert "model.safetensors is damaged" in ran.err
    assert files(tmp_path) == {"model.safetensors", "v.mp4"}


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["run", "jump"], "2 labels for 3 classes"),
        (["run", "jump", "fly", "swim"], "4 labels for 3 classes"),
        (["run", "jump", "run"], "not all different names"),
        (["run", "jump", "f\nly"], "control characters"),
    ],
    ids=["fewer", "more", "twice", "no name"],
)
def test_C05_a_model_whose_classes_are_not_its_own_is_refused_by_detect(tmp_path, labels, said):
    """Whoever changed the list of classes made the digest fit again."""
    path = seeds.trained(tmp_path)
    data = path.read_bytes()
    state = safetensors.torch.load(data)
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    content = json.loads(header["__metadata__"]["ascnet"]) | {"labels": labels}
    content["digest"] = checkpoint._digest(content, state)
    path.write_bytes(safetensors.torch.save(state, {"ascnet": json.dumps(content)}))
    (tmp_path / "v.mp4").write_bytes(b"never looked at")
    ran = ascnet("detect", "v.mp4", "--model", path, "--out", "out.csv")
    assert ran.code == 5, ran.err
    assert "model.safetensors does not fit itself" in ran.err
    assert said in ran.err
    assert files(tmp_path) == {"model.safetensors", "v.mp4"}


# C06


@pytest.mark.timeout(30)  # or it waits for ever
def test_C06_a_server_that_never_answers_is_given_up(published, monkeypatch):
    known, _ = published
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/a"
        (file,) = known.source.files
        known = replace(known, source=replace(known.source, files=(replace(file, urls=(url,)),)))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.setattr(fetching, "TIMEOUT_S", 0.2)
        with pytest.raises(WeightsError, match="timed out") as caught:
            fetching.fetch_entry(known)
    assert url in caught.value.hint
    assert file.git_object_id in caught.value.hint
    assert "ascnet weights convert" in caught.value.hint
    assert not known.path.exists()


def no_names(*told, **more):
    raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


def nobody_listens(*told, **more):
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 9))]


@pytest.mark.parametrize("how", ["no names", "nobody listens", "a dead proxy"])
def test_C06_offline_or_behind_a_dead_proxy_the_steps_by_hand_are_printed(monkeypatch, how):
    """One step is replaced at most; what comes after it is the system's own answer."""
    if how != "a dead proxy":
        monkeypatch.setattr(socket, "getaddrinfo", no_names if how == "no names" else nobody_listens)
    for name in ("https_proxy", "http_proxy", "all_proxy", "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        if how == "a dead proxy" and name.startswith("http"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
    known = entry("i3d-rgb-imagenet")
    ran = ascnet("weights", "fetch", known.name)
    assert ran.code == 5
    assert known.source.files[0].urls[0] in ran.err
    assert known.source.files[0].git_object_id in ran.err
    assert not known.path.exists()


@pytest.mark.slow
def test_C06_a_machine_without_any_network_is_told_the_steps_by_hand(tmp_path):
    """The command in a name space of the kernel that has no network, where such a one may be made."""
    apart = ["unshare", "--map-root-user", "--net"]
    if shutil.which("unshare") is None or subprocess.run([*apart, "true"], capture_output=True).returncode:
        pytest.skip("no name space may be made here")
    known = entry("i3d-rgb-imagenet")
    place = environment(ASCNET_WEIGHTS=str(tmp_path / "store"))
    for name in ("https_proxy", "http_proxy", "all_proxy"):
        place.pop(name, None)
        place.pop(name.upper(), None)
    done = subprocess.run(
        [*apart, *command("weights", "fetch", known.name)],
        env=place,
        capture_output=True,
        text=True,
        timeout=60,
    )
    said_well(done, 5, known.source.files[0].urls[0], known.source.files[0].git_object_id)
    assert files(tmp_path) == set()


def test_C06_two_that_fetch_at_once_both_end_with_whole_weights(published, monkeypatch):
    known, data = published
    together = threading.Barrier(2)

    def get(url, name, progress):
        together.wait(20)
        return data

    monkeypatch.setattr(fetching, "_get", get)
    found, threads = [], []
    for _ in range(2):
        threads.append(threading.Thread(target=lambda: found.append(fetching.fetch_entry(known))))
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert [one.state for one in found] == ["fetched", "fetched"]
    assert files(known.path.parent) == {known.path.name}
    assert fetching.fetch_entry(known).state == "present"


# C07


def tar_of(path, member, kind=tarfile.REGTYPE, link=""):
    with tarfile.open(path, "w:gz") as archive:
        told = tarfile.TarInfo(member)
        told.type, told.linkname, told.size = kind, link, 4 if kind == tarfile.REGTYPE else 0
        archive.addfile(told, io.BytesIO(b"evil") if kind == tarfile.REGTYPE else None)


def zip_of(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)


ARCHIVES = {
    "tar: parent folder": lambda path: tar_of(path, "../escaped"),
    "tar: absolute path": lambda path: tar_of(path, "/tmp/escaped"),  # noqa: S108
    "tar: link": lambda path: tar_of(path, "l", tarfile.SYMTYPE, "/etc/passwd"),
    "tar: hard link": lambda path: tar_of(path, "l", tarfile.LNKTYPE, "../../etc/passwd"),
    "tar: device": lambda path: tar_of(path, "d", tarfile.CHRTYPE),
    "zip: parent folder": lambda path: zip_of(path, [("../escaped", b"evil"), ("data.pkl", b"\x80\x02}.")]),
    "zip: 1000 to 1": lambda path: zip_of(
        path, [("a/data.pkl", bytes(50_000_000))], compression=zipfile.ZIP_DEFLATED
    ),
    "zip: many files": lambda path: zip_of(path, [(f"a/{n}", b"") for n in range(100_001)]),
}


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=pytest.mark.slow) if "many" in kind else kind for kind in ARCHIVES],
)
def test_C07_an_archive_is_refused_before_anything_is_written(tmp_path, kind):
    place = tmp_path / "inner" / "place"
    place.mkdir(parents=True)
    ARCHIVES[kind](place / "a.pt")
    ran = ascnet("weights", "convert", place / "a.pt", "--out", place / "out.safetensors")
    assert ran.code == 5, ran.err
    if kind == "zip: 1000 to 1":
        assert "compressed" in ran.err
    if "many" in kind:
        assert "100001 files" in ran.err
    assert files(tmp_path) == {"inner/place/a.pt"}


def test_C07_a_tensor_that_repeats_itself_a_billion_times_is_not_unrolled(tmp_path):
    torch.save({"a": torch.zeros(1, dtype=torch.float16).expand(2**33)}, tmp_path / "a.pt")
    assert (tmp_path / "a.pt").stat().st_size < 5000
    ran = ascnet("weights", "convert", "a.pt", "--out", "out.safetensors")
    assert ran.code == 5
    assert "more than 512 MiB" in ran.err


@pytest.mark.timeout(30)  # or it unrolls for ever
def test_C07_dictionaries_that_hold_one_another_are_not_unrolled(tmp_path):
    tree = {"a": np.ones(1, np.float32)}
    for _ in range(40):
        tree = {"l": tree, "r": tree}
    (tmp_path / "a.ckpt").write_bytes(pickle.dumps(tree))
    ran = ascnet("weights", "convert", "a.ckpt", "--out", "out.safetensors")
    assert ran.code == 5
    assert "more than 10000 arrays" in ran.err


@pytest.mark.timeout(30)  # or it waits for a writer
@pytest.mark.parametrize("special", ["pipe", "folder", "endless"])
def test_C07_what_is_no_file_is_not_read(tmp_path, special):
    path = tmp_path / "w.pt"
    if special == "pipe":
        os.mkfifo(path)
    elif special == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    for arguments in (
        ("weights", "convert", path, "--out", "out.safetensors"),
        ("detect", "v.mp4", "--model", path),
    ):
        ran = ascnet(*arguments)
        assert ran.code == 5, ran.err
    assert Path("out.safetensors").exists() is False
