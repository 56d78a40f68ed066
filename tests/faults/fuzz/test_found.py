"""What fuzzing found, each made anew: every one was a traceback, or a wrong answer."""

import io
import json
import tracemalloc
import zipfile

import numpy as np
import pytest
import torch

from ascnet_cli.config import NetworkConfig
from ascnet_cli.datasets.folder import read_folder
from ascnet_cli.errors import CheckpointError, FeatureError, OptionError, PredictionsError
from ascnet_cli.outputs.text import utf8
from ascnet_cli.training.checkpoint import load_state
from ascnet_cli.training.run_folder import RunFolder
from extractors.arrays import map_npy, parse_npy
from extractors.snippets import TimeGrid
from extractors.store import load_features
from tests.faults.fuzz import text_seeds as seeds
from weights.documents import parse_json, parse_toml
from weights.errors import WeightsError
from weights.files import read_bounded
from weights.torch_files import arrays_of, load_torch

GOOD = seeds.npy_bytes(seeds.FEATURES)


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '<f4', (((",
        b"\x9e",
        b"{" * 60,
        b"'''",
        b"{'descr': '<f4', 'shape': (1e9, 4)}",
        b"\x00\x00",
    ],
    ids=["open brackets", "unprintable", "deep", "open text", "float shape", "zeros"],
)
def test_a_header_of_an_array_that_is_no_python(tmp_path, header):
    """numpy raises a SyntaxError or a tokenize.TokenError here."""
    data = GOOD[:10] + header.ljust(len(GOOD) - len(seeds.FEATURES.tobytes()) - 10) + seeds.FEATURES.tobytes()
    with pytest.raises(ValueError, match="header"):
        parse_npy(data)
    (tmp_path / "v.npy").write_bytes(data)
    with pytest.raises(ValueError, match="header"):
        map_npy(tmp_path / "v.npy")


def test_an_archive_in_place_of_an_array(tmp_path):
    """numpy gives another kind of object for it, without the attributes of an array."""
    buffer = io.BytesIO()
    np.savez(buffer, a=np.ones(3))
    with pytest.raises(ValueError, match=r"not a \.npy file"):
        parse_npy(buffer.getvalue())


@pytest.mark.parametrize(
    "content",
    [b"[" * 5000, b'{"a":' * 5000, b'{"duration_s": NaN}', b"\xff"],
    ids=["deep lists", "deep objects", "NaN", "no UTF-8"],
)
def test_documents_that_json_chokes_on(tmp_path, content):
    with pytest.raises(ValueError, match=r"."):
        parse_json(content)
    data, sidecar = seeds.feature_pair(tmp_path)
    sidecar.write_bytes(content)
    with pytest.raises(FeatureError, match=r"v\.mp4"):
        load_features(data)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("duration_s", 10**400), ("duration_s", -1), ("duration_s", 0), ("duration_s", "3.84"),
        ("duration_s", True),
        ("grid", {"stride_frames": 1.5, "window_frames": 16}),
        ("grid", {"stride_frames": 16, "window_frames": 2**70}),
        ("grid", {"stride_frames": 16, "window_frames": 16, "lag_frames": "late"}),
        ("decode_report", {}), ("recipe", 7), ("source", 7), ("shape", None),
    ],
)  # fmt: skip
def test_sidecars_with_values_of_another_kind(tmp_path, field, value):
    data, sidecar = seeds.feature_pair(tmp_path)
    told = json.loads(sidecar.read_text())
    assert field in told
    sidecar.write_text(json.dumps({**told, field: value}))
    with pytest.raises(FeatureError, match=r"v\.mp4"):
        load_features(data)


@pytest.mark.parametrize(
    ("field", "value"),
    [("header_duration_s", "soon"), ("bad_packets", None), ("truncated", 1), ("notes", [1])],
)
def test_decode_reports_with_values_of_another_kind(tmp_path, field, value):
    data, sidecar = seeds.feature_pair(tmp_path)
    told = json.loads(sidecar.read_text())
    told["decode_report"][field] = value
    sidecar.write_text(json.dumps(told))
    with pytest.raises(FeatureError, match=r"v\.mp4\.npy"):
        load_features(data)


@pytest.mark.parametrize("count", [True, 0, 2**40])
def test_a_time_grid_is_of_whole_numbers(count):
    with pytest.raises(ValueError, match="time grid"):
        TimeGrid(count, 16)


def test_a_label_in_quotes_keeps_its_line_break(tmp_path):
    """It lost it: "a<line feed>b" became "ab", another class."""
    (tmp_path / "labels.csv").write_text('video,label\n"a\nb",run\nc,"x\u2028y"\n', newline="")
    found = read_folder(tmp_path)
    assert [video.video for video in found.videos] == ["a\nb", "c"]
    assert found.classes == ("run", "x\u2028y")


