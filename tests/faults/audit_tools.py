"""Run a command with Python's audit events written down, and say which of them are not allowed.

What is allowed, and why:

* files are made, renamed and removed below the folders that a command was given for its results, and below
  the folder for temporary files (where PyTorch's compiler, which Adam imports, makes an empty folder);
* `/dev/null` is written to;
* Python writes byte code (`__pycache__`) beside the modules that it imports, and reads it back (`marshal`);
* worker processes and the one that started them send each other messages through pipes, as pickles of our own
  classes, of pathlib's and of the two libraries that carry them; nothing of that comes from a file;
* such a pipe may be a pair of sockets that were made connected (`socketpair`) and have no address;
* where `ablate` draws its picture, matplotlib keeps a list of the fonts below the home folder
  (`FONT_FOLDERS`), which it asks `fc-list` for;
* two programs of the system are asked, by argument lists: `ldconfig -p` (by a library of PyTorch's CUDA build
  that looks for libdl), `uname -p` (by `platform`, for environment.json);
* the machine's own name is asked for (`socket.gethostname`), which opens no socket;
* code is run that stands in the sources, the interpreter and its packages; libraries (not ours) make more of
  texts of their own, as dataclasses do; native libraries are loaded from there and from the system.

What Python does not tell: which folder a relative path of `os.open(dir_fd=)` starts from (so what is written
by it must not be relative), and that a pipe or a device is made (`os.mkfifo`, `os.mknod`), which the kernel
tells.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
_HOOK = Path(__file__).parent / "audit"
_IMPORTS = "<frozen importlib._bootstrap_external>"
_MESSAGES = ("/multiprocessing/connection.py:recv", "/multiprocessing/spawn.py:_main")
# A child is given its end of a connected pair, which is described by these two enumerations.
_SOCKET_KINDS = {("socket", "AddressFamily"), ("socket", "SocketKind")}
# What messages are made of, beside our own classes and functions: looked up by these names and no others,
# since `pathlib` and `os.system` are one name of a pickle, too.
_SENT = {
    ("pathlib", "PosixPath"),
    ("multiprocessing.connection", "rebuild_connection"),
    ("multiprocessing.context", "SpawnProcess"),
    ("multiprocessing.popen_spawn_posix", "_DupFd"),
    ("multiprocessing.process", "AuthenticationString"),
    ("multiprocessing.reduction", "_rebuild_socket"),
    ("multiprocessing.synchronize", "RLock"),
    ("pebble.common.types", "Result"),
    ("pebble.common.types", "ResultStatus"),
    ("pebble.pool.base_pool", "TaskPayload"),
    ("pebble.pool.base_pool", "Worker"),
    ("pebble.pool.channel", "ChannelMutex"),
    ("pebble.pool.channel", "WorkerChannel"),
    ("pebble.pool.process", "Acknowledgement"),
    ("pebble.pool.process", "TaskResult"),
    ("pebble.pool.process", "WorkerTask"),
    ("pebble.pool.process", "worker_process"),
}
_SYSTEM = ("/lib/", "/lib64/", "/usr/lib/", "/usr/lib64/", "/usr/local/")
PROGRAMS = (["/sbin/ldconfig", "-p"], ["uname", "-p"])
# matplotlib's, once a user: which fonts does the system have?
FONT_PROGRAMS = (["fc-list", "--help"], ["fc-list", "--format=%{file}\\n"])
_NEVER = (
    *("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.startfile", "pty.spawn"),
    *("urllib.Request", "sqlite3.connect"),
)
_NETWORK = ("socket.", "ftplib.", "smtplib.", "imaplib.", "nntplib.", "poplib.", "telnetlib.", "http.client.")
# Which arguments are paths, and where the number of an open folder is that they are relative to.
_PATHS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "open": ((0,), ()),
    "os.rename": ((0, 1), (2, 3)),
    "os.link": ((0, 1), (2, 3)),
    "os.symlink": ((1,), (2,)),
    "os.remove": ((0,), (1,)),
    "os.rmdir": ((0,), (1,)),
    "os.mkdir": ((0,), (2,)),
    "os.chmod": ((0,), (2,)),
    "os.chown": ((0,), (3,)),
    "os.utime": ((0,), (3,)),
    "os.truncate": ((0,), ()),
    "os.setxattr": ((0,), ()),
    "os.removexattr": ((0,), ()),
    "shutil.rmtree": ((0,), ()),
    "shutil.move": ((0, 1), ()),
}


FONT_FOLDERS = (".config", ".cache")


@dataclass(frozen=True)
class Event:
    """Something that a process did; see `audit/sitecustomize.py`."""

    pid: int
    event: str
    arguments: list[Any]
    cwd: str
    callers: list[str]


@dataclass(frozen=True)
class Audited:
    """How a program ended, and what it and all its processes did."""

    code: int
    out: str
    err: str
    events: list[Event]

    @property
    def processes(self) -> set[int]:
        return {event.pid for event in self.events}


@dataclass(frozen=True)
class Box:
    """A place to run things in, with folders for everything that a command may want."""

    place: Path

    @classmethod
    def make(cls, place: Path) -> Box:
        box = cls(place)
        for folder in (box.home, box.tmp, box.cwd, box.inputs, box.out, box.program):
            folder.mkdir(parents=True)
        return box

    @property
    def home(self) -> Path:
        return self.place / "home"

    @property
    def tmp(self) -> Path:
        return self.place / "tmp"

    @property
    def cwd(self) -> Path:
        return self.place / "cwd"

    @property
    def inputs(self) -> Path:
        return self.place / "inputs"

    @property
    def out(self) -> Path:
        return self.place / "out"

    @property
    def program(self) -> Path:
        """Where a program of a test's own lies, apart from all data."""
        return self.place / "program"

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH") if name in os.environ}
        return {
            **kept,
            "HOME": str(self.home),
            "TMPDIR": str(self.tmp),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(map(str, (_HOOK, ROOT))),
            "AUDIT_CODE": os.pathsep.join(map(str, (ROOT, self.program))),
        }

    def run(self, *arguments: str | Path, before: Sequence[str] = ()) -> Audited:
        """`python ARGUMENTS` with its events written down."""
        log = self.place / "events.jsonl"
        log.unlink(missing_ok=True)
        done = subprocess.run(
            [*before, sys.executable, *map(str, arguments)],
            cwd=self.cwd,
            env={**self.environment, "AUDIT_LOG": str(log)},
            capture_output=True,
            text=True,
            timeout=500,
        )
        lines = log.read_text("utf-8").splitlines() if log.exists() else []
        return Audited(
            done.returncode, done.stdout, done.stderr, [Event(**json.loads(line)) for line in lines]
        )

    def outside(self) -> dict[str, str]:
        """Everything that no command may touch, by path and content: home, current folder, inputs."""
        return {
            str(path.relative_to(self.place)): _content(path)
            for folder in (self.home, self.cwd, self.inputs)
            for path in sorted(folder.rglob("*"))
        }


