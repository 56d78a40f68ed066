"""Feature files: whole, verified, and only taken for done when they are."""

import json

import numpy as np
import pytest

from extractors.errors import FeatureError
from extractors.features import Features
from extractors.recipe import FeatureRecipe
from extractors.store import fingerprint, load_features, paths_of, save_features, up_to_date
from extractors.video import DecodeReport

SOURCE = {"bytes": 5, "sha256": "a" * 64}
RECIPE = FeatureRecipe({"rgb": "0" * 64})


@pytest.fixture
def features():
    report = DecodeReport("fake 1", 40, 40, 0, 1.6, 1.6, truncated=False)
    values = np.random.default_rng(0).normal(size=(3, 1024)).astype(np.float32)
    return Features(values, RECIPE.grid, 40, 1.6, report, RECIPE)


def test_what_is_saved_is_read_back(tmp_path, features):
    path = save_features(tmp_path, "sub/a.mp4", features, SOURCE)
    assert path == tmp_path / "sub" / "a.mp4.npy"
    stored = load_features(path)
    np.testing.assert_array_equal(stored.values, features.values)
    assert (stored.video, stored.grid, stored.duration_s) == ("sub/a.mp4", features.grid, 1.6)
    assert stored.recipe == RECIPE.as_dict()
    sidecar = json.loads((tmp_path / "sub" / "a.mp4.json").read_text())
    assert sidecar["valid_frames_of_last"] == 8
    assert sidecar["decode_report"]["frames_decoded"] == 40
    assert sorted(p.name for p in (tmp_path / "sub").iterdir()) == ["a.mp4.json", "a.mp4.npy"]


def test_names_with_two_endings_do_not_meet(tmp_path):
    assert not set(paths_of(tmp_path, "a.mp4")) & set(paths_of(tmp_path, "a.avi"))


@pytest.mark.parametrize(
    "damage", ["flip", "truncate", "empty", "no sidecar", "no data", "not json", "shape"]
)
def test_damage_is_found_and_says_what_to_do(tmp_path, features, damage):
    path = save_features(tmp_path, "a.mp4", features, SOURCE)
    sidecar = path.with_suffix(".json")
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[5000] ^= 1
        path.write_bytes(data)
    elif damage == "truncate":
        path.write_bytes(data[:-100])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "no sidecar":
        sidecar.unlink()
    elif damage == "no data":
        path.unlink()
    elif damage == "not json":
        sidecar.write_text("{")
    else:
        content = json.loads(sidecar.read_text())
        content["shape"] = [4, 1024]
        sidecar.write_text(json.dumps(content))
    with pytest.raises(FeatureError) as caught:
        load_features(path)
    assert "a.mp4" in str(caught.value)
    assert "extract" in caught.value.hint


def test_up_to_date_means_this_recipe_and_this_very_video(tmp_path, features):
    assert up_to_date(tmp_path, "a.mp4", RECIPE.digest(), SOURCE) is None
    path = save_features(tmp_path, "a.mp4", features, SOURCE)
    assert up_to_date(tmp_path, "a.mp4", RECIPE.digest(), SOURCE) == path
    other = FeatureRecipe({"rgb": "0" * 64}, context="dense").digest()
    assert up_to_date(tmp_path, "a.mp4", other, SOURCE) is None
    assert up_to_date(tmp_path, "a.mp4", RECIPE.digest(), {**SOURCE, "bytes": 6}) is None
    path.with_suffix(".json").unlink()
    assert up_to_date(tmp_path, "a.mp4", RECIPE.digest(), SOURCE) is None


def test_a_kill_between_data_and_sidecar_leaves_it_not_done(tmp_path, features, monkeypatch):
    save_features(tmp_path, "a.mp4", features, SOURCE)
    import extractors.store as store

    real = store.replacing

    def die_at_sidecar(path):
        if path.suffix == ".json":
            raise KeyboardInterrupt
        return real(path)

    monkeypatch.setattr(store, "replacing", die_at_sidecar)
    with pytest.raises(KeyboardInterrupt):
        save_features(tmp_path, "a.mp4", features, SOURCE)
    assert up_to_date(tmp_path, "a.mp4", RECIPE.digest(), SOURCE) is None


def test_fingerprint_is_of_the_content(tmp_path):
    file = tmp_path / "a.bin"
    file.write_bytes(b"hello")

    assert fingerprint(file) == {
        "bytes": 5,
        "sha256": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
    }
