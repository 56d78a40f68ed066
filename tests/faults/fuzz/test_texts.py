"""A small part of the fuzzing of files that are no videos; `python -m tests.faults.fuzz.texts` does more."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.fuzz.texts import TARGETS, run

ROOT = Path(__file__).resolve().parents[3]
FAST = 5


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_files_end_in_an_error_of_the_tree_or_are_read_rightly(name):
    run(name, FAST)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_many_damaged_files_within_bounds_of_memory_and_time():
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.fuzz.texts", "--examples", "300"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
