"""`ascnet weights list | verify | convert | fetch | calibrate`."""

import dataclasses
import hashlib
import urllib.error

import numpy as np
import pytest

from extractors.calibration import Calibration, find_calibration, load_calibration
from tests.cli_tools import KINETICS_WEIGHTS, ascnet
from tests.synthetic import make_video
from weights import registry
from weights.convert import Converted
from weights.fetch import Fetched

SMALL = "raft-small"
ABSENT = "i3d-flow-imagenet"


def test_list():
    ran = ascnet("weights", "list")
    assert ran.code == 0
    header, *rows = ran.out.splitlines()
    assert header.split()[:4] == ["name", "network", "stream", "here"]
    assert [row.split()[0] for row in rows] == [known.name for known in registry.entries()]
    here = {row.split()[0]: row.split()[3] for row in rows}
    assert (here[KINETICS_WEIGHTS], here[ABSENT]) == ("shipped", "no")


def test_list_says_what_was_fetched(tmp_path, monkeypatch):
    monkeypatch.setenv("ASCNET_WEIGHTS", str(tmp_path))
    registry.entry(ABSENT).path.touch()
    rows = {row.split()[0]: row.split() for row in ascnet("weights", "list").out.splitlines()}
    assert rows[ABSENT][3] == "fetched"


def test_list_as_json():
    rows = ascnet("weights", "list", "--json").json
    assert [row["name"] for row in rows] == [known.name for known in registry.entries()]
    row = rows[0]
    keys = ["name", "architecture", "stream", "here", "path", "sha256", "licence", "publisher"]
    assert list(row) == keys
    assert row["here"] is True
    assert row["sha256"] == registry.entry(KINETICS_WEIGHTS).sha256
    assert {other["name"]: other["here"] for other in rows}[ABSENT] is False


def test_verify_all():
    ran = ascnet("weights", "verify")
    assert ran.code == 0
    said = dict(line.split(": ", 1) for line in ran.out.splitlines())
    assert said[KINETICS_WEIGHTS] == f"ok  {registry.entry(KINETICS_WEIGHTS).sha256}"
    assert said[ABSENT] == "absent"
    assert ran.err == ""


