"""Bars of an extraction on a terminal: one for all videos, and one for each that is being made."""

from __future__ import annotations

import time

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from ascnet_cli.cli.text import one_line
from extractors.batch.jobs import Progressed


class Bars:
    """In seconds of video.

    Args:
        console: where to.
        video_s: seconds of video to be made, estimated; None where nobody looked.
    """

    def __init__(self, console: Console, video_s: float | None) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f} s of video  {task.fields[speed]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._all = self._progress.add_task("all", total=video_s or None, speed="")
        self._videos: dict[str, TaskID] = {}
        self._over_s = 0.0
        self._done_s: dict[str, float] = {}
        self._started = time.monotonic()

    def start(self) -> None:
        """Show them."""
        self._progress.start()

    def stop(self) -> None:
        """Take them away."""
        self._progress.stop()

    def move(self, event: Progressed) -> None:
        """A video has come further."""
        task = self._videos.get(event.video)
        if task is None:
            task = self._videos[event.video] = self._progress.add_task(
                escape(one_line(event.video)), total=None, speed=""
            )
        total_s = max(event.total_s, event.done_s) if event.total_s else None
        self._progress.update(task, completed=event.done_s, total=total_s)
        self._done_s[event.video] = event.done_s
        self._sum_up()

    def end(self, video: str, duration_s: float) -> None:
        """A video is over."""
        task = self._videos.pop(video, None)
        if task is not None:
            self._progress.remove_task(task)
        self._done_s.pop(video, None)
        self._over_s += duration_s
        self._sum_up()

    def _sum_up(self) -> None:
        done_s = self._over_s + sum(self._done_s.values())
        elapsed_s = max(time.monotonic() - self._started, 1e-9)
        self._progress.update(self._all, completed=done_s, speed=f"{done_s / elapsed_s:.1f}x")
