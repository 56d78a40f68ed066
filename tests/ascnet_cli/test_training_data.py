"""A data set opened for training: whose videos, which features, what is said about the rest."""

import json

import numpy as np
import pytest

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
