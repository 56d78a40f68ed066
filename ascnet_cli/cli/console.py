"""What a person sees: a bar on a terminal, a line a video elsewhere, and tables.

Results go to standard output, all else to standard error. There are no colour codes where there is no
terminal, nor where NO_COLOR is set.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from ascnet_cli.cli.text import abandon, one_line
from ascnet_cli.segments import VideoDetections

Report = Callable[[float, float | None], None]

_WIDE = 10_000  # columns of a pipe: whole lines, however long


class _Console(Console):
    """A console that goes quiet when nobody reads it any more, instead of ending the process."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        abandon((sys.stderr if self.stderr else sys.stdout).fileno())


def errors() -> Console:
    """The console for everything that is not a result."""
    return _console(stderr=True)


def results() -> Console:
    """The console for results; a pipe gets whole lines, however long."""
    console = _console(stderr=False)
    return console if console.is_terminal else _console(stderr=False, width=_WIDE)


def _console(*, stderr: bool, width: int | None = None) -> Console:
    # rich itself keeps bold under NO_COLOR; emoji would rewrite names such as "a:warning:.mp4".
    return _Console(
        stderr=stderr,
        highlight=False,
        soft_wrap=stderr,
        emoji=False,
        width=width,
        color_system=None if os.environ.get("NO_COLOR") else "auto",
    )


def printable(text: str) -> str:
    """A file name on one line, and never taken for markup."""
    return escape(one_line(text))


class Meter(Protocol):
    """Where the progress of a batch is shown."""

    def item(self, name: str, index: int) -> Report:
        """A callable for one video or file: how much is done, how much there is in all or None."""

    def line(self, text: str) -> None:
        """A line above the bar, in rich's markup."""


class _Bars:
    """One bar for the item at hand, with its rate."""

    def __init__(self, progress: Progress, n_items: int, rate: str) -> None:
        self._progress, self._n_items, self._rate = progress, n_items, rate
        self._task: TaskID | None = None

    def item(self, name: str, index: int) -> Report:
        if self._task is not None:
            self._progress.remove_task(self._task)
        title = f"[{index}/{self._n_items}] {one_line(name)}"
        self._task = task = self._progress.add_task(escape(title), total=None, speed="")

        def report(done: float, total: float | None) -> None:
            elapsed = self._progress.tasks[0].elapsed or 0.0
            speed = f"{done / elapsed:.1f}{self._rate}" if elapsed > 0 else ""
            self._progress.update(
                task, completed=done, total=max(total, done) if total else None, speed=speed
            )

        return report

    def line(self, text: str) -> None:
        self._progress.console.print(text)


class _Lines:
    """A line an item: for logs."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def item(self, name: str, index: int) -> Report:
        del name, index
        return lambda _done, _total: None

    def line(self, text: str) -> None:
        self._console.print(text)


@contextmanager
def meter(n_items: int, *, unit: str = "s of video", rate: str = "x") -> Iterator[Meter]:
    """Show the progress of a batch on standard error.

    Args:
        n_items: videos or files in the batch.
        unit: what is counted within one of them.
        rate: of that unit a second: "x" for seconds of video.
    """
    console = errors()
    if not console.is_terminal:
        yield _Lines(console)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn(f"{{task.completed:.0f}} {unit}  {{task.fields[speed]}}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield _Bars(progress, n_items, rate)


def clock(seconds: float) -> str:
    """Seconds as 0:07.3 or 1:02:03.4, as players show them."""
    minutes, tenths = divmod(round(seconds * 10), 600)
    hours, minutes = divmod(minutes, 60)
    tail = f"{tenths // 10:02d}.{tenths % 10}"
    return f"{hours}:{minutes:02d}:{tail}" if hours else f"{minutes}:{tail}"


def segments_table(found: Sequence[VideoDetections]) -> Table:
    """All segments, by video and start time."""
    table = plain_table()
    table.add_column("video", no_wrap=True, overflow="ellipsis")
    for column in ("start", "end", "score"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("action", no_wrap=True)
    for video in found:
        for detection in video.detections:
            table.add_row(
                printable(video.video),
                clock(detection.segment.start_s),
                clock(detection.segment.end_s),
                f"{detection.score:.2f}",
                printable(detection.label),
            )
    return table


def plain_table() -> Table:
    """A table of columns without lines around them."""
    return Table(box=None, pad_edge=False, header_style="bold")
