"""A data set opened for training: whose videos, which features, what is said about the rest."""

import json
import resource

import numpy as np
import pytest

from ascnet_cli.ablation.scores import truth_digest
from ascnet_cli.errors import FeatureError, OptionError, TrainingError
from ascnet_cli.training.data import load_data
from ascnet_cli.training.settings import DataShape
from tests.ascnet_cli.folder_tools import CLASSES, RECIPE, WIDTH, write_features, write_folder


def test_a_folder_of_ones_own(tmp_path):
    data = load_data(str(write_folder(tmp_path)))
    assert data.videos.names == tuple(f"v{i:02d}.mp4" for i in range(10))
    assert [file.video for file in data.test] == [f"v{i:02d}.mp4" for i in range(10, 14)]
    assert data.shape == DataShape(n_classes=2, in_dim=WIDTH, longest=30, n_videos=10)
    assert data.recipe == RECIPE
    assert data.notes == ()
    assert isinstance(data.videos.features["v00.mp4"], np.memmap)


def test_labels_alone_are_enough_to_learn_and_nothing_is_tested(tmp_path):
    write_folder(tmp_path)
    (tmp_path / "annotations.json").unlink()
    rows = "".join(f"v{i:02d}.mp4,{CLASSES[i % 2]}\n" for i in range(14))
    (tmp_path / "labels.csv").write_text("video,label\n" + rows)
    data = load_data(str(tmp_path))
    assert len(data.videos.names) == 14
    assert data.test == ()


def test_videos_without_features_or_labels_are_named(tmp_path):
    write_folder(tmp_path)
    for name in ("v03.mp4", "v11.mp4"):
        (tmp_path / "features" / f"{name}.npy").unlink()
    document = json.loads((tmp_path / "annotations.json").read_text())
    document["database"]["v00.mp4"]["annotations"] = []
    (tmp_path / "annotations.json").write_text(json.dumps(document))
    data = load_data(str(tmp_path))
    assert "v03.mp4" not in data.videos.names
    assert len(data.test) == 3
    assert data.notes == (
        "1 training videos have no features and are left out: v03.mp4",
        "1 test videos have no features and are left out: v11.mp4",
        "1 training videos have no label and are learned from as background",
    )


def test_no_features_of_any_training_video_is_an_error(tmp_path):
    write_folder(tmp_path)
    for i in range(10):
        (tmp_path / "features" / f"v{i:02d}.mp4.npy").unlink()
    with pytest.raises(TrainingError, match="none of the 10 training videos has features") as caught:
        load_data(str(tmp_path))
    assert "ascnet datasets check" in caught.value.hint


def test_features_made_in_two_ways_are_refused(tmp_path):
    write_folder(tmp_path)
    other = {**RECIPE, "weights": {"rgb": "1" * 64}}
    write_features(tmp_path / "features", "v04.mp4", np.zeros((30, WIDTH), np.float32), other)
    with pytest.raises(FeatureError, match=r"v00\.mp4 and v04\.mp4 were made in different ways.*weights"):
        load_data(str(tmp_path))


@pytest.mark.parametrize("damage", ["bits", "nan"])
def test_damaged_features_are_found_before_training(tmp_path, damage):
    write_folder(tmp_path)
    path = tmp_path / "features" / "v04.mp4.npy"
    if damage == "bits":
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    else:
        values = np.load(path)
        values[29, 3] = np.nan
        write_features(tmp_path / "features", "v04.mp4", values)
    with pytest.raises(FeatureError, match=r"v04\.mp4"):
        load_data(str(tmp_path))


def test_half_precision_and_published_features(tmp_path):
    write_folder(tmp_path)
    for path in (tmp_path / "features").glob("*.json"):
        path.unlink()
    for path in (tmp_path / "features").glob("*.npy"):
        np.save(path, np.load(path).astype(np.float16))
    (tmp_path / "features" / "grid.json").write_text(json.dumps({"stride_frames": 16, "window_frames": 16}))
    data = load_data(str(tmp_path))
    assert data.videos.features["v00.mp4"].dtype == np.float16
    assert data.recipe["published"] == "plain"


def test_no_such_data_set(tmp_path):
    with pytest.raises(OptionError, match="no data set"):
        load_data(str(tmp_path / "nothing"))


def subsets(folder, words):
    document = json.loads((folder / "annotations.json").read_text())
    for entry, word in zip(document["database"].values(), words, strict=True):
        entry.pop("subset", None)
        entry.update({"subset": word} if word else {})
    (folder / "annotations.json").write_text(json.dumps(document))
    return load_data(str(folder))


def test_videos_of_which_nothing_is_said_are_learned_from_unless_others_are(tmp_path):
    write_folder(tmp_path, n_train=4, n_test=2)
    assert len(subsets(tmp_path, [None] * 4 + ["testing"] * 2).videos.names) == 4
    mixed = subsets(tmp_path, [None] + ["training"] * 3 + ["testing"] * 2)
    assert len(mixed.videos.names) == 3
    assert mixed.notes == ("1 videos have no subset, unlike others, and are left out: v00.mp4",)
    with pytest.raises(TrainingError, match="has no training videos"):
        subsets(tmp_path, ["testing"] * 6)


def test_a_video_gets_no_features_of_another_one_with_its_stem(tmp_path):
    write_folder(tmp_path)
    folder = tmp_path / "features"
    for ending in ("npy", "json"):
        (folder / f"v03.mp4.{ending}").rename(folder / f"v03.avi.{ending}")
    assert "v03.mp4" not in load_data(str(tmp_path)).videos.names


def test_where_few_files_may_be_open_features_are_held_in_memory(tmp_path, monkeypatch):
    write_folder(tmp_path)
    limits = []
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (200, 200))
    monkeypatch.setattr(resource, "setrlimit", lambda _kind, pair: limits.append(pair))
    features = load_data(str(tmp_path)).videos.features
    assert limits == [(200, 200)]
    assert not any(isinstance(values, np.memmap) for values in features.values())


def test_the_limit_of_open_files_is_raised_where_it_may_be(tmp_path, monkeypatch):
    write_folder(tmp_path)
    limits = []
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (100, 5000))
    monkeypatch.setattr(resource, "setrlimit", lambda _kind, pair: limits.append(pair))
    features = load_data(str(tmp_path)).videos.features
    assert limits == [(266, 5000)]
    assert all(isinstance(values, np.memmap) for values in features.values())


def test_other_numbers_are_other_data(tmp_path):
    write_folder(tmp_path)

    def digests():
        data = load_data(str(tmp_path))
        return data.videos.features_sha256, truth_digest(data.annotations, data.test)

    before = digests()
    assert digests() == before
    values = np.load(tmp_path / "features" / "v00.mp4.npy") + 1
    write_features(tmp_path / "features", "v00.mp4", values)
    values = np.load(tmp_path / "features" / "v10.mp4.npy") + 1
    write_features(tmp_path / "features", "v10.mp4", values)
    after = digests()
    assert before[0] != after[0]
    assert before[1] != after[1]
