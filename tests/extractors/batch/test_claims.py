"""Claims: one owner at a time, and what a dead owner leaves is taken over, once."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from extractors.batch.claims import Claims
from weights.errors import OutputError
from weights.processes import start_of, this_machine


class Clock:
    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


def write_claim(path, **changes):
    """A claim as a process on another machine would hold it."""
    told = {"host": "elsewhere", "pid": 1, "start": "1", "token": "a", "beat": "000000000000", **changes}
    path.write_text(json.dumps(told))


def test_a_claim_has_one_owner_and_is_given_back(tmp_path):
    path = tmp_path / "sub" / "a.claim"
    with Claims() as first, Claims() as second:
        assert first.take(path)
        assert not second.take(path)
        first.release(path)
        assert second.take(path)
        assert not first.take(path)
    assert list(path.parent.iterdir()) == []


def test_it_says_whose_it_is_from_its_first_moment_on(tmp_path):
    path = tmp_path / "a.claim"
    with Claims() as claims:
        claims.take(path)
        told = json.loads(path.read_text())
    assert (told["host"], told["pid"]) == (this_machine(), os.getpid())
    assert told["start"] == start_of(os.getpid())


def test_of_many_that_start_together_one_gets_it(tmp_path):
    path, got = tmp_path / "a.claim", []
    barrier = threading.Barrier(8)
    everyone = [Claims() for _ in range(8)]

    def contend(claims):
        barrier.wait()
        if claims.take(path):
            got.append(claims)

    threads = [threading.Thread(target=contend, args=(claims,)) for claims in everyone]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1
    got[0].release(path)


def test_a_dead_process_of_this_machine_is_taken_over_at_once(tmp_path):
    path = tmp_path / "a.claim"
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    write_claim(path, host=this_machine(), pid=dead.pid)
    with Claims() as claims:
        assert claims.take(path)


def test_a_number_that_is_used_again_is_another_process(tmp_path):
    path = tmp_path / "a.claim"
    write_claim(path, host=this_machine(), pid=os.getpid(), start="0")
    with Claims() as claims:
        assert claims.take(path)


def test_the_same_number_on_another_machine_says_nothing(tmp_path, clock):
    path = tmp_path / "a.claim"
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    write_claim(path, host=f"{socket.gethostname()}/another boot/pid:[1]", pid=dead.pid)
    with Claims(clock=clock) as claims:
        assert not claims.take(path)


def test_a_claim_that_stands_still_is_taken_over_by_the_watchers_clock(tmp_path, clock):
    path = tmp_path / "a.claim"
    write_claim(path)
    os.utime(path, (0, 0))  # dates of other machines decide nothing
    with Claims(takeover_s=60.0, clock=clock) as claims:
        assert not claims.take(path)
        clock.now_s = 59.0
        assert not claims.take(path)
        clock.now_s = 61.0
        assert claims.take(path)
        assert json.loads(path.read_text())["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_a_claim_that_moves_is_left_alone(tmp_path, clock):
    path = tmp_path / "a.claim"
    with Claims(takeover_s=60.0, clock=clock) as claims:
        for beat in range(5):
            write_claim(path, beat=f"{beat:012d}")
            assert not claims.take(path)
            clock.now_s += 50.0


def test_an_owner_moves_its_claims(tmp_path):
    path = tmp_path / "a.claim"
    with Claims(beat_s=0.01) as claims:
        claims.take(path)
        first = path.read_bytes()
        deadline = threading.Event()
        for _ in range(500):
            if path.read_bytes() != first:
                break
            deadline.wait(0.01)
        moved = path.read_bytes()
    assert moved != first
    assert len(moved) == len(first)


def test_of_two_that_take_over_one_gets_it(tmp_path, clock, monkeypatch):
    path = tmp_path / "a.claim"
    write_claim(path)
    with Claims(clock=clock) as first, Claims(clock=clock) as second:
        assert not first.take(path)
        assert not second.take(path)
        clock.now_s = 1000.0
        rename = Path.rename

        def slower(self, target):
            # The first one was here between the second's look and its renaming.
            monkeypatch.setattr(Path, "rename", rename)
            assert first.take(path)
            return rename(self, target)

        monkeypatch.setattr(Path, "rename", slower)
        assert not second.take(path)
        owner = json.loads(path.read_text())["token"]
        assert owner == first._token
        first.release(path)
        assert second.take(path)


def test_what_was_taken_over_stays_the_others(tmp_path, clock):
    path = tmp_path / "a.claim"
    with Claims(clock=clock) as sleeper, Claims(clock=clock) as other:
        assert sleeper.take(path)
        assert not other.take(path)
        clock.now_s = 1000.0
        assert other.take(path)
        sleeper.release(path)
        assert path.exists()


def test_without_links_a_claim_is_still_exclusive(tmp_path, monkeypatch):
    def no_links(*_arguments, **_options):
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", no_links)
    path = tmp_path / "a.claim"
    with Claims() as first, Claims() as second:
        assert first.take(path)
        assert not second.take(path)
        assert json.loads(path.read_text())["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_a_claim_that_outlived_its_work_is_cleared_if_its_owner_is_dead(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    write_claim(tmp_path / "dead.claim", host=this_machine(), pid=dead.pid)
    write_claim(tmp_path / "elsewhere.claim", pid=dead.pid)
    (tmp_path / "other.claim").write_text("somebody's file")
    with Claims() as alive:
        alive.take(tmp_path / "alive.claim")
        for path in list(tmp_path.iterdir()):
            Claims().clear(path)
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            "alive.claim", "elsewhere.claim", "other.claim",
        ]  # fmt: skip


def test_another_machines_claim_is_cleared_when_it_stands_still(tmp_path, clock):
    still, moving, file = (tmp_path / f"{name}.claim" for name in ("still", "moving", "file"))
    file.write_text("somebody's file")
    with Claims(takeover_s=60.0, clock=clock) as claims:
        for beat in range(4):
            write_claim(still)
            write_claim(moving, beat=f"{beat:012d}")
            for path in (still, moving, file):
                claims.clear(path)
            clock.now_s += 25.0
        assert sorted(path.name for path in tmp_path.iterdir()) == ["file.claim", "moving.claim"]


def test_what_was_seen_at_the_beginning_is_cleared_at_the_end(tmp_path, clock):
    path = tmp_path / "a.claim"
    write_claim(path)
    prepared = Claims(takeover_s=60.0, clock=clock)
    prepared.clear(path)
    with prepared:
        assert path.exists()
        clock.now_s = 61.0
    assert list(tmp_path.iterdir()) == []


def test_a_claim_that_nobody_waits_for_goes_after_a_day_by_the_clock_of_the_disk(tmp_path, clock):
    path, file = tmp_path / "a.claim", tmp_path / "file.claim"
    write_claim(path)
    file.write_text("[" * 4000)  # somebody's, and no claim
    for days, left in ((0.9, ["a.claim", "file.claim"]), (1.1, ["file.claim"])):
        for old in (path, file):
            at_s = time.time() - days * 86_400
            os.utime(old, (at_s, at_s))
            Claims(clock=clock).clear(old)
        assert sorted(entry.name for entry in tmp_path.iterdir()) == left


def test_a_folder_that_cannot_be_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with Claims() as claims, pytest.raises(OutputError):
        claims.take(tmp_path / "file" / "a.claim")
