"""Processes that are started: deaf to Ctrl-C from the first one on, and over when their parent is."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from extractors.children import end_with_parent, ignore_interrupts, uninterrupted
from weights.processes import has_ended

ROOT = Path(__file__).resolve().parents[2]


def say(word):
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def say_blocked():
    say("blocked" if signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []) else "open")


def say_ignored():
    ignore_interrupts()
    say(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)


def idle():
    end_with_parent()
    say(os.getpid())
    time.sleep(600)


def start_children(target, n_children):
    """For a fresh process: children one after the other."""
    for _ in range(n_children):
        with uninterrupted():
            child = multiprocessing.get_context("spawn").Process(target=target)
            child.start()
        child.join()
    say_blocked()


def fresh(call, module="test_children"):
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from tests.extractors.{module} import *; "
    return subprocess.Popen([sys.executable, "-c", program + call], stdout=subprocess.PIPE, text=True)


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="no masks of signals here")
def test_the_first_child_is_as_deaf_as_the_second_and_the_parent_hears():
    with fresh("start_children(say_blocked, 2)") as process:
        out, _ = process.communicate(timeout=60)
    assert out.split() == ["blocked", "blocked", "open"]


def test_a_child_ignores_interrupts():
    with fresh("start_children(say_ignored, 1)") as process:
        out, _ = process.communicate(timeout=60)
    assert out.split()[0] == "True"


def test_a_child_ends_with_a_parent_that_was_killed():
    with fresh("start_children(idle, 1)") as process:
        child = int(process.stdout.readline())
        process.kill()
        process.wait()
        wait_for_end(child)


def wait_for_end(pid):
    until = time.monotonic() + 60
    while not has_ended(pid):
        assert time.monotonic() < until, f"{pid} lives on"
        time.sleep(0.05)
