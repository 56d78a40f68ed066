"""Damaged videos by seed: done rightly or failed with a reason, whatever was done to them."""

from __future__ import annotations

import pytest

from tests.faults.fault_tools import DETECT, looked_at
from tests.faults.fuzz.mutations import KINDS, SOURCES, case, make_sources
from tests.faults.fuzz.videos import fuzz


def test_the_same_seed_is_the_same_file_and_every_kind_comes_up(tmp_path):
    sources = make_sources(tmp_path)
    cases = [case(seed, sources) for seed in range(len(SOURCES) * len(KINDS))]
    assert {(made.source, made.kind) for made in cases} == {(s, k) for s in SOURCES for k in KINDS}
    assert len({made.name for made in cases}) == len(cases)
    assert (
        sum(made.data != sources[made.source] for made in cases) >= len(cases) - 3
    )  # zeros in place of zeros
    assert case(7, sources) == case(7, sources)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_sixty_damaged_videos_through_the_library(tmp_path):
    answers = list(fuzz(60, first_seed=0, n_workers=1, folder=tmp_path))
    assert len(answers) == 60
    assert [answer for answer in answers if answer.problem] == []
    assert sum(answer.state == "done" for answer in answers) >= 15


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_sixty_damaged_videos_through_the_command(tmp_path):
    sources = make_sources(tmp_path)
    (tmp_path / "in").mkdir()
    for seed in range(100_000, 100_060):
        made = case(seed, sources)
        (tmp_path / "in" / made.name).write_bytes(made.data)
    (tmp_path / "out").mkdir()
    batch = looked_at(tmp_path / "in", tmp_path / "out", program=DETECT)
    assert batch.code == 3
    assert len(batch.files) == 60
    for name, seen in batch.files.items():
        assert "report this as a bug" not in seen.said, name
        assert (seen.sidecar is not None) == (seen.state == "done"), name
