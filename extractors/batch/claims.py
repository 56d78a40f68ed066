"""Who works on what, where several processes share one folder, perhaps over a network.

A claim is a file that its owner creates exclusively, as a link to a file that is complete, which every file
system does for one process alone; locks and the clocks of other machines are not relied on. The owner
writes into it who it is and, every few seconds, a number that grows. Another process that meets a claim
watches the number by its own monotonic clock. When it has stood still for `takeover_s`, or when the owner
ran on this very machine and is over, the claim is taken over: renamed away, which succeeds for one process
alone, and created anew.

Claims that nobody waits for, of videos that are done or not asked for any more, are cleared away: those of
processes of this machine that are over, those that stand still while somebody works in the folder, and those
that have not been written to for a day. That last rule alone goes by dates, of two files of one disk, which
one machine gives; a claim that somebody waits for is judged by its number.

A process that was only stopped for that long (SIGSTOP, a hanging disk) may find that another does its work
a second time. Both write the same bytes, and files are written whole, so nothing is lost by that but time.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from weights.atomic import FORGOTTEN_S, age_s, temporary_name, write_error
from weights.documents import parse_json
from weights.processes import has_ended, start_of, this_machine

TAKEOVER_S = 60.0
BEAT_S = 5.0
_BEAT_DIGITS = 12
_LINKED = 2  # names of a draft that has become a claim
_LONGEST = 4096  # bytes that a claim has at most


@dataclass(slots=True)
class _Watch:
    """What was last seen in somebody else's claim, and since when it has been so (own monotonic clock)."""

    content: bytes
    since_s: float


class Claims:
    """The claims of this process, and what it sees of others'.

    Use it in a `with`: at its end, however it comes, all claims are given back, and those that others have
    left behind in the meantime are cleared away.

    Args:
        takeover_s: how long a claim may stand still before it counts as left behind, seconds.
        beat_s: how often this process's own claims move, seconds.
        clock: a monotonic one, seconds.
    """

    def __init__(
        self,
        *,
        takeover_s: float = TAKEOVER_S,
        beat_s: float = BEAT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._takeover_s, self._beat_s, self._clock = takeover_s, beat_s, clock
        self._own: dict[Path, int] = {}
        self._watched: dict[Path, _Watch] = {}
        self._beat = 0
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._heart = threading.Thread(target=self._keep_beating, name="claims", daemon=True)
        self._token = secrets.token_hex(8)

    def __enter__(self) -> Claims:
        self._heart.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._heart.join()
        for path in list(self._own):
            self.release(path)
        for path in list(self._watched):
            self.clear(path)

    def take(self, path: Path) -> bool:
        """Claim something; False while another process has it.

        Its folder is made if it is not there. A claim that was left behind is taken over.

        Raises:
            OutputError: the folder cannot be written to.
            StorageError: the disk is full.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if self._create(path):
                return True
            content = _content(path)
            if content is None:
                self._watched.pop(path, None)
                return False  # given back since: the next look finds it free
            return self._left_behind(path, content) and self._remove(path) and self._create(path)
        except OSError as error:
            raise write_error(error, path) from error

    def release(self, path: Path) -> None:
        """Give a claim back; one that was taken over in the meantime stays the other's."""
        with self._lock:
            number = self._own.pop(path, None)
        if number is None:
            return
        with suppress(OSError):
            if _is_open(number, path):
                path.unlink()
        os.close(number)

    def clear(self, path: Path) -> None:
        """Remove a claim that was left behind, whoever left it; otherwise watch it from now on.

        A file that is called like a claim and is none stays.
        """
        with suppress(OSError):
            content = _content(path)
            if content is None or _owner(content) is None:
                self._watched.pop(path, None)
            elif self._left_behind(path, content) or age_s(path) > FORGOTTEN_S:
                self._remove(path)

    def _create(self, path: Path) -> bool:
        """Make a claim that says whose it is from its first moment on; False where there is one already."""
        if path.exists():
            return False
        draft = temporary_name(path.parent)
        number = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
        try:
            self._write(number)
            number = _publish(draft, path, number)
            if number < 0:
                return False
            self._write(number)
        except BaseException:
            if number >= 0:
                os.close(number)
            raise
        finally:
            draft.unlink(missing_ok=True)
        with self._lock:
            self._own[path] = number
            self._watched.pop(path, None)
        return True

    def _write(self, number: int) -> None:
        """Put this process's name and its present beat into a claim, in place: one write of one length."""
        owner = {"host": this_machine(), "pid": os.getpid(), "start": start_of(os.getpid())}
        told = {**owner, "token": self._token, "beat": f"{self._beat:0{_BEAT_DIGITS}d}"}
        os.pwrite(number, json.dumps(told).encode() + b"\n", 0)
        os.fsync(number)  # over a network others see it only now

    def _left_behind(self, path: Path, content: bytes) -> bool:
        """Whether nobody moves a claim any more, by what stands in it now."""
        if _owner_is_over(content):
            self._watched[path] = _Watch(content, self._clock())
            return True
        now = self._clock()
        watch = self._watched.setdefault(path, _Watch(content, now))
        if watch.content != content:
            watch.content, watch.since_s = content, now
        return now - watch.since_s > self._takeover_s

    def _remove(self, path: Path) -> bool:
        """Take away a claim that was left behind; False where somebody else was faster."""
        aside = temporary_name(path.parent)
        try:
            path.rename(aside)
        except FileNotFoundError:
            return False
        expected = self._watched.pop(path)
        ours = _content(aside) == expected.content
        if not ours:
            # Another process took the dead claim over between the look and the renaming: this is its own.
            with suppress(OSError):
                os.link(aside, path)
        aside.unlink(missing_ok=True)
        return ours

    def _keep_beating(self) -> None:
        while not self._done.wait(self._beat_s):
            with self._lock:
                self._beat += 1
                for number in self._own.values():
                    with suppress(OSError):  # a full disk is found out where it matters
                        self._write(number)


def _publish(draft: Path, path: Path, number: int) -> int:
    """Give a draft its final name, for one process alone; the open file's number, or -1 if another has it."""
    try:
        os.link(draft, path)
    except FileExistsError:
        # The answer of a network file system may get lost, and the second try then meets its own link.
        if os.fstat(number).st_nlink == _LINKED:
            return number
        os.close(number)
        return -1
    except OSError:  # a file system without links
        os.close(number)
        try:
            return os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
        except FileExistsError:
            return -1
    return number


def _content(path: Path) -> bytes | None:
    """What stands in a claim; None where there is none."""
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST)
    except FileNotFoundError:
        return None


def _owner(content: bytes) -> tuple[str, int, str] | None:
    """Machine, number and start of a claim's owner; None: it is just being written, or by something else."""
    try:
        told = parse_json(content)
        return str(told["host"]), int(told["pid"]), str(told["start"])
    except (ValueError, KeyError, TypeError):
        return None


def _owner_is_over(content: bytes) -> bool:
    """Whether a claim's owner ran on this machine and certainly runs no more."""
    owner = _owner(content)
    return owner is not None and owner[0] == this_machine() and has_ended(*owner[1:])


def _is_open(number: int, path: Path) -> bool:
    """Whether the file at a path is the one that is open under this number."""
    ours, there = os.fstat(number), path.stat()
    return (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)
