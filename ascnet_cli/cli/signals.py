"""Ctrl-C and SIGTERM as a question that long work asks itself, rather than as a stop in the middle."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from ascnet_cli.cli.text import say


class Terminated(BaseException):
    """SIGTERM: unwinds like Ctrl-C, so that what is finished gets written."""


class Stop:
    """Whether somebody asked for a stop, and how."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def asked(self) -> bool:
        """Whether to stop at the next good moment."""
        return self.signal is not None

    def raise_if_asked(self) -> None:
        """End as the signal would have ended it at once.

        Raises:
            KeyboardInterrupt: it was Ctrl-C.
            Terminated: it was SIGTERM.
        """
        if self.signal == signal.SIGTERM:
            raise Terminated
        if self.signal is not None:
            raise KeyboardInterrupt


@contextmanager
def stopping(message: str) -> Iterator[Stop]:
    """A block in which the first Ctrl-C or SIGTERM only asks; the second ends it at once.

    Args:
        message: said when somebody asks.
    """
    stop = Stop()

    def ask(number: int, _frame: FrameType | None) -> None:
        if stop.asked():
            stop.signal = number
            stop.raise_if_asked()
        stop.signal = number
        say(message)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
