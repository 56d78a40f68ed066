"""The model that comes with ascnet: chosen by validation, stored compactly, with its card."""

import json

import pytest

from ascnet_cli.config import network_config
from ascnet_cli.model.ascnet import AscNet
from ascnet_cli.model.checkpoint import load_checkpoint, save_checkpoint
from examples.mocap import checkpoint


def run(folder, validation_map):
    folder.mkdir(parents=True)
    model = AscNet(network_config("fixed", "thumos14", n_classes=2, in_dim=6))
    sha256 = save_checkpoint(
        folder / "best.safetensors",
        model,
        labels=("a", "b"),
        recipe={"dim": 6},
        extra={"step": 3, "validation_map": validation_map},
    )
    (folder / "MODEL_CARD.md").write_text(f"- checkpoint: `best.safetensors`, SHA-256 `{sha256}`\n")


def test_the_best_by_validation_and_of_equal_ones_the_lowest_seed(tmp_path, capsys):
    for seed, validation_map in ((0, 0.5), (2, 0.9), (10, 0.9)):
        run(tmp_path / f"seed-{seed}", validation_map)
    out = tmp_path / "model.safetensors"
    assert checkpoint.main([str(tmp_path), "--out", str(out)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["run"].endswith("seed-2")
    assert load_checkpoint(out).sha256 == said["sha256"]
    card = out.with_suffix(".md").read_text()
    what = "half precision, without the queries that training alone reads"
    assert card == f"- checkpoint: `model.safetensors` ({what}), SHA-256 `{said['sha256']}`\n"


def test_nothing_to_choose_from(tmp_path):
    with pytest.raises(FileNotFoundError, match="no runs"):
        checkpoint.best_seed(tmp_path)
