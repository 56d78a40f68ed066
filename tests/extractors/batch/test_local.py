"""Worker processes that crash, hang, are killed or cannot start: each fails its own video alone."""

import time

import pytest

from extractors.batch.engine import TimeLimit, time_limit
from extractors.batch.jobs import Broken, Ended, Job, Ready, Withdrawn
from extractors.batch.local import LocalEngine
from extractors.batch.machine import threads_each
from extractors.batch.plan import items_of
from extractors.batch.worker import Orders
from extractors.errors import DeviceError
from tests.extraction_tools import PickySource, PlainSource, contents, extract_all, videos_of
from tests.synthetic import make_video
from weights.errors import AscnetError


@pytest.fixture
def videos(tmp_path):
    """Makes videos of these names, all the same."""
    folder = tmp_path / "in"
    folder.mkdir()
    data = make_video(tmp_path / "one.mp4", n_frames=16).read_bytes()

    def make(*names):
        for name in names:
            (folder / f"{name}.mp4").write_bytes(data)
        return folder

    return make


def local(n_workers=1, limit_s=None, **source):
    return LocalEngine(
        PlainSource(**source), Orders(), n_workers=n_workers, n_threads=1, limit=TimeLimit(limit_s)
    )


def messages(outcomes):
    return {
        name: outcome.failure.message if outcome.failure else outcome.state
        for name, outcome in outcomes.items()
    }


@pytest.mark.slow
def test_a_crash_and_a_hang_fail_their_own_videos_alone(videos, tmp_path):
    folder = videos("a", "crash", "hang", "z")
    outcomes = extract_all(folder, tmp_path / "out", local(limit_s=4.0))
    assert messages(outcomes) == {
        "a.mp4": "done",
        "crash.mp4": "decoder crashed (signal 11)",
        "hang.mp4": "took longer than 4 s",
        "z.mp4": "done",
    }
    assert outcomes["hang.mp4"].failure.error_class == "TimeoutError"


def test_of_several_videos_of_one_job_it_is_known_which_are_finished(videos, tmp_path):
    folder = videos("a", "crash", "z")
    items = items_of(videos_of(folder), tmp_path / "out", "ascnet")
    engine = local()
    engine.submit(Job(tuple(items)))
    told = []
    while engine.room() == 0:
        told += engine.events(1.0)
    engine.stop()
    assert [event.video for event in told if isinstance(event, Ended)] == ["a.mp4"]
    assert isinstance(told[-1], Broken)
    assert told[-1].unfinished == ("crash.mp4", "z.mp4")


def test_a_graphics_card_after_an_error_gets_a_new_process(videos, tmp_path):
    told = []
    folder = videos("a", "poison", "z")
    outcomes = extract_all(folder, tmp_path / "out", local(), watch=told.append)
    assert {name: outcome.state for name, outcome in outcomes.items()} == {
        "a.mp4": "done",
        "poison.mp4": "failed",
        "z.mp4": "done",
    }
    assert "device-side assert" in outcomes["poison.mp4"].failure.message
    assert sum(isinstance(event, Ready) for event in told) == 2


@pytest.mark.slow
def test_killed_for_memory_is_tried_once_more_alone(videos, tmp_path):
    folder = videos("a", "greedy", "once", "z")
    engine = local(n_workers=2)
    outcomes = extract_all(folder, tmp_path / "out", engine)
    assert messages(outcomes) == {
        "a.mp4": "done",
        "greedy.mp4": "its worker was killed (signal 9), most likely for want of memory",
        "once.mp4": "done",
        "z.mp4": "done",
    }
    assert outcomes["greedy.mp4"].failure.exit_code == 6
    assert len(engine._seats) == 1  # one worker less from the first kill on


def test_a_device_that_is_not_there_is_an_error_with_its_own_code(videos, tmp_path):
    engine = local(error=DeviceError("no such card", hint="use the cpu"))
    with pytest.raises(AscnetError, match="no such card") as caught:
        extract_all(videos("a", "b"), tmp_path / "out", engine)
    assert (caught.value.exit_code, caught.value.hint) == (2, "use the cpu")
    assert contents(tmp_path / "out") == {}


