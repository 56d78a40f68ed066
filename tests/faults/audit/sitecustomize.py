"""Loaded by every Python process that has this folder on PYTHONPATH: writes down what the process does.

Python tells of such things itself (https://docs.python.org/3/library/audit_events.html), to hooks that cannot
be taken away again. Each event that may matter becomes a line of JSON in the file `AUDIT_LOG`: the process,
the event, its arguments, and the functions that led to it. What is allowed is not decided here.
"""

import json
import os
import sys

_FRAMES = 8
_WANTED = frozenset(
    [
        "pickle.find_class",
        "marshal.load",
        "marshal.loads",
        "subprocess.Popen",
        "os.system",
        "os.exec",
        "os.posix_spawn",
        "os.spawn",
        "os.startfile",
        "pty.spawn",
        "os.rename",
        "os.remove",
        "os.rmdir",
        "os.mkdir",
        "os.link",
        "os.symlink",
        "os.truncate",
        "os.chmod",
        "os.chown",
        "os.utime",
        "os.setxattr",
        "os.removexattr",
        "shutil.move",
        "shutil.rmtree",
        "urllib.Request",
        "sqlite3.connect",
        "ctypes.dlopen",
    ]
)
_FAMILIES = (
    "socket.",
    "ftplib.",
    "smtplib.",
    "imaplib.",
    "nntplib.",
    "poplib.",
    "telnetlib.",
    "http.client.",
)
# Code of these folders is what is being run: the sources, a canary, the interpreter and its packages.
_OURS = tuple(f"{folder}/" for folder in os.environ.get("AUDIT_CODE", "").split(os.pathsep) if folder)
# An environment may lie within the sources, as `make` has it.
_LIBRARIES = (f"{sys.prefix}/", f"{sys.base_prefix}/", f"{sys.exec_prefix}/")
_CODE = (*_OURS, *_LIBRARIES)
# What Cython compiles so that a traceback through its own code has a line to show.
_TRACEBACK = b"_getframe()"
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def _start(path):
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def hook(event, arguments):
        if event == "open":
            # (path, mode, flags); `os.open` has no mode, and both have flags.
            if isinstance(arguments[0], int):
                return
            if not arguments[2] & _WRITING:
                if not _imported(arguments[0]):
                    return
                event = "code.open"  # ours: Python has no word of its own for it
        elif event in ("exec", "compile", "import"):
            arguments = _foreign_code(event, arguments)
            if arguments is None:
                return
            event = f"code.{event}"
        elif event not in _WANTED and not event.startswith(_FAMILIES):
            return
        line = {
            "pid": os.getpid(),
            "event": event,
            "arguments": [_text(argument) for argument in arguments],
            "cwd": os.getcwd(),  # noqa: PTH109 - pathlib would have to be loaded into every process
            "callers": _callers(),
        }
        os.write(log, (json.dumps(line) + "\n").encode())  # one write: lines of several processes stay whole

    sys.addaudithook(hook)


def _known(path):
    return path.startswith(("<", *_CODE))


def _imported(path):
    """Whether the import system reads a file that is not of the code that is being run."""
    file, _, name = (_callers(3) or [""])[0].rpartition(":")
    return name == "get_data" and "importlib" in file and not _known(_text(path))


def _foreign_code(event, arguments):
    """What to write down of code that is made or run; None: it is of the code that is being run.

    Libraries make code of texts of their own (dataclasses, named tuples); only where such a text has no file
    and our own sources ask for it, is it written down.
    """
    if arguments[0] == _TRACEBACK:
        return None
    if event == "import":
        path = arguments[1]  # of a library in native code
    elif event == "exec":
        path = arguments[0].co_filename
    else:
        path = arguments[1]
        if path is None or _text(path).startswith("<"):
            caller = (_callers(3) or [""])[0]
            is_ours = caller.startswith(_OURS) and not caller.startswith(_LIBRARIES)
            return [repr(path), repr(arguments[0])[:300]] if is_ours else None
    return None if path is None or _known(_text(path)) else [_text(path), repr(arguments[0])[:300]]


def _text(argument):
    if isinstance(argument, bytes):
        return os.fsdecode(argument)
    if isinstance(argument, (list, tuple)):
        return [_text(part) for part in argument]
    if isinstance(argument, (str, int, float, type(None))):
        return argument
    return os.fspath(argument) if hasattr(argument, "__fspath__") else repr(argument)[:200]


def _callers(depth=2):
    found, frame = [], sys._getframe()
    while frame is not None and depth:
        frame, depth = frame.f_back, depth - 1
    while frame is not None and len(found) < _FRAMES:
        found.append(f"{frame.f_code.co_filename}:{frame.f_code.co_name}")
        frame = frame.f_back
    return found


if os.environ.get("AUDIT_LOG"):
    _start(os.environ["AUDIT_LOG"])
