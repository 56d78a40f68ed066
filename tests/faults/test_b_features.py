"""B15 and B16: kept features that are damaged, of another kind, or of another recipe."""

import hashlib
import io
import json

import numpy as np
import pytest

from ascnet_cli.datasets.features import FeatureFolder
from ascnet_cli.errors import FeatureError
from extractors.batch.state import Wanted, why_make
from extractors.layouts import place_of
from extractors.store import load_features
from tests.ascnet_cli.folder_tools import RECIPE, write_features, write_folder
from tests.cli_tools import action_video, stand_in_network
from tests.cli_tools import ascnet as ascnet_here
from tests.extraction_tools import RGB, extract_all
from tests.faults.fuzz import text_seeds as seeds
from tests.synthetic import make_video

VALUES = seeds.FEATURES


class Pickled:
    def __reduce__(self):
        return print, ("a pickle was run",)


def npy(values, **options):
    buffer = io.BytesIO()
    np.save(buffer, values, **options)
    return buffer.getvalue()


def npz(values):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, values=values)
    return buffer.getvalue()


def with_header(data, old, new):
    """The same file whose header says something else; its length stays."""
    assert old in data
    return data.replace(old + b" " * (len(new) - len(old)), new, 1) if len(new) > len(old) else data


GOOD = npy(VALUES)
# What a file may hold instead, and whether that can be told without the hash of what was written.
DAMAGE = {
    "truncated": GOOD[:-20],
    "empty": b"",
    "cut in the header": GOOD[:40],
    "a header that promises 30 TB": GOOD.replace(b"(6, 4), }            ", b"(4000000000, 2048), }"),
    "a header with fewer rows": GOOD.replace(b"(6, 4)", b"(5, 4)"),
    "negative rows": GOOD.replace(b"(6, 4), } ", b"(-6, 4), }"),
    "NaN": npy(np.where(VALUES[2, 1] == VALUES, np.nan, VALUES).astype(np.float32)),
    "infinity": npy(np.where(VALUES[2, 1] == VALUES, np.inf, VALUES).astype(np.float32)),
    "another width": npy(VALUES[:, :3]),
    "another length": npy(VALUES[:4]),
    "one axis": npy(VALUES.ravel()),
    "no rows": npy(VALUES[:0]),
    "whole numbers": npy(VALUES.astype(np.int64)),
    "double precision": npy(VALUES.astype(np.float64)),
    "complex numbers": npy(VALUES.astype(np.complex64)),
    "text": npy(np.array([["a", "b"]])),
    "objects": npy(np.array([Pickled()], dtype=object), allow_pickle=True),
    "npz": npz(VALUES),
    "a pickle": b"\x80\x04\x95",
}


@pytest.fixture
def pair(tmp_path):
    return seeds.feature_pair(tmp_path)


def rehash(data, sidecar, **changes):
    """The sidecar as somebody would have written it for this content: damage that no hash shows."""
    told = json.loads(sidecar.read_text())
    content = data.read_bytes()
    told["data"] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    sidecar.write_text(json.dumps({**told, **changes}))


@pytest.mark.parametrize("kind", [*DAMAGE, "a flipped bit"])
def test_B15_damage_is_found_by_size_and_hash(tmp_path, pair, kind):
    data, _ = pair
    data.write_bytes(DAMAGE.get(kind, GOOD[:-1] + bytes([GOOD[-1] ^ 1])))
    with pytest.raises(FeatureError, match=r"v\.mp4\.npy") as caught:
        load_features(data)
    assert "extract" in caught.value.hint
    place = place_of(tmp_path, "v.mp4")
    assert why_make(place, tmp_path / "v.mp4", Wanted(RGB)).startswith("features damaged")
    with pytest.raises(FeatureError, match=r"v\.mp4\.npy"):
        FeatureFolder(tmp_path).find("v.mp4").mapped()


@pytest.mark.parametrize("kind", DAMAGE)
def test_B15_what_no_hash_shows_is_found_by_what_it_is(capsys, tmp_path, pair, kind):
    data, sidecar = pair
    data.write_bytes(DAMAGE[kind])
    rehash(data, sidecar)
    with pytest.raises(FeatureError, match=r"v\.mp4\.npy"):
        load_features(data)
    if kind != "double precision":  # training reads what others published, of any precision
        with pytest.raises(FeatureError, match=r"v\.mp4\.npy"):
            FeatureFolder(tmp_path).find("v.mp4").mapped()
    assert capsys.readouterr().out == ""


