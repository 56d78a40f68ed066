"""How a training looks: live on a terminal, a line every so often elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ascnet_cli.cli.console import clock, errors, plain_table, printable
from ascnet_cli.cli.text import say

if TYPE_CHECKING:
    from ascnet_cli.training.loop import Progress

_LINE_EVERY_S = 15.0
_REFRESH_HZ = 4


class _History:
    """What has been seen of a run: enough to say how it goes and how long it will take."""

    def __init__(self) -> None:
        self.progress: Progress | None = None
        self.validation: tuple[int, float] | None = None
        self.best: tuple[int, float] | None = None
        self._first: tuple[int, float] | None = None

    def see(self, progress: Progress) -> None:
        now = time.monotonic()
        if self._first is None:
            self._first = (progress.step, now)
        self.progress = progress
        if progress.validation_map is not None:
            self.validation = (progress.step, progress.validation_map)
            if self.best is None or progress.validation_map >= self.best[1]:
                self.best = self.validation

    @property
    def left_s(self) -> float | None:
        """Seconds to go, at the rate since the run was begun or resumed."""
        if self.progress is None or self._first is None or self.progress.step == self._first[0]:
            return None
        rate_s = (time.monotonic() - self._first[1]) / (self.progress.step - self._first[0])
        return rate_s * (self.progress.n_steps - self.progress.step)


@contextmanager
def training_view(title: str) -> Iterator[Callable[[Progress], None]]:
    """Show a run on standard error.

    Args:
        title: of the run.

    Yields:
        What to call after each step.
    """
    history = _History()
    console = errors()
    if not console.is_terminal:
        yield _lines(title, history)
        return
    with Live(
        get_renderable=lambda: _picture(title, history),
        console=console,
        refresh_per_second=_REFRESH_HZ,
        transient=True,
    ):
        yield history.see


def _lines(title: str, history: _History) -> Callable[[Progress], None]:
    """A line at the end, and every so many seconds."""
    last_s = time.monotonic()

    def see(progress: Progress) -> None:
        nonlocal last_s
        history.see(progress)
        now = time.monotonic()
        ended = progress.step == progress.n_steps
        if now - last_s < _LINE_EVERY_S and not ended:
            return
        last_s = now
        say(f"{title}: {_in_words(history)}")

    return see


def _in_words(history: _History) -> str:
    progress = history.progress
    if progress is None:
        return "not begun"
    parts = [f"step {progress.step} of {progress.n_steps}"]
    parts.append("loss " + " ".join(f"{name} {value:.3g}" for name, value in progress.losses.items()))
    if history.validation is not None:
        parts.append(f"validation mAP {history.validation[1]:.3f} at step {history.validation[0]}")
    if history.left_s is not None and progress.step < progress.n_steps:
        parts.append(f"{clock(history.left_s)} left")
    return ", ".join(parts)


def _picture(title: str, history: _History) -> Group | Text:
    """The live view: a bar, each term of the loss, the validation so far."""
    progress = history.progress
    if progress is None:
        return Text(f"{printable(title)}: reading features")
    head = Table.grid(padding=(0, 1))
    left = "" if history.left_s is None else f"{clock(history.left_s)} left"
    head.add_row(
        escape(printable(title)),
        ProgressBar(total=progress.n_steps, completed=progress.step, width=30),
        f"step {progress.step} of {progress.n_steps}",
        left,
    )
    terms = plain_table()
    for name in progress.losses:
        terms.add_column(name if name != "total" else "loss", justify="right", no_wrap=True)
    columns = [f"{value:.4g}" for value in progress.losses.values()]
    if history.validation is not None and history.best is not None:
        terms.add_column("validation mAP", justify="right", no_wrap=True)
        terms.add_column("best", justify="right", no_wrap=True)
        columns += [f"{history.validation[1]:.3f}", f"{history.best[1]:.3f} at {history.best[0]}"]
    terms.add_row(*columns)
    return Group(head, terms)
