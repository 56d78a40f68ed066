"""Text on its way to a person or a program, without rich: errors are printed from here before it loads."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from typing import Any


def one_line(text: str) -> str:
    """Text that stays on one line and moves no cursor, whatever a file's name holds."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def counted(n: int | float, noun: str) -> str:
    """A number with its noun: 1 video, 2 videos, 0.5 graphics cards."""
    return f"{n:{'d' if isinstance(n, int) else 'g'}} {noun}{'' if n == 1 else 's'}"


def passed_over(n_files: int) -> str:
    """What is said of files in folders that are no videos; empty where there are none."""
    if not n_files:
        return ""
    return f"{counted(n_files, 'other file')} in the folders passed over (links to folders, too)"


def say(line: str) -> None:
    """Put one line on standard error."""
    stream: Any = sys.stderr  # None where whoever started us has closed it
    if stream is None:
        return
    try:
        stream.write(one_line(line) + "\n")
        stream.flush()
    except BrokenPipeError:
        abandon(stream.fileno())


def write_stdout(text: str) -> None:
    """Put results on standard output as they are: UTF-8 whatever the locale says, line ends untouched.

    A reader that has seen enough (`| head`) is no error: what it does not want goes nowhere.
    """
    stream: Any = sys.stdout  # None where whoever started us has closed it
    if stream is None:
        return
    try:
        stream.flush()
        stream.buffer.write(text.encode("utf-8", "backslashreplace"))
        stream.flush()
    except OSError as error:
        abandon(stream.fileno())  # what is left in the buffer must not fail again when the process ends
        if not isinstance(error, BrokenPipeError):
            raise


def abandon(fileno: int) -> None:
    """Send what was and will be written to an open file nowhere."""
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, fileno)
    os.close(sink)


class _Log:
    """Standard error, which goes quiet where it cannot be written: a log on a full disk stops no work.

    Args:
        stream: what to write to.
    """

    def __init__(self, stream: io.TextIOBase) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._try(self._stream.flush)

    def _try(self, act: Callable[[], object]) -> None:
        try:
            act()
        except BrokenPipeError:  # whoever prints knows what to do
            raise
        except OSError:
            abandon(self._stream.fileno())


def keep_working_without_a_log() -> None:
    """Let no command fail because standard error cannot be written (a log on a full disk)."""
    stream: Any = sys.stderr  # None where whoever started us has closed it
    if stream is not None:
        log: Any = _Log(stream)  # a stream in all that is used of it
        sys.stderr = log


def tolerate_any_character() -> None:
    """Let a console of another encoding than UTF-8 show what it can, and the rest as escapes."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
