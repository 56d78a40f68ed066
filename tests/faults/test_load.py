"""Many videos and long ones, smaller than `python -m tests.faults.load` makes them."""

from __future__ import annotations

import json

import pytest

from tests.faults.load import long, looped, many, records

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def test_two_hundred_videos_take_no_more_files_and_memory_than_fifty(tmp_path):
    ran = many(200, tmp_path)
    assert ran.code == 0, ran.err
    assert ran.summary["done"] == 200
    assert ran.growth(ran.files) <= 2
    assert ran.growth(ran.rss_mib) < 64


def test_every_bad_video_of_a_batch_has_one_record(tmp_path):
    ran = many(100, tmp_path, every=10)
    assert ran.code == 3, ran.err
    bad = {f"0/{number:05}.mp4" for number in range(9, 100, 10)}
    assert {record["video"] for record in records(tmp_path)} == bad
    assert len(records(tmp_path)) == 10
    assert ran.summary["done"] == 90
    assert len(list((tmp_path / "out").rglob("*.npy"))) == 90


def test_A20_a_long_video_takes_no_more_memory_than_a_short_one(tmp_path):
    """Twelve minutes against three: what is held beyond the features themselves does not grow."""
    runs = {}
    for minutes in (3, 12):
        ran = long(minutes / 60, tmp_path / str(minutes))
        assert ran.code == 0, ran.err
        told = json.loads((tmp_path / str(minutes) / "out" / "long.mp4.json").read_text())
        assert told["duration_s"] == pytest.approx(60 * minutes)
        assert told["n_snippets"] == -(-60 * minutes * 25 // 16)
        runs[minutes] = ran
    features_mib = 9 * 60 * 25 / 16 * 1024 * 4 / 2**20
    # Rows, their concatenation and the file in the making: three copies of the features at the very end.
    assert max(runs[12].rss_mib) - max(runs[3].rss_mib) < 4 * features_mib + 64
    assert runs[12].growth(runs[12].files) <= 2


def test_A20_progress_is_told_on_the_way(tmp_path):
    from extractors.features import Extractor
    from tests.faults.small_network import SmallSource

    path = looped(tmp_path / "long.mp4", 2, 5)
    maker, _ = SmallSource().build(type("Seat", (), {"n_threads": 1})())
    assert isinstance(maker, Extractor)
    told: list[tuple[float, float | None]] = []
    features = maker.extract(path, progress=lambda done_s, total_s: told.append((done_s, total_s)))
    assert features.duration_s == pytest.approx(120)
    assert len(told) > 50
    assert [done_s for done_s, _ in told] == sorted(done_s for done_s, _ in told)
    assert told[-1] == (pytest.approx(120, abs=0.04), pytest.approx(120))
