"""The current folder, its disk, the memory, the data sets."""

import json
import os
import shutil
import subprocess
from collections import namedtuple
from pathlib import Path

import pytest

from ascnet_cli.doctor import places
from ascnet_cli.doctor.places import (
    NoFolderError,
    available_memory_bytes,
    look_at_datasets,
    look_at_folder,
    look_at_memory,
)

Usage = namedtuple("Usage", "total used free")


def test_a_folder_like_any_other(tmp_path):
    finding = look_at_folder()
    assert finding.state in ("ok", "warning")  # the disk of the tests may be nearly full
    assert finding.facts["folder"] == str(tmp_path)
    assert finding.facts["writable"] is True
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("free", "state", "code"),
    [(0, "warning", 0), (9_999_999, "warning", 0), (10_000_000, "warning", 0), (2_000_000_000, "ok", 0)],
)
def test_room_on_the_disk(monkeypatch, free, state, code):
    monkeypatch.setattr(places.shutil, "disk_usage", lambda _path: Usage(10**12, 0, free))
    finding = look_at_folder()
    assert (finding.state, finding.exit_code, finding.facts["free_bytes"]) == (state, code, free)
    assert ("too little for files" in finding.text) is (free < 10_000_000)


@pytest.fixture
def small_disk(tmp_path):
    """A real disk of 2 MB, where this user may mount one."""
    place = tmp_path / "small"
    place.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    if os.geteuid() != 0 or shutil.which("mount") is None or subprocess.run(mounting).returncode:
        pytest.skip("no disk can be mounted here")
    yield place
    os.chdir("/")
    subprocess.run(["umount", str(place)], check=True)


def test_a_real_disk_that_is_too_small(small_disk, monkeypatch):
    monkeypatch.chdir(small_disk)
    finding = look_at_folder()
    assert (finding.state, finding.exit_code) == ("warning", 0)
    assert "--out" in finding.hint
    (small_disk / "full").write_bytes(b"x" * finding.facts["free_bytes"])
    assert look_at_folder().facts["free_bytes"] == 0


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="a folder in which nobody may write")
def test_a_folder_that_cannot_be_written_to(monkeypatch):
    monkeypatch.chdir("/proc/self")
    finding = look_at_folder()
    assert (finding.state, finding.exit_code) == ("warning", 0)
    assert "--out" in finding.hint
    assert finding.facts["writable"] is False


def test_a_folder_that_is_gone(tmp_path, monkeypatch):
    place = tmp_path / "gone"
    place.mkdir()
    monkeypatch.chdir(place)
    place.rmdir()
    try:
        with pytest.raises(NoFolderError, match="cannot be looked at") as caught:
            look_at_folder()
    finally:
        os.chdir(tmp_path)
    assert caught.value.exit_code == 2


@pytest.fixture
def said(tmp_path, monkeypatch):
    """What the system says of its memory: files to write into."""
    files = [tmp_path / name for name in ("meminfo", "max2", "used2", "max1", "used1")]
    monkeypatch.setattr(places, "_MEMINFO", files[0])
    monkeypatch.setattr(places, "_CGROUPS", ((files[1], files[2]), (files[3], files[4])))
    files[0].write_text("MemTotal:  9000000 kB\nMemAvailable:    8000000 kB\nSwapTotal: 0 kB\n")
    return files


def test_memory_of_the_machine(said):
    assert available_memory_bytes() == 8_192_000_000
    assert look_at_memory().state == "ok"


@pytest.mark.parametrize("which", [1, 3])
def test_memory_of_a_container(said, which):
    said[which].write_text("2000000000\n")
    said[which + 1].write_text("600000000\n")
    finding = look_at_memory()
    assert (finding.state, finding.exit_code) == ("warning", 0)
    assert finding.facts["available_bytes"] == 1_400_000_000


def test_a_container_without_a_limit(said):
    said[1].write_text("max\n")
    said[2].write_text("600000000\n")
    assert available_memory_bytes() == 8_192_000_000


def test_a_system_that_does_not_say(said):
    said[0].unlink()
    finding = look_at_memory()
    assert (finding.state, finding.facts["available_bytes"]) == ("ok", None)


def test_data_sets(monkeypatch):
    finding = look_at_datasets()
    assert finding.state == "ok"
    assert finding.facts["variable"] is None
    assert set(finding.facts["videos"]) == {"thumos14", "activitynet13", "mocap"}
    assert finding.facts["videos"]["thumos14"] is None


def test_a_data_set_in_the_folder_of_data_sets(tmp_path, monkeypatch):
    place = tmp_path / "sets" / "activitynet13"
    place.mkdir(parents=True)
    video = {"duration": 4.0, "subset": "training", "annotations": [{"label": "a", "segment": [1, 2]}]}
    (place / "activity_net.v1-3.min.json").write_text(json.dumps({"database": {"v": video}}))
    monkeypatch.setenv("ASCNET_DATA", str(tmp_path / "sets"))
    finding = look_at_datasets()
    assert finding.facts["videos"]["activitynet13"] == 1, finding
    (place / "activity_net.v1-3.min.json").write_text("{")
    finding = look_at_datasets()
    assert (finding.state, finding.exit_code) == ("warning", 0)
    assert finding.hint.startswith("activitynet13: ")


@pytest.mark.parametrize("said", ["nowhere", "x" * 5000, "\udcff\udcfe", "a\nb"])
def test_a_folder_of_data_sets_that_is_not_there(monkeypatch, said):
    monkeypatch.setenv("ASCNET_DATA", said)
    finding = look_at_datasets()
    assert (finding.state, finding.exit_code) == ("warning", 0)
    assert (repr(said) if len(said) < 100 else "too long") in finding.hint


def test_a_folder_of_data_sets_that_is_closed(tmp_path, monkeypatch):
    """As another user's is; root may look anywhere, so that the system's answer is simulated."""

    def closed(_name):
        raise PermissionError(13, "Permission denied", str(tmp_path / "thumos14"))

    monkeypatch.setattr("ascnet_cli.datasets.catalog.data_folder", closed)
    finding = look_at_datasets()
    assert (finding.state, finding.exit_code) == ("warning", 0)
    assert f"{tmp_path / 'thumos14'}: Permission denied" in finding.hint
