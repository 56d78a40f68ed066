"""A whole run: train, judge, segments, card; and a checkpoint judged again by other thresholds."""

import dataclasses
import json

import numpy as np
import pytest

from ascnet_cli.errors import FeatureError, PredictionsError
from ascnet_cli.evaluation.protocols import protocol_named
from ascnet_cli.outputs.files import read_file
from ascnet_cli.training.data import load_data
from ascnet_cli.training.run import PREDICTIONS, judge_checkpoint, train_and_test
from ascnet_cli.training.settings import resolve
from tests.ascnet_cli.folder_tools import write_folder

QUICK = {"training.updates": "60", "training.validate_every": "20", "training.learning_rate": "0.01"}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    data = load_data(str(write_folder(folder / "data")))
    settings = resolve("fixed", data.shape, dataset="data", overrides=QUICK)
    return data, settings, train_and_test(data, settings, folder / "run")


def test_a_run_learns_and_is_judged(done):
    data, _, result = done
    assert result.training.finished
    assert result.test.result.n_videos == 4
    assert result.test.result.average > 0.3  # a network that has learned nothing gets less than .1
    assert [found.video for found in result.test.detections] == [file.video for file in data.test]


def test_its_folder_has_the_segments_and_the_card(done):
    _, _, result = done
    written = read_file(result.run / PREDICTIONS)
    for found in result.test.detections:
        assert [d.label for d in written[found.video]] == [d.label for d in found.detections]
    card = (result.run / "MODEL_CARD.md").read_text()
    assert f"{result.test.result.average:.4f}" in card
    assert "judged by custom" in card


def test_a_checkpoint_judges_the_same_again_and_carries_its_thresholds(done):
    data, settings, result = done
    again = judge_checkpoint(data, result.training.checkpoint)
    assert again.result == result.test.result
    narrow = dataclasses.replace(settings.localization, betas=(), alphas=(0.9,))
    other = judge_checkpoint(data, result.training.checkpoint, localization=narrow)
    assert other.detections != result.test.detections
    strict = judge_checkpoint(data, result.training.checkpoint, protocol=protocol_named("custom", [0.9]))
    assert strict.result.tious == (0.9,)


def test_thresholds_asked_for_are_in_the_checkpoint(done, tmp_path):
    data, _, _ = done
    overrides = {**QUICK, "training.updates": "2", "localization.alphas": "0.9", "localization.betas": ""}
    settings = resolve("fixed", data.shape, dataset="data", overrides=overrides)
    result = train_and_test(data, settings, tmp_path / "run")
    same = judge_checkpoint(data, result.training.checkpoint, localization=settings.localization)
    assert same.detections == result.test.detections


def test_test_videos_are_not_looked_at_where_there_are_none(done, tmp_path):
    data, settings, _ = done
    short = dataclasses.replace(settings.training, updates=2)
    result = train_and_test(
        dataclasses.replace(data, test=()), dataclasses.replace(settings, training=short), tmp_path / "run"
    )
    assert result.test is None
    assert not (result.run / PREDICTIONS).exists()
    assert "No test video" in (result.run / "MODEL_CARD.md").read_text()


def test_a_checkpoint_of_other_features_or_classes_is_refused(done):
    data, _, result = done
    other = dataclasses.replace(data, recipe={**data.recipe, "dim": 9})
    with pytest.raises(FeatureError, match="dim"):
        judge_checkpoint(other, result.training.checkpoint)
    renamed = dataclasses.replace(
        data,
        annotations=dataclasses.replace(data.annotations, classes=("a", "b"), videos=()),
    )
    with pytest.raises(PredictionsError, match="unknown labels"):
        judge_checkpoint(renamed, result.training.checkpoint)


def test_segments_end_with_the_features_where_nothing_else_says_how_long_a_video_is(done, tmp_path):
    write_folder(tmp_path)
    for path in (tmp_path / "features").glob("*.json"):
        path.unlink()
    (tmp_path / "features" / "grid.json").write_text(json.dumps({"stride_frames": 16, "window_frames": 16}))
    document = json.loads((tmp_path / "annotations.json").read_text())
    for entry in document["database"].values():
        entry["duration"] = 1000.0  # wrong, as in some circulating files
    (tmp_path / "annotations.json").write_text(json.dumps(document))
    data = load_data(str(tmp_path))
    overrides = {**QUICK, "training.updates": "2", "localization.betas": "0"}
    settings = resolve("fixed", data.shape, dataset="data", overrides=overrides)
    result = train_and_test(data, settings, tmp_path / "run")
    ends = [d.segment.end_s for found in result.test.detections for d in found.detections]
    assert max(ends) == pytest.approx(30 * 0.64)
    assert np.isfinite(ends).all()
