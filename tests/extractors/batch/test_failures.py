"""The record of failures: merged, sorted, without a time in it."""

import json
from pathlib import Path

import pytest

from extractors.batch.claims import Claims
from extractors.batch.failures import FailureLog, record_of
from extractors.batch.jobs import Failure, Video

FAILURE = Failure("decode", "VideoError", "zero decodable frames", "look at it", 3)


def record(video, failure=FAILURE):
    return {video: record_of(Video(video, Path("in") / video), failure)}


@pytest.fixture
def claims():
    with Claims() as held:
        yield held


def videos(log):
    return [json.loads(line)["video"] for line in log.path.read_text().splitlines()]


def test_a_record_says_what_where_and_what_to_do(tmp_path, claims):
    log = FailureLog(tmp_path, claims)
    log.update(record("a.mp4"), ())
    assert json.loads(log.path.read_text()) == {
        "video": "a.mp4",
        "path": "in/a.mp4",
        "stage": "decode",
        "error_class": "VideoError",
        "message": "zero decodable frames",
        "hint": "look at it",
    }


def test_records_are_merged_and_go_when_a_video_succeeds(tmp_path, claims):
    one, other = FailureLog(tmp_path, claims), FailureLog(tmp_path, claims)
    one.update(record("b.mp4"), ())
    other.update(record("a.mp4"), ())
    assert videos(one) == ["a.mp4", "b.mp4"]
    one.update({}, ["b.mp4", "c.mp4"])
    assert videos(one) == ["a.mp4"]
    other.update({}, ["a.mp4"])
    assert not one.path.exists()
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_where_nothing_changes(tmp_path, claims):
    log = FailureLog(tmp_path, claims)
    log.update({}, ["a.mp4"])
    assert list(tmp_path.iterdir()) == []


def test_what_another_process_recorded_since_is_known(tmp_path, claims):
    FailureLog(tmp_path, claims).update(record("old.mp4"), ())
    log = FailureLog(tmp_path, claims)
    FailureLog(tmp_path, claims).update(record("new.mp4"), ())
    assert log.recorded_since("old.mp4") is None
    assert log.recorded_since("other.mp4") is None
    failure = log.recorded_since("new.mp4")
    assert failure is not None
    assert failure.message.startswith("zero decodable frames")


def test_a_line_that_cannot_be_read_is_left_out(tmp_path, claims):
    log = FailureLog(tmp_path, claims)
    log.path.write_bytes(b'not json\n[1]\n{"video": "a.mp4"}\n\xff\n{}\n' + b"[" * 100_000)
    log.update(record("b.mp4"), ())
    assert videos(log) == ["a.mp4", "b.mp4"]


def test_names_that_are_no_utf_8_come_back(tmp_path, claims):
    log = FailureLog(tmp_path, claims)
    log.update(record("\udcff.mp4"), ())
    log.update({}, ["\udcff.mp4"])
    assert not log.path.exists()


def test_a_wait_for_another_process_can_be_given_up(tmp_path, claims):
    log = FailureLog(tmp_path, claims)
    with Claims() as other:
        assert other.take(tmp_path / ".ascnet-failures.claim")
        log.update(record("a.mp4"), (), give_up=lambda: True)
    assert not log.path.exists()