@pytest.mark.parametrize("row", ["a" * 140_000 + ",run", 'a,"run', 'a,"ru"n'])
def test_labels_that_are_no_csv(tmp_path, row):
    (tmp_path / "labels.csv").write_text(f"video,label\n{row}\n")
    with pytest.raises(PredictionsError, match=r"labels\.csv:2: not readable as CSV"):
        read_folder(tmp_path)


@pytest.mark.parametrize("at", range(0, 20, 3))
def test_pickles_that_fail_in_any_way(tmp_path, at):
    """PyTorch's restricted unpickler raises IndexError, AttributeError and more for damaged programs."""
    state = seeds.training_state(tmp_path)
    state.write_bytes(b"\x80\x02" + bytes([0x29 + at, 0x81, 0x85, 0x52, 0x62, 0x2E]))
    with pytest.raises(CheckpointError, match="damaged"):
        load_state(tmp_path, 7, torch.device("cpu"))


def test_a_flipped_bit_in_a_training_state_is_noticed(tmp_path):
    """PyTorch does not look at the archive's checksums: the run would have gone on with another number."""
    state = seeds.training_state(tmp_path)
    data = bytearray(state.read_bytes())
    with zipfile.ZipFile(state) as archive:
        member = next(told for told in archive.infolist() if "/data/" in told.filename and told.file_size > 8)
    at = data.index(member.filename.encode()) + len(member.filename) + 200
    data[at] ^= 1
    state.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"checksum|damaged"):
        load_state(tmp_path, 7, torch.device("cpu"))


@pytest.mark.parametrize("missing", ["step", "model_sha256", "optimiser", "random", "best"])
def test_a_training_state_that_lacks_something(tmp_path, missing):
    state = seeds.training_state(tmp_path)
    content = torch.load(state, weights_only=True)
    del content[missing]
    torch.save(content, state)
    with pytest.raises(CheckpointError, match=r"step-00000007"):
        load_state(tmp_path, 7, torch.device("cpu"))


def test_tensors_that_are_no_plain_arrays():
    sparse = torch.sparse_coo_tensor(torch.tensor([[0]]), torch.ones(1), (3,), check_invariants=True)
    with pytest.raises(WeightsError, match="w is no plain tensor"):
        arrays_of({"w": sparse}, "file")


def test_a_small_file_takes_little_memory(tmp_path):
    """512 MiB were asked for, whatever the file's size."""
    (tmp_path / "a").write_bytes(b"x" * 1000)
    tracemalloc.start()
    try:
        assert len(read_bounded(tmp_path / "a")) == 1000
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["n_classes", "in_dim", "embed_dim", "query_dim"])
def test_a_network_wider_than_any_memory(name):
    values = {**seeds.settings().tables()["model"], name: 2**31}
    with pytest.raises(OptionError, match=f"{name} must be from 1 to"):
        NetworkConfig.from_mapping(values)


def test_infinity_is_no_number_of_a_network():
    with pytest.raises(OptionError, match="dropout cannot be inf"):
        NetworkConfig.from_mapping({**seeds.settings().tables()["model"], "dropout": float("inf")})


def test_deep_records_of_a_run_are_damage(tmp_path):
    run = RunFolder(tmp_path)
    (tmp_path / "environment.json").write_text("[" * 5000)
    (tmp_path / "events.jsonl").write_text("[" * 5000 + '\n{"event": "start", "step": 0}\n')
    assert run.environment() == {}
    assert [event["event"] for event in run.events()] == ["start"]
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_toml("x = " + "[" * 5000)


def test_an_archive_of_pytorch_with_another_content():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02.")
    with pytest.raises(WeightsError, match="not a PyTorch state dict"):
        load_torch(buffer.getvalue(), "a.pt")


def test_a_network_that_a_kill_left_without_its_state_goes(tmp_path):
    """Killed between the two files of a pair, it stayed for ever."""
    seeds.training_state(tmp_path)
    (tmp_path / "step-00000003.safetensors").write_bytes(b"left alone")
    seeds.training_state(tmp_path)
    assert sorted(path.name for path in tmp_path.glob("step-*")) == [
        "step-00000007.pt",
        "step-00000007.safetensors",
    ]


def test_names_that_came_byte_by_byte_are_put_together_again():
    """Under LANG=C a file's name is a string of surrogates; a model card with one in it was a traceback."""
    assert utf8("Übung.mp4".encode().decode("ascii", "surrogateescape")) == "Übung.mp4"
    assert utf8("a\udcff.mp4") == "a\\udcff.mp4"
    assert utf8("a\ud800ü") == "a\\ud800ü"
