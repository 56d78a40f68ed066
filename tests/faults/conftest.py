"""Both commands have looked at the same folder of bad and odd files, once a session."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.faults.fault_tools import DETECT, EXTRACT, Batch, looked_at
from tests.faults.input_files import write_all


@pytest.fixture(scope="session")
def inputs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of input files: those of the rows whose tests run, or all where a test has no row."""
    named = {"inputs", "both"}  # `both` asks for it only when it runs
    using = [item for item in request.session.items if named & set(getattr(item, "fixturenames", ()))]
    rows = [re.match(r"test_(A\d\d)_", item.name) for item in using]
    asked = None if None in rows else {row[1] for row in rows if row}
    return write_all(tmp_path_factory.mktemp("faults") / "in", asked)


@pytest.fixture(scope="session")
def detected(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Batch:
    """What `ascnet detect` made of them."""
    return looked_at(inputs, tmp_path_factory.mktemp("detected"), program=DETECT)


@pytest.fixture(scope="session")
def extracted(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Batch:
    """What `ascnet extract` made of them."""
    return looked_at(inputs, tmp_path_factory.mktemp("extracted"), program=EXTRACT)


@pytest.fixture(params=["detect", pytest.param("extract", marks=pytest.mark.slow)])
def both(request: pytest.FixtureRequest) -> Batch:
    """What each of the two made of them."""
    batch = request.getfixturevalue({"detect": "detected", "extract": "extracted"}[request.param])
    assert isinstance(batch, Batch)
    return batch
