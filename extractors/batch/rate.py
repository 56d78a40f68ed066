"""How fast features are made here, measured on the beginnings of a few of the videos, in bounded time.

It happens in a process of its own, as a worker's would: a decoder may crash or hang. What it has told until
then counts.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from extractors.batch.jobs import Video
from extractors.batch.source import ExtractorSource, FeatureMaker, Seat
from extractors.children import end_with_parent
from extractors.errors import OptionError

LONGEST_S = 180.0  # for all of it: loading networks, perhaps over a network, and a few videos
_TRIED = 3  # videos that are looked at
_MEASURED_S = 20.0  # of each video, and of all together before another one is begun
_LOOK_S = 0.2

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast features are made, measured.

    Attributes:
        video_s: seconds of video that were extracted.
        seconds: that it took.
        device: where.
    """

    video_s: float
    seconds: float
    device: str

    @property
    def factor(self) -> float:
        """Seconds of video a second."""
        return self.video_s / self.seconds


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """Why there is no rate, in a few words."""

    reason: str


@dataclass(frozen=True, slots=True)
class _Begun:
    """The measuring process begins with the video of this number."""

    video: int


def measure_rate(
    source: ExtractorSource,
    videos: Sequence[Video],
    seat: Seat,
    *,
    say: Say = lambda _line: None,
    longest_s: float = LONGEST_S,
) -> Rate | Unmeasured:
    """Extract the beginnings of a few videos and see how long it takes.

    Args:
        source: of the extractor.
        videos: to be made.
        seat: a worker's.
        say: told what is being done, a line at a time.
        longest_s: for all of it, seconds.

    Raises:
        AscnetError: the extractor cannot be made here.
    """
    sample = videos[:: max(1, len(videos) // _TRIED)][:_TRIED]
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    say("measuring the rate: loading the networks ...")
    pool = ProcessPool(1, context=context, initializer=_start, initargs=(sender,))
    try:
        future = pool.schedule(_measure, args=(source, [video.path for video in sample], seat))
        return _heard(receiver, future, sample, say, longest_s)
    finally:
        pool.stop()  # type: ignore[no-untyped-call]
        pool.join()
        receiver.close()
        sender.close()


def _heard(
    receiver: Connection, future: ProcessFuture[None], sample: Sequence[Video], say: Say, longest_s: float
) -> Rate | Unmeasured:
    """What the measuring process has told when it has ended, or the time is over."""
    until = time.monotonic() + longest_s
    so_far = Rate(0.0, 0.0, "")
    while True:
        over = future.done()  # in this order: whatever it told, it told before it ended
        while receiver.poll():
            told = receiver.recv()
            if isinstance(told, _Begun):
                say(f"measuring the rate on {sample[told.video].name} ...")
            else:
                so_far = told
        if over or time.monotonic() > until:
            break
        receiver.poll(_LOOK_S)
    error = future.exception() if over else None
    if error is not None and not isinstance(error, ProcessExpired):
        raise error
    if so_far.video_s and so_far.seconds:
        return so_far
    if not over:
        return Unmeasured(f"nothing was extracted within {longest_s:g} s")
    return Unmeasured("the measuring process was lost" if error else "no video that was tried can be read")


class _Enough(Exception):
    """The measurement has lasted long enough: no error, but how an extraction is left early."""


_sender: Connection | None = None  # of the measuring process


def _start(sender: Connection) -> None:
    global _sender
    end_with_parent()
    _sender = sender


def _measure(source: ExtractorSource, paths: Sequence[Path], seat: Seat) -> None:
    """All that the measuring process does."""
    if _sender is None:
        raise RuntimeError("a process that was not set up")
    maker, device = source.build(seat)
    so_far = Rate(0.0, 0.0, device)
    for number, path in enumerate(paths):
        _sender.send(_Begun(number))
        so_far = _with_video(maker, path, so_far, _sender.send)
        if so_far.seconds > _MEASURED_S:
            break


def _with_video(maker: FeatureMaker, path: Path, before: Rate, tell: Callable[[Rate], None]) -> Rate:
    """The rate with one more video, or with its beginning; told as it grows."""
    started = time.monotonic()
    now = before

    def add(done_s: float) -> float:
        nonlocal now
        seconds = time.monotonic() - started
        if done_s:
            now = replace(before, video_s=before.video_s + done_s, seconds=before.seconds + seconds)
            tell(now)
        return seconds

    def progress(done_s: float, _total_s: float | None) -> None:
        if add(done_s) > _MEASURED_S:
            raise _Enough

    try:
        add(maker.extract(path, progress=progress).duration_s)
    except _Enough:
        pass
    except OptionError:
        raise
    except Exception:  # noqa: BLE001 - a video that cannot be read measures nothing
        tell(before)
        return before
    return now
