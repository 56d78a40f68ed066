"""Which process on which machine: what claims and temporary files are told apart by.

A process's number alone says little: it is used again, and means another process on another machine or in
another container. So a machine is its host name, the kernel's boot id and the space of process numbers, and
a process is its number and when the kernel started it. Where the kernel does not say (no /proc), nobody is
ever taken for dead.
"""

from __future__ import annotations

import hashlib
import os
import socket
from functools import cache
from pathlib import Path

# A process among those of all machines, as names of temporary files say it: `machine_tag` and number.
Owner = tuple[str, int]

_PROC = Path("/proc")
_STATE, _START = 0, 19  # places in /proc/PID/stat after the name, see proc(5)


@cache
def this_machine() -> str:
    """Where process numbers mean what they mean here: host name, boot id, process number space."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        boot = ""
    try:
        space = str((_PROC / "self/ns/pid").readlink())
    except OSError:
        space = ""
    return "/".join((socket.gethostname(), boot, space))


@cache
def machine_tag() -> str:
    """A short name of this machine, for file names."""
    return hashlib.sha256(os.fsencode(this_machine())).hexdigest()[:8]


def this_owner() -> Owner:
    """This process."""
    return machine_tag(), os.getpid()


def start_of(pid: int) -> str:
    """When the kernel started a running process, in its ticks since boot; empty where that is not known."""
    return _stat(pid)[1]


def has_ended(pid: int, start: str = "") -> bool:
    """Whether a process of this machine is certainly over.

    Args:
        pid: its number.
        start: what `start_of` gave for it, where that is known: another process may have the number now.
    """
    if not (_PROC / "self/stat").exists():
        return False
    try:
        os.kill(pid, 0)  # asks only
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False  # somebody else's process, which cannot be looked at
    state, now = _stat(pid)
    return state in ("Z", "X") or bool(start and now and start != now)


def _stat(pid: int) -> tuple[str, str]:
    """State and start of a process; empty where it cannot be looked at."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return "", ""
    fields = text.rpartition(")")[2].split()  # the name before it may hold anything
    return (fields[_STATE], fields[_START]) if len(fields) > _START else ("", "")
