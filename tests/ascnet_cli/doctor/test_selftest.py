"""The self-test: that it passes on a sound chain, and that each link can fail it."""

import math
import tempfile
import threading
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch

from ascnet_cli.config_kinetics import KINETICS400
from ascnet_cli.detector import Detector, load_detector
from ascnet_cli.doctor import drawn, examine, selftest
from ascnet_cli.doctor.examine import _guarded, _self_test
from ascnet_cli.doctor.selftest import (
    TOLERANCE,
    SelfTestError,
    check_decoding,
    check_localization,
    distance,
    self_test,
)
from ascnet_cli.errors import DeviceError, StorageError
from ascnet_cli.segments import Detection, Segment
from extractors.video import Frame
from tests.ascnet_cli.doctor.chain import answering, stored
from tests.ascnet_cli.doctor.expected import cases, plain_features
from weights.store import load


def test_a_sound_chain(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with answering():
        done = self_test("cpu")
    assert done.feature_error == 0
    assert done.picture_error < 1
    assert done.segment_error_s <= 0.32
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_real_network_on_this_machine():
    done = self_test("cpu")
    assert 1e-4 < done.feature_error < TOLERANCE / 2  # decoding alone is never quite exact


@pytest.mark.slow
def test_the_stored_features_are_those_of_the_plain_graph_in_float64():
    loaded = load(KINETICS400.weights)
    wanted = plain_features(loaded.tensors, drawn.pictures())
    assert distance(stored(), wanted) < 1e-6
    for kind, what, found in cases(loaded.tensors, drawn.pictures()):
        error = distance(found, stored())
        assert error < TOLERANCE * 0.7 if kind == "right" else error > TOLERANCE * 1.3, what


def run(values=None):
    with answering(values):
        return _guarded("self-test", lambda: _self_test("cpu"))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_features_that_are_no_numbers(value):
    values = stored().copy()
    values[1, 7] = value
    finding = run(values)
    assert (finding.state, finding.exit_code) == ("problem", 1)
    assert "NaN or infinite" in finding.text


@pytest.mark.parametrize("factor", [1 + 2 * TOLERANCE, 0])
def test_features_that_are_other_ones(factor):
    finding = run(stored() * np.float32(factor))
    assert (finding.state, finding.exit_code) == ("problem", 1)
    assert finding.text.startswith("I3D: features differ")


def test_features_within_the_tolerance():
    finding = run(stored() * np.float32(1 + TOLERANCE / 2))
    assert finding.state == "ok"
    assert finding.facts["feature_error"] == pytest.approx(TOLERANCE / 2, rel=1e-3)


@pytest.mark.parametrize(
    ("error", "code"), [(MemoryError(), 6), (RuntimeError("oneDNN"), 1), (KeyError(), 1)]
)
def test_a_network_that_fails(error, code):
    with answering(), mock.patch("tests.ascnet_cli.doctor.chain.Answers.push", side_effect=error):
        finding = _guarded("self-test", lambda: _self_test("cpu"))
    assert (finding.state, finding.exit_code) == ("problem", code), finding


def test_stored_features_of_other_weights(monkeypatch):
    monkeypatch.setattr(
        selftest, "parse_safetensors", lambda *_: ({"features": stored()}, {"weights": "0" * 64})
    )
    assert "of the weights 0000" in run().text


def test_a_disk_that_is_full(monkeypatch):
    def full(*_arguments):
        raise StorageError("the disk is full", hint="make room")

    monkeypatch.setattr("ascnet_cli.detect.save_features", full)
    assert run().exit_code == 6


def test_no_place_for_temporary_files(monkeypatch):
    """The command itself needs none."""
    monkeypatch.setattr(tempfile, "tempdir", "/proc/self")
    finding = run()
    assert (finding.state, finding.exit_code) == ("warning", 0)
    assert finding.text.startswith("not run: no place for temporary files")
    assert "TMPDIR" in finding.hint


def test_too_little_room_for_temporary_files(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    real = Path.write_bytes

    def full(path, data):
        if path.name == "room":
            raise OSError(28, "No space left on device")
        return real(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    finding = run()
    assert (finding.state, finding.exit_code) == ("warning", 0)
    assert "too little room" in finding.text
    assert list(tmp_path.iterdir()) == []


def test_the_room_that_is_asked_for_is_enough(tmp_path):
    assert drawn.write_video(tmp_path).stat().st_size < selftest._ROOM_BYTES / 2


@pytest.mark.parametrize("link", ["features", "check_decoding", "check_localization"])
def test_a_link_that_hangs(monkeypatch, link):
    """Wherever it hangs, the person is told after a while."""
    going = threading.Event()
    monkeypatch.setattr(examine, "_LIMIT_S", 0.5)
    monkeypatch.setattr(selftest, link, lambda *_: going.wait(60))
    with answering():
        finding = _guarded("self-test", lambda: _self_test("cpu"))
    going.set()
    assert (finding.state, finding.exit_code) == ("problem", 1)
    assert "has not ended in 0.5 s" in finding.text


def test_decoding_in_this_process_comes_after_the_decoders_own(monkeypatch):
    """A decoder that crashes takes its own process along, and not the doctor."""
    monkeypatch.setattr(selftest, "check_decoding", lambda _video: pytest.fail("it would crash here"))

    def crashed(*_arguments):
        raise SelfTestError("I3D: decoder crashed (signal 11)", hint="reinstall")

    monkeypatch.setattr(selftest, "features", crashed)
    finding = run()
    assert (finding.state, finding.exit_code) == ("problem", 1)
    assert "signal 11" in finding.text


def test_a_device_that_is_not_there():
    with pytest.raises(DeviceError):
        self_test("cuda:99")


@pytest.mark.parametrize("encoder", ["libx264", "ffv1"])
def test_the_drawn_video_is_decoded_to_what_was_drawn(tmp_path, monkeypatch, encoder):
    if encoder == "ffv1":
        without_x264(monkeypatch)
    path = drawn.write_video(tmp_path)
    assert path.suffix == (".mp4" if encoder == "libx264" else ".mkv")
    assert check_decoding(path) < 1


def without_x264(monkeypatch):
    import av

    real = av.codec.Codec

    def codec(name, mode):
        return real("no such codec" if name == "libx264" else name, mode)

    monkeypatch.setattr(av.codec, "Codec", codec)


def decoded(change):
    """`check_decoding` with frames that came out in another way."""
    frames = [Frame(k / 25, 0.04, rgb) for k, rgb in enumerate(drawn.pictures())]
    reader = mock.MagicMock()
    reader.__enter__.return_value.frames.return_value = iter(change(frames))
    with mock.patch.object(selftest, "open_video", return_value=reader):
        return check_decoding(Path("drawn.mp4"))


def recoloured(frame):
    return Frame(frame.time_s, frame.duration_s, np.ascontiguousarray(frame.rgb[..., ::-1]))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda frames: frames[:-1], "came out as 15"),
        (lambda frames: [], "came out as 0"),
        (lambda frames: [Frame(f.time_s + 0.04, 0.04, f.rgb) for f in frames], "0.04 s, came out as 16"),
        (lambda frames: [frames[0], *frames[:1], *frames[2:]], "came out as 16"),
        (lambda frames: [*frames[:3], recoloured(frames[3]), *frames[4:]], "frame 3 differs"),
        (lambda frames: [Frame(f.time_s, 0.04, frames[0].rgb) for f in frames], "differs by"),
        (lambda frames: [Frame(f.time_s, 0.04, f.rgb[:200]) for f in frames], "frame 0 differs"),
    ],
)
def test_decoding_that_is_wrong(change, words):
    assert decoded(list) == 0
    with pytest.raises(SelfTestError, match=words) as caught:
        decoded(change)
    assert "install" in caught.value.hint


