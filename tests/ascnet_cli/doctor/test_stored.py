"""Weights and models, whole and damaged."""

import shutil
from pathlib import Path

import pytest

from ascnet_cli.doctor.stored import look_at_models, look_at_weights
from extractors import calibration
from tests.cli_tools import KINETICS_WEIGHTS
from weights import registry


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of the shipped weights, to be damaged."""
    place = tmp_path / "package"
    place.mkdir()
    for known in registry.entries():
        if known.shipped:
            shutil.copy(known.path, place)
    for name in ("registry.toml", "kinetics400.txt"):
        shutil.copy(Path(registry.__file__).parent / name, place)
    monkeypatch.setattr(registry, "_PACKAGE", place)
    return place


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_what_is_shipped_is_whole():
    finding = look_at_weights()
    assert finding.state == "ok"
    known = registry.entry(KINETICS_WEIGHTS)
    assert finding.facts["weights"][KINETICS_WEIGHTS] == {
        "state": "ok",
        "path": str(known.path),
        "sha256": known.sha256,
    }
    assert known.sha256[:8] in finding.text


@pytest.mark.parametrize(
    ("name", "state", "use"),
    [
        (KINETICS_WEIGHTS, ("problem", 5), "git"),
        ("raft-small", ("warning", 0), "`--flow raft` will not work"),
        ("mocap", ("warning", 0), "`--model mocap` will not work"),
    ],
)
@pytest.mark.parametrize("how", [flip, Path.unlink, lambda path: path.write_bytes(b"")])
def test_damaged_weights(package, name, how, state, use):
    """What the default model does without is no reason to say that `ascnet detect` does not work."""
    how(registry.entry(name).path)
    finding = look_at_weights()
    assert (finding.state, finding.exit_code) == state
    assert registry.entry(name).file in finding.text
    assert "git" in finding.hint
    assert use in finding.hint
    assert finding.facts["weights"][name]["state"] == "damaged"


@pytest.mark.parametrize("how", [Path.unlink, lambda path: path.write_bytes(b"")])
def test_a_trained_model_that_cannot_be_opened(package, how):
    how(registry.entry("mocap").path)
    finding = look_at_models()
    assert (finding.state, finding.exit_code) == ("warning", 0)
    assert "`--model mocap` will not work" in finding.hint
    assert finding.facts["classes"] == {"kinetics400": 400, "mocap": None}
    assert finding.facts["calibration"]


def test_a_machine_on_which_trained_models_cannot_be_opened(monkeypatch):
    """As without /proc, where torch's own answer is a RuntimeError."""

    def broken(_path):
        raise RuntimeError("Failed to initialize cpuinfo!")

    monkeypatch.setattr("ascnet_cli.model.checkpoint.load_checkpoint", broken)
    finding = look_at_models()
    assert (finding.state, finding.exit_code) == ("warning", 0)
    assert "`--model mocap` will not work: RuntimeError: Failed" in finding.hint


def test_damaged_weights_in_the_folder_of_fetched_ones():
    known = registry.entry("i3d-flow-imagenet")
    known.path.parent.mkdir(parents=True)
    known.path.write_bytes(b"<html>not found</html>")
    finding = look_at_weights()
    assert (finding.state, finding.exit_code) == ("warning", 0)  # detect works without
    assert "ascnet weights fetch i3d-flow-imagenet" in finding.hint


def test_models():
    finding = look_at_models()
    assert finding.state == "ok"
    assert finding.facts["classes"] == {"kinetics400": 400, "mocap": 10}
    assert finding.facts["calibration"]


def test_weights_without_a_calibration(monkeypatch):
    monkeypatch.setattr(calibration, "_FOLDER", "elsewhere")
    finding = look_at_models()
    assert finding.state == "warning"
    assert "openvino-int8" in finding.hint


def test_without_a_place_for_fetched_weights_detect_works_all_the_same(monkeypatch):
    monkeypatch.setenv("ASCNET_WEIGHTS", "~nobody-of-this-name/x")
    finding = look_at_weights()
    assert (finding.state, finding.exit_code) == ("warning", 0)
    assert "ASCNET_WEIGHTS" in finding.hint
    assert KINETICS_WEIGHTS in finding.text
    assert look_at_models().exit_code == 0
