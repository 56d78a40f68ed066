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
        "shutil.move",
        "shutil.rmtree",
        "urllib.Request",
    ]
)
_FAMILIES = ("socket.", "ftplib.", "smtplib.", "http.client.")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def _start(path):
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def hook(event, arguments):
        if event == "open":
            # (path, mode, flags); `os.open` has no mode, and both have flags.
            if isinstance(arguments[0], int) or not arguments[2] & _WRITING:
                return
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


def _text(argument):
    if isinstance(argument, bytes):
        return os.fsdecode(argument)
    if isinstance(argument, (list, tuple)):
        return [_text(part) for part in argument]
    if isinstance(argument, (str, int, float, type(None))):
        return argument
    return os.fspath(argument) if hasattr(argument, "__fspath__") else repr(argument)[:200]


def _callers():
    found, frame = [], sys._getframe(2)
    while frame is not None and len(found) < _FRAMES:
        found.append(f"{frame.f_code.co_filename}:{frame.f_code.co_name}")
        frame = frame.f_back
    return found


if os.environ.get("AUDIT_LOG"):
    _start(os.environ["AUDIT_LOG"])
