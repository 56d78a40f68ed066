"""A decoder in a process of its own: the same pieces, and a crash or a hang costs one video."""

from __future__ import annotations

import errno
import json
import os
import signal
import threading
import time
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from extractors import apart
from extractors.apart import DecoderProcess
from extractors.errors import OptionError, VideoError
from extractors.pieces import VideoEnd, read_videos
from extractors.prefetch import Prefetch
from extractors.video import Limits
from tests.extractors.test_children import fresh, say, wait_for_end
from tests.synthetic import make_video
from weights.errors import AscnetError, StorageError

OPTIONS = {"decoder": "pyav", "limits": Limits(10**7), "length": 32, "whole": False}


def troubled(paths, **options):
    """For the process: `read_videos`, but some names are trouble."""
    for path in paths:
        if path.stem == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        elif path.stem == "greedy":
            os.kill(os.getpid(), signal.SIGKILL)
        elif path.stem == "hang":
            time.sleep(600)
        elif path.stem == "odd":
            yield VideoEnd(0, AttributeError("no attribute 'width'"))
            continue
        yield from read_videos([path], **options)


def serve_lying(line):
    """For the process: whatever is asked for, it is told that there are 10^27 pictures."""
    apart.ignore_interrupts()
    line.send(b"next")
    line.receive(1 << 20)
    line.send(json.dumps({"shape": [10**9] * 3, "following": False, "last": True, "total_s": 1.0}).encode())
    time.sleep(600)


def hang_for_ever(path):
    """For a fresh process: read a video that hangs, and say which process has it."""
    apart._serve = serve_troubled
    process = DecoderProcess()
    threading.Timer(0.0, lambda: list(process.read_videos([Path(path)], **OPTIONS))).start()
    while process._process is None or process._process.pid is None:
        time.sleep(0.01)
    say(process._process.pid)
    time.sleep(600)


def serve_troubled(line):
    with mock.patch("extractors.apart.read_videos", troubled):
        apart._serve(line)


@pytest.fixture
def process():
    made = DecoderProcess()
    yield made
    made.close()


@pytest.fixture
def videos(tmp_path):
    return [
        make_video(tmp_path / "a.mp4", n_frames=70),
        tmp_path / "missing.mp4",
        make_video(tmp_path / "\udcff.mp4", n_frames=5),
    ]


@pytest.mark.parametrize("whole", [False, True])
def test_the_pieces_are_those_of_reading_here(process, videos, whole):
    options = {**OPTIONS, "whole": whole}
    here = list(read_videos(videos, **options))
    there = list(process.read_videos(videos, **options))
    assert len(here) == len(there) == 7
    for ours, theirs in zip(here, there, strict=True):
        if isinstance(ours, VideoEnd) and isinstance(ours.outcome, Exception):
            assert type(theirs.outcome) is type(ours.outcome) is VideoError
            assert str(theirs.outcome) == str(ours.outcome)
            assert theirs.outcome.hint == ours.outcome.hint
        elif isinstance(ours, VideoEnd):
            assert theirs == ours
        else:
            assert np.array_equal(theirs.frames, ours.frames)
            assert (theirs.following is None) == (ours.following is None)
            if ours.following is not None:
                assert np.array_equal(theirs.following, ours.following)
            assert (theirs.video, theirs.last, theirs.total_s) == (ours.video, ours.last, ours.total_s)


@pytest.mark.slow
def test_a_crash_and_a_hang_cost_their_own_video(tmp_path, monkeypatch):
    names = ("a", "crash", "hang", "greedy", "odd", "z")
    paths = [make_video(tmp_path / f"{name}.mp4", n_frames=5) for name in names]
    monkeypatch.setattr(apart, "_serve", serve_troubled)
    process = DecoderProcess(stall_s=3.0)
    try:
        ends = [item for item in process.read_videos(paths, **OPTIONS) if isinstance(item, VideoEnd)]
    finally:
        process.close()
    said = {name: end.outcome for name, end in zip(names, ends, strict=True)}
    assert said["a"].frames_decoded == said["z"].frames_decoded == 5
    assert str(said["crash"]) == "decoder crashed (signal 11)"
    assert str(said["hang"]) == "the decoder gave nothing for 3 s"
    assert isinstance(said["greedy"], StorageError)
    assert type(said["odd"]) is AscnetError
    assert str(said["odd"]) == "AttributeError: no attribute 'width'"