def test_B15_columns_first_is_the_same_numbers(tmp_path, pair):
    data, sidecar = pair
    data.write_bytes(npy(np.asfortranarray(VALUES)))
    assert data.read_bytes() != GOOD
    rehash(data, sidecar)
    loaded = load_features(data).values
    np.testing.assert_array_equal(loaded, VALUES)
    assert loaded.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(FeatureFolder(tmp_path).find("v.mp4").load(), VALUES)


def test_B15_an_npz_bomb_is_not_unpacked(tmp_path, pair, monkeypatch):
    data, sidecar = pair
    data.write_bytes(npz(np.zeros(2**20, np.float32)))
    rehash(data, sidecar)
    monkeypatch.setattr(np, "load", lambda *told, **more: pytest.fail("numpy guessed what the file is"))
    with pytest.raises(FeatureError, match=r"not a \.npy file"):
        load_features(data)


def test_B15_extract_makes_damaged_features_again(tmp_path):
    (tmp_path / "in").mkdir()
    make_video(tmp_path / "in" / "a.mp4", n_frames=48)
    extract_all(tmp_path / "in", tmp_path / "out")
    data = tmp_path / "out" / "a.mp4.npy"
    good = data.read_bytes()
    for damage in (good[:-1], good[:-4] + b"\0\0\xc0\x7f", DAMAGE["objects"], DAMAGE["npz"], b""):
        data.write_bytes(damage)
        outcome = extract_all(tmp_path / "in", tmp_path / "out")["a.mp4"]
        assert (outcome.state, outcome.reason.partition(":")[0]) == ("done", "features damaged")
        assert data.read_bytes() == good
    assert extract_all(tmp_path / "in", tmp_path / "out")["a.mp4"].state == "up_to_date"


def test_B15_detect_says_which_file_is_damaged_and_what_to_do(tmp_path):
    action_video(tmp_path / "a.mp4")
    with stand_in_network():
        assert ascnet_here("detect", "a.mp4", "--features-out", "kept").code == 0
        kept = tmp_path / "kept" / "a.mp4.npy"
        kept.write_bytes(kept.read_bytes()[:-4])
        ran = ascnet_here("detect", "kept/a.mp4.npy", "--out", "segments.csv")
    assert ran.code == 5
    assert "kept/a.mp4.npy" in ran.err
    assert "extract the features again" in ran.err
    assert not (tmp_path / "segments.csv").exists()


@pytest.mark.parametrize("kind", ["truncated", "NaN", "objects", "npz", "whole numbers"])
def test_B15_train_says_which_file_is_damaged(tmp_path, kind):
    data = write_folder(tmp_path / "data", n_train=4, n_test=1)
    (data / "features" / "v01.mp4.npy").write_bytes(DAMAGE[kind])
    ran = ascnet_here("train", "--dataset", data, "--out", "run", "--device", "cpu")
    assert ran.code == 5
    assert "v01.mp4.npy" in ran.err
    assert "extract" in ran.err
    assert not (tmp_path / "run" / "best.safetensors").exists()


def test_B16_detect_refuses_features_of_another_recipe_and_names_both(tmp_path):
    seeds.feature_pair(tmp_path)
    with stand_in_network():
        ran = ascnet_here("detect", "v.mp4.npy", "--out", "segments.csv")
    assert ran.code == 5
    assert "0" * 12 in ran.err  # made with
    assert "weights" in ran.err
    assert not (tmp_path / "segments.csv").exists()


@pytest.mark.parametrize(
    "change", [{"context": "dense"}, {"weights": {"rgb": "1" * 64}}, {"backbone": "i3d_r50"}]
)
def test_B16_train_refuses_features_of_two_recipes(tmp_path, change):
    data = write_folder(tmp_path / "data", n_train=4, n_test=1)
    values = np.load(data / "features" / "v02.mp4.npy")
    write_features(data / "features", "v02.mp4", values, {**RECIPE, **change})
    ran = ascnet_here("train", "--dataset", data, "--out", "run", "--device", "cpu")
    assert ran.code == 5, ran.err
    assert "v02.mp4" in ran.err
    assert next(iter(change)) in ran.err