@pytest.fixture(scope="module")
def detector():
    with answering():
        return load_detector(device="cpu")


def moved(by_s):
    def segments(self, values, grid, duration_s):
        return (Detection(self.model.labels[0], Segment(6.4 + by_s, 12.8 + by_s), 1.0),)

    return segments


@pytest.mark.parametrize(
    ("segments", "words"),
    [
        (lambda *_: (), "found were"),
        (moved(0.5), "was shown at 6.40-12.80 s, and found at 6.90-13.30 s"),
        (moved(-0.5), "found at 5.90"),
        (lambda self, *_: (Detection(self.model.labels[1], Segment(6.4, 12.8), 1.0),), "found were"),
        (lambda self, *_: (Detection(self.model.labels[0], Segment(6.4, 12.8), 0.1),), "found were"),
    ],
)
def test_localization_that_is_wrong(detector, tmp_path, monkeypatch, segments, words):
    assert check_localization(detector, tmp_path) <= 0.32
    monkeypatch.setattr(Detector, "segments", segments)
    with pytest.raises(SelfTestError, match=words):
        check_localization(detector, tmp_path)


def test_the_head_is_part_of_the_chain(detector, tmp_path, monkeypatch):
    monkeypatch.setattr(
        detector.model.__class__, "logits", lambda self, x: np.zeros((len(x), 400), np.float32)
    )
    with pytest.raises(SelfTestError, match="localization"):
        check_localization(detector, tmp_path)


def test_the_pictures_all_differ():
    shown = torch.from_numpy(drawn.pictures()).float()
    assert shown.diff(dim=0).abs().mean(dim=(1, 2, 3)).min() > 15
    assert 20 < shown.min() < shown.max() < 250  # nothing is cut off by the range that files use
