"""What features will take, whatever headers say."""

import math

import pytest

from extractors.batch import estimate
from extractors.batch.jobs import Video
from tests.extraction_tools import RGB


@pytest.mark.parametrize("said", [-5.0, 0.0, math.inf, math.nan, None])
def test_a_header_that_cannot_be_is_not_believed(tmp_path, monkeypatch, said):
    videos = [Video("a.mp4", tmp_path / "a.mp4"), Video("b.mp4", tmp_path / "b.mp4")]
    for video in videos:
        video.path.write_bytes(bytes(100_000))
    monkeypatch.setattr(estimate, "durations", lambda _paths: [said, 6.4])
    found = estimate.estimate(videos, RGB, 4)
    assert found.n_videos == 2
    assert found.n_rows == 20  # 6.4 s of the one, and as much of the other by its size
