"""The rate that a dry run measures: in bounded time, whatever the videos and the extractor are like."""

from types import SimpleNamespace

import pytest

from extractors.batch import rate as module
from extractors.batch.jobs import Video
from extractors.batch.rate import Rate, Unmeasured, measure_rate
from extractors.batch.source import Seat
from extractors.errors import DeviceError
from tests.extraction_tools import PickySource, PlainSource
from tests.synthetic import make_video

SEAT = Seat(0, 1)


@pytest.fixture
def videos(tmp_path):
    """Videos of these names, all the same."""
    data = make_video(tmp_path / "one.mp4", n_frames=16).read_bytes()

    def make(*names):
        for name in names:
            (tmp_path / name).write_bytes(data)
        return [Video(name, tmp_path / name) for name in names]

    return make


def test_what_is_measured_is_said_and_what_cannot_be_read_is_left_out(videos, tmp_path):
    made = videos("a.mp4", "b.mp4")
    (tmp_path / "b.mp4").write_bytes(b"text")
    said = []
    rate = measure_rate(PlainSource(), made, SEAT, say=said.append)
    assert isinstance(rate, Rate)
    assert (rate.video_s, rate.device) == (pytest.approx(0.64), "cpu")
    assert rate.factor > 0
    assert said == [
        "measuring the rate: loading the networks ...",
        "measuring the rate on a.mp4 ...",
        "measuring the rate on b.mp4 ...",
    ]


def test_a_video_that_hangs_ends_the_measuring_and_what_was_measured_counts(videos, monkeypatch):
    said = []
    at_it = "measuring the rate on hang.mp4 ..."
    # It is four minutes later once the measuring process is at it.
    clock = SimpleNamespace(monotonic=lambda: 240.0 * (at_it in said))
    monkeypatch.setattr(module, "time", clock)
    rate = measure_rate(PlainSource(), videos("a.mp4", "hang.mp4"), SEAT, say=said.append)
    assert isinstance(rate, Rate)
    assert rate.video_s == pytest.approx(0.64)


@pytest.mark.slow
def test_an_extractor_that_hangs_is_not_waited_for(videos):
    source = PickySource(bad_seats=(0,), how="hang")
    assert measure_rate(source, videos("a.mp4"), SEAT, longest_s=1.0) == Unmeasured(
        "nothing was extracted within 1 s"
    )


def test_a_crash_is_no_rate(videos):
    assert measure_rate(PlainSource(), videos("crash.mp4"), SEAT) == Unmeasured(
        "the measuring process was lost"
    )


def test_an_extractor_that_cannot_be_made_is_an_error(videos):
    with pytest.raises(DeviceError, match="no such card") as caught:
        measure_rate(PlainSource(error=DeviceError("no such card", hint="look")), videos("a.mp4"), SEAT)
    assert caught.value.hint == "look"
