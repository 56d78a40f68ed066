"""Processes told apart: a number alone says little."""

import os
import subprocess
import sys

from weights import processes
from weights.processes import has_ended, machine_tag, start_of, this_machine


def test_this_process_runs():
    assert not has_ended(os.getpid(), start_of(os.getpid()))
    assert start_of(os.getpid()) == start_of(os.getpid()) != ""


def test_a_process_that_ended_has_ended_whether_waited_for_or_not():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    start = start_of(process.pid)
    assert start
    assert not has_ended(process.pid, start)
    process.stdin.close()
    while processes._stat(process.pid)[0] != "Z":
        pass
    assert has_ended(process.pid, start)
    process.wait()
    assert has_ended(process.pid, start)
    assert start_of(process.pid) == ""


def test_another_start_is_another_process():
    assert has_ended(os.getpid(), "0")


def test_where_the_kernel_does_not_say_nobody_is_dead(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "_PROC", tmp_path)
    assert not has_ended(2**30)
    assert start_of(os.getpid()) == ""


def test_a_number_out_of_range_is_not_dead():
    assert not has_ended(10**30)


def test_a_machine_has_a_name_that_fits_into_a_file_name():
    assert "/" in this_machine()
    assert len(machine_tag()) == 8
    assert set(machine_tag()) <= set("0123456789abcdef")
