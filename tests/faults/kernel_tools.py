"""What the kernel was asked for by a command and all its processes, by strace, and what of it is harmless."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.audit_tools import PROGRAMS, Box

# Calls that make, change or remove something by its name; with "?": not every kernel has them.
_WRITES = (
    *("open", "openat", "?openat2", "creat", "mknod", "mknodat", "mkdir", "mkdirat", "rmdir"),
    *("rename", "renameat", "renameat2", "unlink", "unlinkat", "link", "linkat", "symlink", "symlinkat"),
    *("truncate", "chmod", "fchmodat", "?fchmodat2", "chown", "lchown", "fchownat"),
    *("utime", "utimes", "futimesat", "utimensat", "setxattr", "lsetxattr", "removexattr", "lremovexattr"),
    *("mount", "umount2", "chroot"),
)
# Calls that reach for the network or another program.
_OTHERS = ("socket", "connect", "bind", "listen", "sendto", "sendmsg", "sendmmsg", "execve", "execveat")
_OPENS = ("open", "openat", "openat2")
_LINE = re.compile(r"(?P<pid>\d+) +(?P<call>(?P<name>\w+)\(.*|<\.\.\. (?P<resumed>\w+) resumed>.*)")
_FAILED = re.compile(r"\) += -1 ENOENT \([^()\"]*\)$")  # the result, not a name that says so
_UNFINISHED = "<unfinished ...>"
# A name, and the folder that it is relative to where the call was told one, which `-yy` writes out.
_NAME = re.compile(r'(?:(?:AT_FDCWD|\d+)<(?P<folder>[^>]*)>, )?"(?P<path>(?:[^"\\]|\\.)*)"')

_PYTHON = re.escape(sys.executable)
_START = r'\["[^"]*", "-c", "from multiprocessing\.'
# A worker of ours, the process that cleans up after workers, the two programs that `audit_tools` names, where
# the system has them; the ends of a connected pair; and the C library's question to a service of this
# machine: who is this user? For that it makes a socket, which is nothing as long as it is not connected.
HARMLESS = re.compile(
    "|".join(
        [
            rf'execve\("{_PYTHON}", {_START}spawn import spawn_main; spawn_main\([\w=, ]*\)", '
            r'"--multiprocessing-fork"\], ',
            rf'execve\("{_PYTHON}", {_START}resource_tracker import main;main\(\d+\)"\], ',
            *(
                rf'execve\("(?:/usr)?(?:/local)?/s?bin/{Path(words[0]).name}", '
                rf"\[{', '.join(re.escape(chr(34) + word + chr(34)) for word in words)}\], "
                for words in PROGRAMS
            ),
            r"(?:sendto|sendmsg)\(\d+<UNIX-STREAM:\[\d+->\d+\]>, ",
            r"socket\(AF_UNIX, SOCK_STREAM\|SOCK_CLOEXEC\|SOCK_NONBLOCK, 0\)",
            r'connect\(\d+<UNIX-STREAM:[^>]*>, \{sa_family=AF_UNIX, sun_path="/var/run/nscd/socket"\}',
        ]
    )
)


@dataclass(frozen=True)
class Traced:
    """What a program asked for: paths that it wrote to, and calls of other kinds but for its own start."""

    written: frozenset[str]
    others: tuple[str, ...]

    @property
    def strange(self) -> list[str]:
        """The calls that are not known to be harmless."""
        return [call for call in self.others if not HARMLESS.match(call)]


def traced(box: Box, *arguments: str | Path) -> Traced:
    """`python ARGUMENTS` under strace, to its good end."""
    log = box.place / "strace"
    calls = ",".join((*_WRITES, *_OTHERS))
    tracer = [
        "strace",
        "-f",
        "-yy",
        "--seccomp-bpf",
        "-qq",
        "-s",
        "4096",
        "-e",
        f"trace={calls}",
        "-o",
        str(log),
    ]
    probe = subprocess.run([*tracer, "true"], capture_output=True)
    if probe.returncode:
        pytest.skip("strace may not trace here")
    log.unlink()
    ran = box.run(*arguments, before=tracer)
    assert ran.code == 0, ran.err
    return understood(log.read_text("utf-8", "replace").splitlines(), box.cwd)


def understood(lines: Iterable[str], cwd: Path) -> Traced:
    """What strace's lines say, but for calls about something that is not there.

    Args:
        lines: of its log.
        cwd: where the program ran; a path that is relative to an open folder is relative to that.
    """
    written, others = set(), []
    first, *rest = _whole(lines)
    assert first.startswith("execve("), first
    for call in rest:
        name = call.partition("(")[0]
        if _FAILED.search(call):
            continue
        if name in _OTHERS:
            others.append(call)
        elif name not in _OPENS or re.search(r"O_(WRONLY|RDWR|CREAT|TRUNC|TMPFILE)|flags=0x", call):
            told = re.split(r"\) += -?\d", call)[0]
            written |= {str(Path(match["folder"] or cwd) / match["path"]) for match in _NAME.finditer(told)}
    return Traced(frozenset(written), tuple(others))


def _whole(lines: Iterable[str]) -> Iterator[str]:
    """Calls, each on one line: what another process interrupts begins on one line and ends on another."""
    begun: dict[str, str] = {}
    for line in lines:
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        if match["resumed"]:
            yield begun.pop(match["pid"], "") + line.partition("resumed>")[2]
        elif line.endswith(_UNFINISHED):
            begun[match["pid"]] = match["call"].removesuffix(_UNFINISHED)
        else:
            yield match["call"]
    yield from begun.values()  # a process that was ended within a call


def elsewhere(written: Iterable[str], allowed: Sequence[Path]) -> list[str]:
    """Paths that lie below none of these folders."""
    return [
        path for path in sorted(written) if not any(Path(path).is_relative_to(place) for place in allowed)
    ]
