"""A line between two processes, on which no message is larger or slower than the listener allows.

Bytes go over a pair of sockets, each message with its length before it. Nothing that comes is unpickled, and
no wait is longer than a moment without a look at whether anybody still wants the answer.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass

_LENGTH = struct.Struct("!Q")
_LOOK_S = 0.1  # how soon a wait is over that nobody needs any more
_LONGEST_SENT_S = 60.0  # a request is smaller than what the sockets hold


class GivenUp(Exception):
    """Nobody wants the answer any more."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a listener waits.

    Attributes:
        longest_s: for one message, from the wait for it to its last byte, seconds.
        given_up: asked again and again while it waits; true ends the wait.
    """

    longest_s: float
    given_up: Callable[[], bool] = lambda: False


class Line:
    """One end; made in pairs by `pair`.

    Args:
        end: a connected socket, which is the line's own from now on.
    """

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def close(self) -> None:
        """Let go of it; the other end hears that."""
        self._end.close()

    def send(self, data: bytes | memoryview) -> None:
        """Send a message; waits while the other end does not listen.

        Raises:
            ConnectionError: the other end is gone.
            TimeoutError: this end has listened with patience, and the other one does not listen at all.
        """
        if self._end.gettimeout() is not None:
            self._end.settimeout(_LONGEST_SENT_S)
        self._end.sendall(_LENGTH.pack(len(data)))
        self._end.sendall(data)

    def receive(self, longest: int, patience: Patience | None = None) -> bytes:
        """The next message.

        Args:
            longest: it may have, bytes.
            patience: None waits for ever.

        Raises:
            ValueError: it is longer.
            EOFError, ConnectionError: the other end is gone.
            TimeoutError, GivenUp: see `Patience`.
        """
        until = _until(patience)
        size = self._size(patience, until)
        if size > longest:
            raise ValueError(f"{size} bytes where at most {longest} are due")
        data = bytearray(size)
        self._fill(memoryview(data), patience, until)
        return bytes(data)

    def receive_into(self, place: memoryview, patience: Patience | None = None) -> None:
        """Fill a place of bytes with the next message; see `receive`.

        Raises:
            ValueError: it is longer or shorter.
        """
        until = _until(patience)
        size = self._size(patience, until)
        if size != place.nbytes:
            raise ValueError(f"{size} bytes where {place.nbytes} are due")
        self._fill(place, patience, until)

    def _size(self, patience: Patience | None, until: float) -> int:
        head = bytearray(_LENGTH.size)
        self._fill(memoryview(head), patience, until)
        size: int
        (size,) = _LENGTH.unpack(head)
        return size

    def _fill(self, place: memoryview, patience: Patience | None, until: float) -> None:
        self._end.settimeout(None if patience is None else _LOOK_S)
        while place:
            if patience is not None and patience.given_up():
                raise GivenUp
            try:
                n_bytes = self._end.recv_into(place)
            except TimeoutError:
                n_bytes = -1
            if n_bytes == 0:
                raise EOFError
            place = place[max(n_bytes, 0) :]
            if place and time.monotonic() > until:
                raise TimeoutError


def pair() -> tuple[Line, Line]:
    """Two ends of a line; one of them can be given to a process that is started."""
    one, other = socket.socketpair()
    return Line(one), Line(other)


def _until(patience: Patience | None) -> float:
    return float("inf") if patience is None else time.monotonic() + patience.longest_s
