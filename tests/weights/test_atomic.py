"""Temporary files: whose they are, and which are swept away."""

import os
import subprocess
import sys
import time

import pytest

from weights.atomic import replacing, sweep, temporary_name, write_error
from weights.processes import machine_tag


@pytest.fixture
def dead_pid():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_dead_process_leaves_nothing_that_stays(tmp_path, dead_pid):
    left = tmp_path / f".ascnet-{machine_tag()}-{dead_pid}-0badcafe.tmp"
    left.touch()
    assert sweep(tmp_path) == 1
    assert not left.exists()


def test_what_is_being_written_stays(tmp_path):
    with replacing(tmp_path / "a") as file:
        assert sweep(tmp_path) == 0
        file.write(b"whole")
    assert (tmp_path / "a").read_bytes() == b"whole"


def test_another_machines_file_stays_for_a_day(tmp_path, dead_pid):
    fresh = tmp_path / f".ascnet-00000000-{dead_pid}-00000001.tmp"
    old = tmp_path / f".ascnet-00000000-{dead_pid}-00000002.tmp"
    for file in (fresh, old):
        file.touch()
    two_days_ago = time.time() - 2 * 86_400
    os.utime(old, (two_days_ago, two_days_ago))
    assert sweep(tmp_path) == 1
    assert fresh.exists()
    assert not old.exists()
    assert list(tmp_path.iterdir()) == [fresh]


def test_of_another_machine_processes_that_are_known_to_be_over_leave_nothing(tmp_path, dead_pid):
    left = tmp_path / f".ascnet-00000000-{dead_pid}-00000001.tmp"
    others = tmp_path / f".ascnet-00000001-{dead_pid}-00000001.tmp"
    for file in (left, others):
        file.touch()
    assert sweep(tmp_path, {("00000000", dead_pid)}) == 1
    assert list(tmp_path.iterdir()) == [others]


@pytest.mark.parametrize("name", ["a.tmp", ".ascnet-1-0badcafe.tmp", "features.npy", ".ascnet-x.tmp"])
def test_files_that_are_not_ours_stay(tmp_path, name):
    (tmp_path / name).touch()
    assert sweep(tmp_path) == 0
    assert (tmp_path / name).exists()


def test_a_folder_that_is_not_there_has_nothing_to_sweep(tmp_path):
    assert sweep(tmp_path / "nowhere") == 0


def test_names_differ(tmp_path):
    assert temporary_name(tmp_path) != temporary_name(tmp_path)


def test_a_folder_is_said_to_be_missing_only_where_that_is_the_reason(tmp_path):
    path = tmp_path / "run" / "checkpoints"
    missing, refused = (write_error(OSError(number, os.strerror(number)), path) for number in (2, 13))
    assert "does not exist" in str(missing)
    assert str(refused) == f"{path}: cannot be written: Permission denied"