def _content(path: Path) -> str:
    if path.is_symlink():
        return f"to {path.readlink()}"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def problems(
    events: Sequence[Event], *may_write: Path, may_run: Sequence[Sequence[str]] = PROGRAMS
) -> list[str]:
    """What is not allowed, a line each.

    Args:
        events: of a program.
        may_write: the folders below which it may write.
        may_run: other programs, each with its arguments.
    """
    return [f"{_said(event)}: {reason}" for event in events for reason in _reasons(event, may_write, may_run)]


def _said(event: Event) -> str:
    return f"{event.event}{tuple(event.arguments)} by {' < '.join(event.callers[:3])}"


def _reasons(event: Event, may_write: Sequence[Path], may_run: Sequence[Sequence[str]]) -> Iterator[str]:
    caller = event.callers[0] if event.callers else ""
    if event.event == "pickle.find_class":
        name = (str(event.arguments[0]), str(event.arguments[1]))
        if not caller.endswith(_MESSAGES):
            yield "a pickle that did not come through a pipe from our own process"
        elif (
            name not in _SENT
            and not _is_ours(*name)
            and not (caller.endswith("/multiprocessing/spawn.py:_main") and name in _SOCKET_KINDS)
        ):
            yield "a message of a foreign class"
    elif event.event.startswith("marshal."):
        if not caller.startswith(_IMPORTS):
            yield "marshal, and not an import"
    elif event.event == "subprocess.Popen":
        if event.arguments[1] not in may_run:
            yield "another program"
    elif event.event in _NEVER:
        yield "never allowed"
    elif event.event.startswith("code."):
        yield "code from elsewhere"
    elif event.event == "ctypes.dlopen":
        library = str(event.arguments[0])
        code = (f"{ROOT}/", f"{sys.prefix}/", f"{sys.base_prefix}/", *_SYSTEM)
        if "/" in library and not os.path.normpath(library).startswith(code):
            yield "a library from elsewhere"
    elif event.event.startswith(_NETWORK):
        pair = event.event == "socket.__new__" and "/socket.py:socketpair" in " ".join(event.callers[:2])
        given = event.event == "socket.__new__" and any(
            caller.endswith("/multiprocessing/reduction.py:_rebuild_socket") for caller in event.callers[:2]
        )
        if event.event != "socket.gethostname" and not pair and not given:
            yield "network"
    elif event.event in _PATHS:
        yield from _paths(event, may_write)
    else:
        yield "not known to this test"


@cache
def _is_ours(module: str, name: str) -> bool:
    """Whether a module of `extractors` defines a class or function, rather than merely knows it."""
    path = ROOT / Path(*module.split(".")).with_suffix(".py")
    if module.partition(".")[0] != "extractors" or not path.is_file():
        return False
    kinds = (ast.ClassDef, ast.FunctionDef)
    body = ast.parse(path.read_text("utf-8")).body
    return any(isinstance(node, kinds) and node.name == name for node in body)


def _paths(event: Event, may_write: Sequence[Path]) -> Iterator[str]:
    which, folders = _PATHS[event.event]
    imports = any(caller.startswith("<frozen importlib") for caller in event.callers[:2])
    if imports and all("__pycache__" in str(event.arguments[index]) for index in which):
        return
    # Emptying a temporary folder: the tree was looked at when `shutil.rmtree` was called for it.
    if any(_argument(event, index) not in (-1, None) for index in folders):
        if not any("/shutil.py:_rmtree" in caller for caller in event.callers):
            yield "a path relative to an open folder"
        return
    if event.event == "open" and event.arguments[1] is None and not Path(event.arguments[0]).is_absolute():
        yield "a path that may be relative to an open folder"
        return
    for index in which:
        path = Path(os.path.normpath(Path(event.cwd) / str(event.arguments[index])))
        if path != Path(os.devnull) and not any(path.is_relative_to(place) for place in may_write):
            yield f"{path} is outside"


def _argument(event: Event, index: int) -> Any:
    return event.arguments[index] if index < len(event.arguments) else None
