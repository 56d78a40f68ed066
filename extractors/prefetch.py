"""An iterator that runs ahead in a thread of its own, by a bounded number of items.

Decoding lets go of Python's global lock while FFmpeg works, so pictures of the next piece are made while
the network computes the last one.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")


class Prefetch(Generic[T]):
    """Iterates over what `source` gives; use it in a `with`, which ends the thread however it is left.

    The source is made, advanced and closed by the thread alone, so that a reader which wants one thread
    (FFmpeg's contexts) has one. An exception of the source comes out of `next` as it is, after the items that
    came before it.

    Args:
        source: called once, in the thread.
        depth: finished items that wait at most; the one being made comes on top.
        name: of the thread.
    """

    def __init__(self, source: Callable[[], Iterator[T]], *, depth: int, name: str = "prefetch") -> None:
        if depth < 1:
            raise ValueError(f"at least one item must be allowed to wait, not {depth}")
        self._source = source
        self._depth = depth
        self._waiting: deque[T] = deque()
        self._changed = threading.Condition()
        self._stopped = False  # nobody will take another item
        self._ended = False  # there will be no other item
        self._error: BaseException | None = None
        # A daemon: a decoder that hangs in native code must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            source = self._source()
            try:
                while self._room() and self._put_next(source):
                    pass
            finally:
                close = getattr(source, "close", None)
                if close is not None:
                    close()
        except BaseException as raised:  # noqa: BLE001 - it is raised again where the items are taken
            error = raised
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def _room(self) -> bool:
        """Wait until an item more may wait; False where none is wanted any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or len(self._waiting) < self._depth)
            return not self._stopped

    def _put_next(self, source: Iterator[T]) -> bool:
        try:
            item = next(source)
        except StopIteration:
            return False
        with self._changed:
            self._waiting.append(item)
            self._changed.notify_all()
        return True

    def __enter__(self) -> Prefetch[T]:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._stopped = True
            self._waiting.clear()
            self._changed.notify_all()
        self._thread.join()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ended)
            if self._waiting:
                item = self._waiting.popleft()
                self._changed.notify_all()
                return item
            error, self._error = self._error, None
        if error is not None:
            raise error
        raise StopIteration