def test_a_video_that_is_given_up_leaves_no_rest_behind(process, videos):
    first = make_video(videos[0].with_name("long.mp4"), n_frames=200)
    items = []
    given_up = {"given_up": lambda video: video == 0 and bool(items)}
    for item in process.read_videos([first, videos[0]], **OPTIONS, **given_up):
        items.append(item)
    assert [item.video for item in items] == [0, 0, 1, 1, 1, 1]
    assert isinstance(items[1].outcome, VideoError)
    assert items[-1].outcome.frames_decoded == 70


def test_whoever_stops_listening_ends_the_process(process, videos):
    reading = process.read_videos(videos[:1], **OPTIONS)
    next(reading)
    child = process._process
    reading.close()
    assert child is not None
    assert not child.is_alive()


def test_what_was_asked_wrongly_is_the_same_error(process, videos):
    (end,) = process.read_videos(videos[:1], **{**OPTIONS, "decoder": "opencv"})
    assert isinstance(end.outcome, OptionError)
    assert "pyav or decord" in end.outcome.hint


def test_one_process_reads_many_videos(process, videos):
    for _ in range(2):
        assert len(list(process.read_videos([videos[0], Path("absent.mp4")], **OPTIONS))) == 5
    first = process._process
    list(process.read_videos(videos[:1], **OPTIONS))
    assert process._process is first


def test_a_hang_that_nobody_waits_for_any_more_is_over_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(apart, "_serve", serve_troubled)
    process = DecoderProcess(stall_s=600.0)
    left = threading.Event()
    paths = [make_video(tmp_path / "a.mp4", n_frames=5), make_video(tmp_path / "hang.mp4", n_frames=5)]
    with Prefetch(
        lambda: process.read_videos(paths, **OPTIONS, given_up=lambda _: left.is_set()), depth=3
    ) as ahead:
        next(ahead)
        assert isinstance(next(ahead), VideoEnd)
        child = process._process
        left.set()
    assert process._process is None
    assert not child.is_alive()


@pytest.mark.slow
def test_a_killed_parent_leaves_no_decoder_that_hangs(tmp_path):
    with fresh(f"hang_for_ever({str(tmp_path / 'hang.mp4')!r})", "test_apart") as parent:
        child = int(parent.stdout.readline())
        time.sleep(2.0)  # it is in the middle of it, or about to be
        parent.kill()
        parent.wait()
        wait_for_end(child)


@pytest.mark.parametrize("code", [errno.EAGAIN, errno.ENOMEM])
@pytest.mark.parametrize("step", ["process", "line"])
def test_one_that_cannot_be_started_is_said_to_be_so(tmp_path, monkeypatch, code, step):
    path = make_video(tmp_path / "a.mp4", n_frames=5)

    def refuse(*told):
        raise OSError(code, os.strerror(code))

    if step == "process":
        monkeypatch.setattr("multiprocessing.util.spawnv_passfds", refuse)
    else:
        monkeypatch.setattr(apart, "pair", refuse)
    process = DecoderProcess()
    try:
        (end,) = process.read_videos([path], **OPTIONS)
        assert type(end.outcome) is StorageError
        assert str(end.outcome) == f"the decoder's process cannot be started: {os.strerror(code)}"
        assert end.outcome.hint
        monkeypatch.undo()  # the machine has room again
        assert list(process.read_videos([path], **OPTIONS))[-1].outcome.frames_decoded == 5
    finally:
        process.close()


def test_what_it_should_not_send_fails_that_video(tmp_path, monkeypatch):
    paths = [make_video(tmp_path / f"{name}.mp4", n_frames=5) for name in ("a", "b")]
    monkeypatch.setattr(apart, "_serve", serve_lying)
    process = DecoderProcess()
    try:
        (end,) = process.read_videos(paths[:1], **OPTIONS)
        assert type(end.outcome) is VideoError
        assert str(end.outcome).startswith("the decoder sent what it should not: ")
        assert process._process is None
        monkeypatch.undo()
        assert list(process.read_videos(paths[1:], **OPTIONS))[-1].outcome.frames_decoded == 5
    finally:
        process.close()
