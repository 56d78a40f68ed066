"""Benches are not run by the tests, but what they import must be there."""

import importlib
from pathlib import Path

import pytest

BENCHES = sorted(path.stem for path in (Path(__file__).parent / "bench").glob("[a-z]*.py"))


@pytest.mark.parametrize("name", [name for name in BENCHES if not name.startswith("test_")])
def test_a_bench_can_be_imported(name):
    assert importlib.import_module(f"tests.bench.{name}").__doc__