def picky(how, *bad_seats, n_workers=2, limit=TimeLimit(), clock=time.monotonic):  # noqa: B008 - frozen
    source = PickySource(bad_seats=bad_seats, how=how)
    return LocalEngine(source, Orders(), n_workers=n_workers, n_threads=1, limit=limit, clock=clock)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("error", "its card is broken"),
        ("hang", "a worker was not ready after 900 s"),
        pytest.param("option", "decord is not installed", marks=pytest.mark.slow),
        pytest.param("die", "a worker was killed (signal 9)", marks=pytest.mark.slow),
    ],
)
def test_where_one_worker_cannot_begin_the_others_do_its_part(videos, tmp_path, how, words):
    told = []

    def clock():  # a quarter of an hour later once the good one is ready
        late = how == "hang" and any(isinstance(event, Ready) for event in told)
        return time.monotonic() + 1000 * late

    engine = picky(how, 0, limit=TimeLimit(1e6), clock=clock)
    outcomes = extract_all(videos("a", "b", "c"), tmp_path / "out", engine, watch=told.append)
    assert set(messages(outcomes).values()) == {"done"}
    (withdrawn,) = (event for event in told if isinstance(event, Withdrawn))
    assert words in withdrawn.failure.message
    assert len(engine._seats) == 1
    assert "failures.jsonl" not in contents(tmp_path / "out")


@pytest.mark.parametrize("how", ["error", pytest.param("option", marks=pytest.mark.slow)])
def test_where_no_worker_can_begin_the_run_ends_and_no_video_is_blamed(videos, tmp_path, how):
    with pytest.raises(AscnetError) as caught:
        extract_all(videos("a", "b"), tmp_path / "out", picky(how, 0, 1))
    assert (caught.value.exit_code, bool(caught.value.hint)) == (2, True)
    assert contents(tmp_path / "out") == {}


def test_a_worker_that_never_begins_does_not_fail_video_after_video(videos, tmp_path):
    engine = picky("hang", 0, n_workers=1, limit=TimeLimit(start_s=1.0))
    with pytest.raises(AscnetError, match="not ready after 1 s"):
        extract_all(videos("a", "b"), tmp_path / "out", engine)
    assert contents(tmp_path / "out") == {}


@pytest.mark.slow
def test_the_number_of_workers_changes_no_byte(videos, tmp_path):
    folder = videos(*"abcdefgh")
    for n_workers in (1, 3):
        extract_all(folder, tmp_path / str(n_workers), local(n_workers=n_workers))
    assert contents(tmp_path / "1") == contents(tmp_path / "3")
    assert len(contents(tmp_path / "1")) == 16


@pytest.mark.slow
def test_asked_to_stop_it_ends_its_workers_at_once(videos, tmp_path):
    folder = videos("hang")
    started = time.monotonic()
    outcomes = extract_all(
        folder, tmp_path / "out", local(), should_stop=lambda: time.monotonic() - started > 1.5
    )
    assert outcomes == {}
    assert contents(tmp_path / "out") == {}


def test_limits_grow_with_the_video_unless_they_are_said():
    assert time_limit(None, flow=False).of(10.0) == 1200
    assert time_limit(None, flow=True).of(10.0) == 3600
    assert time_limit(None, flow=False).of(None) == 600
    assert time_limit(30.0, flow=True).of(1e6) == 30
    assert time_limit(0.0, flow=False).of(10.0) == float("inf")


def test_threads_do_not_oversubscribe(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("extractors.batch.machine.n_cores", lambda: 8)
    assert [threads_each(n) for n in (1, 2, 3, 8, 20)] == [8, 4, 2, 1, 1]
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert threads_each(8) == 3


def test_a_full_engine_takes_no_job():
    engine = local(n_workers=1)
    assert engine.room() == 1
    engine.stop()


def test_a_header_does_not_decide_how_long_a_video_may_take():
    assert time_limit(None, flow=False).of(1e12) == time_limit(None, flow=False).of(24 * 3600.0)