@pytest.fixture
def damaged(tmp_path, monkeypatch):
    """The registry of a package whose copy of the small weights has one flipped bit."""
    known = registry.entry(SMALL)
    package = tmp_path / "package"
    package.mkdir()
    data = bytearray(known.path.read_bytes())
    data[len(data) // 2] ^= 1
    (package / known.file).write_bytes(data)
    monkeypatch.setattr(registry, "_PACKAGE", package)
    return hashlib.sha256(data).hexdigest(), known.sha256


def test_verify_finds_damage_and_gives_both_hashes(damaged):
    ran = ascnet("weights", "verify", SMALL)
    assert ran.code == 5
    assert ran.out == f"{SMALL}: damaged  {damaged[0]}\n"
    error, hint = ran.err.splitlines()
    assert error.startswith(f"error: {SMALL}: ")
    assert all(sha256 in error for sha256 in damaged)
    assert hint.startswith("hint: ")


def test_verify_as_json(damaged):
    ran = ascnet("weights", "verify", SMALL, ABSENT, "--json")
    assert ran.code == 5
    small, absent = ran.json
    assert list(small) == ["name", "state", "path", "sha256", "error", "hint"]
    assert (small["state"], small["sha256"]) == ("damaged", damaged[0])
    assert (absent["state"], absent["sha256"]) == ("absent", None)
    assert "ascnet weights fetch" in absent["hint"]


def test_verify_of_weights_that_are_not_here():
    ran = ascnet("weights", "verify", ABSENT)
    assert ran.code == 5
    assert ran.out == f"{ABSENT}: absent\n"
    assert f"ascnet weights fetch {ABSENT}" in ran.err


@pytest.mark.parametrize("command", ["verify", "fetch"])
def test_a_name_that_nobody_knows(command):
    ran = ascnet("weights", command, "i3d")
    assert ran.code == 5
    assert ran.out == ""
    error, hint = ran.err.splitlines()
    assert "'i3d'" in error
    assert KINETICS_WEIGHTS in hint


def test_convert(tmp_path):
    source = registry.entry(SMALL).path
    ran = ascnet("weights", "convert", source, "--out", tmp_path / "made.safetensors")
    assert ran.code == 0
    first, second = ran.out.splitlines()
    assert first.startswith(f"{tmp_path}/made.safetensors: raft_small frames, 990,162 numbers, layout ")
    assert "no registry entry vouches for" in first
    assert second == f"sha256 {hashlib.sha256((tmp_path / 'made.safetensors').read_bytes()).hexdigest()}"


def test_convert_to_half_as_json(tmp_path):
    source = registry.entry(SMALL).path
    out = tmp_path / "made.safetensors"
    made = ascnet("weights", "convert", source, "--half", "--out", out, "--json").json
    assert made["path"] == str(out)
    assert (made["architecture"], made["dtype"], made["known_as"]) == ("raft_small", "float16", None)
    assert made["n_bytes"] == out.stat().st_size < 2.5e6


def test_convert_into_the_folder_of_weights_and_again():
    source = registry.entry(SMALL).path
    final = registry.weights_folder() / source.name
    for _ in range(2):
        assert ascnet("weights", "convert", source, "--json").json["path"] == str(final)
    assert [file.name for file in registry.weights_folder().iterdir()] == [final.name]


def test_convert_does_not_replace_other_weights():
    source = registry.entry(SMALL).path
    ascnet("weights", "convert", source)
    ran = ascnet("weights", "convert", source, "--half")
    assert ran.code == 2
    error, hint = ran.err.splitlines()
    assert error.endswith(f"{source.name} holds other weights")
    assert "--out" in hint
    assert len(list(registry.weights_folder().iterdir())) == 1


def test_known_weights_get_their_place_in_the_registry(tmp_path, monkeypatch):
    known = registry.entry(ABSENT)
    monkeypatch.setattr(
        "weights.convert.convert", lambda source, out, dtype: fake_conversion(out, known.name)
    )
    assert ascnet("weights", "convert", tmp_path / "flow.pt", "--json").json["path"] == str(known.path)
    assert ascnet("weights", "convert", tmp_path / "flow.pt").code == 0  # the same again
    assert known.path.read_bytes() == b"weights"


def fake_conversion(out, known_as):
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(b"weights")
    values = {field.name: "" for field in dataclasses.fields(Converted)}
    return Converted(
        **{**values, "path": out, "dtype": "float32", "n_bytes": 7, "n_parameters": 1, "known_as": known_as}
    )


@pytest.mark.parametrize(
    ("content", "code"), [(None, 5), (b"", 5), (b"<html>not found</html>", 5), (b"\x80\x04.", 5)]
)
def test_convert_refuses_what_is_no_checkpoint(tmp_path, content, code):
    source = tmp_path / "model.pt"
    if content is not None:
        source.write_bytes(content)
    ran = ascnet("weights", "convert", source)
    assert ran.code == code
    assert ran.out == ""
    assert "model.pt" in ran.err.splitlines()[0]
    assert not list(registry.weights_folder().glob("*"))


def test_convert_to_an_ending_that_is_not_its_own(tmp_path):
    ran = ascnet("weights", "convert", registry.entry(SMALL).path, "--out", tmp_path / "made.pt")
    assert ran.code == 2


def test_fetch_of_shipped_weights_finds_them_here():
    ran = ascnet("weights", "fetch", SMALL)
    assert (ran.code, ran.out) == (0, f"{SMALL}: present  {registry.entry(SMALL).path}\n")


def no_network(*_arguments, **_options):
    raise urllib.error.URLError("no network in tests")


def test_fetch_without_a_network_says_how_to_do_it_by_hand(monkeypatch):
    monkeypatch.setattr("urllib.request.urlopen", no_network)
    ran = ascnet("weights", "fetch", ABSENT)
    assert ran.code == 5
    error, hint = ran.err.splitlines()
    assert error.startswith(f"error: {ABSENT} could not be fetched: ")
    assert "no network in tests" in error
    assert registry.entry(ABSENT).source.files[0].urls[0] in hint


def test_fetch_goes_on_after_a_failure_and_reports_as_json(monkeypatch):
    monkeypatch.setattr("urllib.request.urlopen", no_network)
    ran = ascnet("weights", "fetch", ABSENT, SMALL, "--json")
    assert ran.code == 5
    failed, present = ran.json
    assert list(failed) == list(present) == ["name", "state", "path", "error", "hint"]
    assert (failed["state"], failed["path"]) == ("failed", None)
    assert (present["state"], present["error"]) == ("present", None)


def test_fetch_reports_its_progress_in_megabytes(tmp_path, monkeypatch):
    seen = []

    class Meter:
        def item(self, name, index):
            seen.append((name, index))
            return lambda done, total: seen.append((done, total))

    class Shown:
        def __init__(self, n_items, *, unit, rate):
            seen.append((n_items, unit, rate))

        def __enter__(self):
            return Meter()

        def __exit__(self, *_error):
            return None

    def fetched(name, progress):
        progress("file", 500_000, 2_000_000)
        progress("file", 500_000, None)
        return Fetched(name, tmp_path / "there", "fetched")

    monkeypatch.setattr("ascnet_cli.cli.console.meter", Shown)
    monkeypatch.setattr("weights.fetch.fetch", fetched)
    assert ascnet("weights", "fetch", ABSENT).out == f"{ABSENT}: fetched  {tmp_path}/there\n"
    assert seen == [(1, "MB", " MB/s"), (ABSENT, 1), (0.5, 2.0), (0.5, None)]


@pytest.fixture
def measured(monkeypatch):
    """What `calibrate` was asked to measure; the measuring itself is left out."""
    asked = []

    def stand_in(weights, tensors, clips):
        asked.append((weights, len(clips)))
        return Calibration(weights, {"input": (-1.0, 1.0)}, {"unit": np.zeros(2, np.float32)})

    monkeypatch.setattr("extractors.calibrate.calibrate", stand_in)
    return asked


def test_calibrate_puts_its_result_where_it_is_looked_for(tmp_path, measured):
    video = make_video(tmp_path / "a.mp4", n_frames=70)
    ran = ascnet("weights", "calibrate", str(video), "--snippets", "3")
    assert ran.code == 0
    sha256 = registry.entry(KINETICS_WEIGHTS).sha256
    assert measured == [(sha256, 3)]
    found = find_calibration(sha256)
    assert found.ranges == {"input": (-1.0, 1.0)}
    assert found.sha256 in ran.err


def test_calibrate_into_a_file(tmp_path, measured):
    video = make_video(tmp_path / "a.mp4", n_frames=20)
    ran = ascnet("weights", "calibrate", str(video), "--out", str(tmp_path / "x" / "c.safetensors"))
    assert ran.code == 0
    assert load_calibration(tmp_path / "x" / "c.safetensors").weights == measured[0][0]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["bad.mp4"], 3, "not a readable video"),
        (["short.mp4"], 2, "snippet"),
        (["short.mp4", "--weights", SMALL], 5, "RGB weights of I3D"),
        ([], 2, "VIDEO"),
        (["short.mp4", "--snippets", "0"], 2, "snippets"),
    ],
)
def test_calibrate_refuses(tmp_path, measured, arguments, code, said):
    (tmp_path / "bad.mp4").write_bytes(b"nothing")
    make_video(tmp_path / "short.mp4", n_frames=3)
    ran = ascnet("weights", "calibrate", *arguments)
    assert ran.code == code
    assert said in ran.err
    assert measured == []
