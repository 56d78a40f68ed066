"""No pickle from a file, no shell, no network, nothing written outside: proved by Python's own audit events.

Every Python process of a command, its workers too, tells what it does (`audit/sitecustomize.py`); what is
allowed stands in `audit_tools.py`, and the canaries show that each rule sees what it is there for. Native
code tells Python nothing: for that folders are compared, and the kernel is asked with strace if there is one.
"""

import json
import os
import pickle
import py_compile
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.ascnet_cli.datasets.stitch_tools import clip_folder
from tests.ascnet_cli.folder_tools import write_folder
from tests.faults.audit_tools import FONT_FOLDERS, FONT_PROGRAMS, PROGRAMS, Box, problems
from tests.faults.fuzz import text_seeds as seeds
from tests.faults.kernel_tools import elsewhere, traced, understood
from tests.synthetic import make_video


def write_wtalc(folder):
    """Arrays as W-TALC's authors published them: texts, lists and features, all of them pickled objects."""
    folder.mkdir()

    def objects(name, *values):
        array = np.empty(len(values), object)
        for index, value in enumerate(values):
            array[index] = value
        np.save(folder / f"{name}.npy", array, allow_pickle=True)

    objects("videoname", b"v0", b"v1")
    objects("subset", b"validation", b"test")
    objects("segments", [[1.0, 4.0]], [[2.0, 3.0]])
    objects("labels", ["run"], ["run"])
    objects("T-JOINTFeatures", *(np.ones((4, 3), np.float32) for _ in range(2)))
    np.save(folder / "duration.npy", np.array([[20.0], [20.0]]))


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    """Two videos, a small data set, and predictions of it."""
    box = Box.make(tmp_path_factory.mktemp("audited").resolve())
    inputs = box.inputs
    (inputs / "videos").mkdir()
    make_video(inputs / "videos" / "a.mp4", n_frames=20)
    make_video(inputs / "videos" / "b.mp4", n_frames=24)
    write_folder(inputs / "data")
    results = {"v10.mp4": [{"label": "dive", "segment": [1.0, 4.0], "score": 0.5}]}
    content = {"version": "1.3", "results": results, "external_data": {}}
    (inputs / "predictions.json").write_text(json.dumps(content))
    shown = {"a.mp4": [{"label": "dive", "segment": [0.1, 0.6], "score": 0.5}]}
    (inputs / "shown.json").write_text(json.dumps({**content, "results": shown}))
    seeds.torch_file(inputs / "published.pt", zipped=True)
    seeds.torch_file(inputs / "legacy.pt", zipped=False)
    seeds.numpy_pickle(inputs / "published.ckpt")
    write_wtalc(inputs / "wtalc")
    clip_folder(inputs / "clips")
    np.save(inputs / "evil.npy", np.array([Path("x")], dtype=object), allow_pickle=True)
    for name in ("evil.safetensors", "evil.ckpt"):
        (inputs / name).write_bytes(pickle.dumps({"a": Path("x")}))
    torch.save({"a": torch.ones(1), "b": Path("x")}, inputs / "evil.pt")
    shutil.copytree(inputs / "wtalc", inputs / "evil-wtalc")
    shutil.copy(inputs / "evil.npy", inputs / "evil-wtalc" / "labels.npy")
    return box


GRID = ("--fps", "25", "--stride", "16")
COMMANDS = {
    "detect": ("detect", "IN/videos", "--device", "cpu", "--out", "OUT/s.csv", "--features-out", "OUT/kept"),
    "extract": ("extract", "IN/videos", "--workers", "2", "--out", "OUT/features"),
    "train": (
        "train",
        "--dataset",
        "IN/data",
        "--set",
        "training.updates=4",
        "--device",
        "cpu",
        "--out",
        "OUT/run",
    ),
    "evaluate": ("evaluate", "IN/predictions.json", "--dataset", "IN/data/annotations.json", "--per-class"),
    "render": (
        *("render", "IN/shown.json", "--video-root", "IN/videos", "--out", "OUT/s.csv", "--out", "OUT/s.eaf"),
        *("--video", "OUT/shown.mp4", "--clips", "OUT/clips", "--report", "OUT/report.html"),
    ),
    "report": (
        *("report", "IN/predictions.json", "--dataset", "IN/data/annotations.json"),
        *("--out", "OUT/page.html", "--figure", "OUT/figure.svg"),
    ),
    "doctor": ("doctor", "--device", "cpu"),
    # The two that open pickles, of each kind.
    "convert": ("weights", "convert", "IN/published.pt", "--out", "OUT/w.safetensors"),
    "convert, older": ("weights", "convert", "IN/legacy.pt", "--out", "OUT/w.safetensors"),
    "convert, of numpy": ("weights", "convert", "IN/published.ckpt", "--out", "OUT/w.safetensors"),
    "prepare": ("datasets", "prepare", "IN/wtalc", "--out", "OUT/data", *GRID),
    "verify": ("weights", "verify"),
    "check": ("datasets", "check", "IN/data"),
    "stitch": (
        *("datasets", "stitch", "IN/clips", "--out", "OUT/made", "--background", "idle", "--fps", "10"),
        *("--videos", "1", "--test-videos", "1", "--size", "96x72"),
        *("--min-seconds", "4", "--max-seconds", "6", "--max-clip-seconds", "2"),
    ),
    "ablate": (
        *("ablate", "--dataset", "IN/data", "--out", "OUT/table", "--device", "cpu", "--seeds", "0"),
        *("--rows", "V", "--set", "training.updates=2", "--set", "training.validate_every=2"),
    ),
}
MADE = {
    "detect": {"s.csv", "kept/a.mp4.npy", "kept/a.mp4.json", "kept/b.mp4.npy", "kept/b.mp4.json"},
    "extract": {f"features/{name}.mp4.{ending}" for name in "ab" for ending in ("npy", "json")},
    "evaluate": set(),
    "render": {"s.csv", "s.eaf", "shown.mp4", "clips/a__dive__0.100-0.600.mp4", "report.html"},
    "report": {"page.html", "figure.svg"},
    "doctor": set(),
    **{name: {"w.safetensors"} for name in ("convert", "convert, older", "convert, of numpy")},
    "prepare": {
        "data/annotations.json",
        "data/features/grid.json",
        "data/features/v0.npy",
        "data/features/v1.npy",
    },
    "verify": set(),
    "check": set(),
    "stitch": {f"made/{name}" for name in ("annotations.json", "stitch.json")}
    | {f"made/videos/{name}_0000.mp4" for name in ("train", "test")},
}
RESULTS = {
    "train": {"run/best.safetensors", "run/config.toml"},
    "ablate": {"table/ablation.md", "table/ablation.csv"},
}


def arguments(box, words):
    """The words of a command, with IN and OUT as folders."""
    return [re.sub("^IN/", f"{box.inputs}/", re.sub("^OUT/", f"{box.out}/", word)) for word in words]


def emptied(folder):
    shutil.rmtree(folder)
    folder.mkdir()


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "command", [pytest.param(name, marks=() if name in ("evaluate", "check") else SLOW) for name in COMMANDS]
)
def test_a_command_does_nothing_but_its_work(box, command):
    emptied(box.out)
    before = box.outside()
    ran = box.run("-m", "ascnet_cli", *arguments(box, COMMANDS[command]))
    assert ran.code == 0, ran.err
    # The doctor tries whether the current folder can be written to; below, it is as it was.
    tried = [box.cwd] if command == "doctor" else []
    if command == "ablate":  # its picture is matplotlib's, which looks for fonts
        tried = [box.home / folder for folder in FONT_FOLDERS]
    programs = (*PROGRAMS, *FONT_PROGRAMS) if command == "ablate" else PROGRAMS
    assert problems(ran.events, box.out, box.tmp, *tried, may_run=programs) == []
    # The events were written down: every process has imported something.
    assert len(ran.processes) >= {"extract": 3, "detect": 2, "doctor": 2}.get(command, 1)
    if command == "detect":  # its decoder has read what nobody vouches for, and is not listened to in pickles
        heard = [event for event in ran.events if event.event == "pickle.find_class"]
        assert [event.callers[0] for event in heard if "spawn.py:_main" not in event.callers[0]] == []
    assert any(event.event == "marshal.loads" for event in ran.events)
    # What native code does is seen by its traces alone.
    for folder in FONT_FOLDERS if command == "ablate" else ():
        shutil.rmtree(box.home / folder)
    assert box.outside() == before
    made = {path.relative_to(box.out).as_posix() for path in box.out.rglob("*") if path.is_file()}
    if command in MADE:
        assert made == MADE[command]
    else:
        assert RESULTS[command] <= made
    assert [path for path in box.tmp.rglob("*") if path.is_file()] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("detect", "IN/evil.npy", "--out", "OUT/s.csv"),
        ("detect", "IN/videos/a.mp4", "--model", "IN/evil.safetensors", "--out", "OUT/s.csv"),
        ("train", "--dataset", "IN/evil", "--out", "OUT/run"),
        ("weights", "convert", "IN/evil.pt", "--out", "OUT/w.safetensors"),
        ("weights", "convert", "IN/evil.safetensors", "--out", "OUT/w.safetensors"),
        ("weights", "convert", "IN/evil.ckpt", "--out", "OUT/w.safetensors"),
        ("datasets", "check", "IN/evil"),
        ("datasets", "prepare", "IN/evil-wtalc", "--out", "OUT/data", *GRID),
    ],
    ids=lambda words: " ".join(words[:3]),
)
def test_pickles_that_stand_where_data_should_be_are_not_opened(box, words):
    data = box.inputs / "evil"
    if not data.exists():
        write_folder(data)
        for path in (data / "features").glob("*.npy"):
            shutil.copy(box.inputs / "evil.npy", path)
    emptied(box.out)
    device = ("--device", "cpu") if words[0] in ("detect", "train") else ()
    ran = box.run("-m", "ascnet_cli", *arguments(box, words), *device)
    assert ran.code in (4, 5), ran.err
    assert [path for path in box.out.rglob("*") if path.is_file()] == []
    assert "Traceback" not in ran.err
    assert problems(ran.events, box.out, box.tmp) == []


# What a program must not do, each with the words of the rule; OUTSIDE is a folder that is not its own.
CANARIES = {
    "a pickle in a file": (
        "import pickle\npickle.load(open('OUTSIDE/p', 'rb'))",
        "did not come through a pipe",
    ),
    "a pickle, in Python alone": (
        "import pickle\npickle._Unpickler(open('OUTSIDE/p', 'rb')).load()",
        "did not come through a pipe",
    ),
    "a pickle in an array": (
        "import numpy\nnumpy.load('OUTSIDE/evil.npy', allow_pickle=True)",
        "did not come through a pipe",
    ),
    "marshal": ("import marshal\nmarshal.load(open('OUTSIDE/m', 'rb'))", "marshal, and not an import"),
    "a shell": ("import os\nos.system('true')", "never allowed"),
    "a shell by subprocess": ("import subprocess\nsubprocess.run('true', shell=True)", "another program"),
    "another program": ("import subprocess\nsubprocess.run(['true'])", "another program"),
    "another program, spawned": (
        "import os\nos.waitpid(os.posix_spawn('/bin/true', ['true'], {}), 0)",
        "never allowed",
    ),
    "to become another program": ("import os\nos.execv('/bin/true', ['true'])", "never allowed"),
    "a connection": (
        "import socket\ntry:\n    socket.create_connection(('127.0.0.1', 9), 1)\nexcept OSError:\n    pass",
        "network",
    ),
    "a server": ("import socket\nsocket.socket().bind(('127.0.0.1', 0))", "network"),
    "a socket": ("import socket\nsocket.socket(socket.AF_UNIX)", "network"),
    "a look-up": ("import socket\nsocket.getaddrinfo('127.0.0.1', 9)", "network"),
    "a web page": (
        "import urllib.request\ntry:\n    urllib.request.urlopen('http://127.0.0.1:9/', timeout=1)\n"
        "except OSError:\n    pass",
        "never allowed",
    ),
    "a file": ("open('OUTSIDE/x', 'w')", "is outside"),
    "a file, appended to": ("open('OUTSIDE/p', 'ab')", "is outside"),
    "a file by its number": ("import os\nos.open('OUTSIDE/x', os.O_CREAT | os.O_WRONLY)", "is outside"),
    "a file by a way around": ("open('OUT/../OUTSIDE_NAME/x', 'w')", "is outside"),
    "a renaming": ("import os\nopen('OUT/x', 'w')\nos.replace('OUT/x', 'OUTSIDE/x')", "is outside"),
    "a removal": ("import os\nos.remove('OUTSIDE/p')", "is outside"),
    "a folder": ("import os\nos.mkdir('OUTSIDE/x')", "is outside"),
    "a link": ("import os\nos.symlink('/etc/passwd', 'OUTSIDE/x')", "is outside"),
    "rights": ("import os\nos.chmod('OUTSIDE/p', 0o600)", "is outside"),
    "a whole folder": ("import shutil\nshutil.rmtree('OUTSIDE')", "is outside"),
    "a worker's file": (
        "import multiprocessing\nif __name__ == '__main__':\n"
        "    context = multiprocessing.get_context('spawn')\n"
        "    worker = context.Process(target=open, args=('OUTSIDE/x', 'w'))\n"
        "    worker.start()\n    worker.join()",
        "is outside",
    ),
    "a pool's file": (
        "import multiprocessing\nimport pebble\nif __name__ == '__main__':\n"
        "    context = multiprocessing.get_context('spawn')\n"
        "    with pebble.ProcessPool(1, context=context) as pool:\n"
        "        pool.schedule(exec, args=[\"open('OUTSIDE/x', 'w').close()\"]).result()",
        "is outside",
    ),
    "a database": ("import sqlite3\nsqlite3.connect('OUTSIDE/p')", "never allowed"),
    "a mailbox": (
        "import imaplib\ntry:\n    imaplib.IMAP4('127.0.0.1', 9, 1)\nexcept OSError:\n    pass",
        "network",
    ),
    "a file in an open folder": (
        "import os\nfolder = os.open('OUTSIDE', os.O_RDONLY)\n"
        "os.open('x', os.O_CREAT | os.O_WRONLY, dir_fd=folder)",
        "may be relative to an open folder",
    ),
    "a note on a file": (
        "import os\ntry:\n    os.removexattr('OUTSIDE/p', 'user.x')\nexcept OSError:\n    pass",
        "is outside",
    ),
    "a library that lies with the data": (
        "import ctypes\ntry:\n    ctypes.CDLL('OUTSIDE/p')\nexcept OSError:\n    pass",
        "a library from elsewhere",
    ),
    "a module in native code that lies with the data": (
        "import sys\nsys.path.insert(0, 'OUTSIDE')\ntry:\n    import native\nexcept ImportError:\n    pass",
        "code.import",
    ),
    "a module that lies with the data": (
        "import sys\nsys.path.insert(0, 'OUTSIDE')\nimport code_of_data",
        "code.exec",
    ),
    "byte code that lies with the data": (
        "import sys\nsys.path.insert(0, 'OUTSIDE')\nimport bytes_of_data",
        "code.open",
    ),
    "a program that lies with the data": (
        "import runpy\nrunpy.run_path('OUTSIDE/code_of_data.py')",
        "code.exec",
    ),
    "a text that is run": ("exec(open('OUTSIDE/code_of_data.py').read())", "code.compile"),
    "a text that is worked out": ("eval('1 + 1')", "code.compile"),
    "a text that is made a program": ("compile('1', 'OUTSIDE/x', 'eval')", "code.compile"),
    "a foreign function by the name of a module of a message": (
        "import io, multiprocessing, pickle\na, b = multiprocessing.Pipe()\n"
        "a.send_bytes(b'\\x80\\x04\\x8c\\x07pathlib\\x94\\x8c\\x09os.getcwd\\x94\\x93\\x94)R.')\nb.recv()",
        "a message of a foreign class",
    ),
    "a foreign function by the name of one of our modules": (
        "import io, multiprocessing, pickle\na, b = multiprocessing.Pipe()\n"
        "a.send_bytes(b'\\x80\\x04\\x8c\\x13extractors.children\\x94\\x8c\\x09os.getpid\\x94\\x93\\x94)R.')\n"
        "b.recv()",
        "a message of a foreign class",
    ),
    "a foreign class in a message": (
        "import fractions, multiprocessing\na, b = multiprocessing.Pipe()\n"
        "a.send(fractions.Fraction(1))\nb.recv()",
        "a message of a foreign class",
    ),
}


@pytest.fixture
def canary(tmp_path):
    """Runs a program in a place of its own; what the rules say of it."""
    box = Box.make(tmp_path.resolve() / "box")
    outside = box.place / "outside"
    outside.mkdir()
    (outside / "p").write_bytes(pickle.dumps(Path("x")))
    (outside / "m").write_bytes(b"i\x01\x00\x00\x00")
    (outside / "native.so").write_bytes(b"\x7fELF")
    code = outside / "code_of_data.py"
    code.write_text("x = 1\n")
    # Says of itself that it is a part of Python; where it was read is what counts.
    py_compile.compile(str(code), str(outside / "bytes_of_data.pyc"), dfile="<frozen os>", doraise=True)
    np.save(outside / "evil.npy", np.array([Path("x")], dtype=object), allow_pickle=True)

    def run(code):
        for word, place in (("OUTSIDE_NAME", "outside"), ("OUTSIDE", str(outside)), ("OUT", str(box.out))):
            code = code.replace(word, place)
        program = box.program / "canary.py"
        program.write_text(code + "\n")
        ran = box.run(program)
        assert ran.code == 0, ran.err
        return problems(ran.events, box.out, box.tmp)

    return run


@pytest.mark.parametrize("name", CANARIES)
def test_canary(canary, name):
    code, words = CANARIES[name]
    found = canary(code)
    assert found, "it was not seen"
    assert any(words in problem for problem in found), found


def test_canary_that_does_nothing_wrong(canary):
    assert canary(
        "import os, shutil, tempfile\nopen('OUT/x', 'w').write('x')\nos.replace('OUT/x', 'OUT/y')\n"
        "open(os.devnull, 'w')\nopen('OUTSIDE/p', 'rb').read()\n"
        "with tempfile.TemporaryDirectory() as folder:\n"
        "    os.mkdir(folder + '/in')\n    open(folder + '/in/x', 'w')"
    ) == []  # fmt: skip


def test_canary_of_native_code_is_seen_by_comparing_folders(tmp_path):
    """A library in Rust writes past Python's events."""
    box = Box.make(tmp_path.resolve() / "box")
    before = box.outside()
    program = (
        "import numpy, safetensors.numpy\n"
        f"safetensors.numpy.save_file({{'x': numpy.zeros(1)}}, {str(box.home / 'x')!r})"
    )
    ran = box.run("-c", program)
    assert ran.code == 0, ran.err
    assert problems(ran.events, box.out, box.tmp) == []
    assert set(box.outside()) - set(before) == {"home/x"}


STRACE = pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace")


@pytest.mark.slow
@STRACE
@pytest.mark.parametrize(
    "command", ["detect", "extract", "train", "evaluate", "render", "report", "doctor", "convert", "prepare"]
)
def test_the_kernel_says_the_same(box, command):
    emptied(box.out)
    seen = traced(box, "-m", "ascnet_cli", *arguments(box, COMMANDS[command]))
    tried = [box.cwd] if command == "doctor" else []  # whether the current folder can be written to
    # Locks between processes live in shared memory, and are gone with them; /dev/null is no place.
    shared = [path for path in seen.written if path.startswith("/dev/shm/sem.")]  # noqa: S108
    allowed = [box.out, box.tmp, box.place / "events.jsonl", Path(os.devnull), *tried, *map(Path, shared)]
    assert [path for path in elsewhere(seen.written, allowed) if "__pycache__" not in path] == []
    made = [path for path in seen.written if path.startswith(f"{box.out}/")]
    assert bool(made) is (command not in ("evaluate", "doctor"))
    assert seen.strange == []


# What native code might do, by the C library alone, and what the kernel must be seen to have been asked.
C = "import ctypes, os\nlibc = ctypes.CDLL(None)\nHOME = os.environ['HOME'].encode()\n"
KERNEL_CANARIES = {
    "a file": (
        "import numpy, safetensors.numpy\n"
        "safetensors.numpy.save_file({'x': numpy.zeros(1)}, os.environ['HOME'] + '/native')",
        "native",
    ),
    "a file that says ENOENT": ("libc.creat(HOME + b'/ENOENT (No such)', 0o600)", "ENOENT (No such)"),
    "a file in an open folder": (
        "libc.openat(os.open(HOME, os.O_RDONLY), b'relative', os.O_CREAT | os.O_WRONLY, 0o600)",
        "relative",
    ),
    "a pipe": ("os.mkfifo(HOME + b'/pipe')", "pipe"),
    "another owner": ("os.mkdir(HOME + b'/d')\nlibc.chown(HOME + b'/d', -1, -1)", "d"),
    "another time": ("os.utime(HOME)", ""),
    "a note": ("libc.setxattr(HOME, b'user.x', b'1', 1, 0)", ""),
    "a socket": ("import socket\nsocket.socket().close()", "socket(AF_INET"),
    "a socket of this machine": (
        "import socket\nsocket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)",
        "SOCK_DGRAM",
    ),
    "a service of this machine": (
        "import socket\ntry:\n    socket.socket(socket.AF_UNIX).connect(HOME)\nexcept OSError:\n    pass",
        "connect(",
    ),
    "a message": (
        "import socket\ntry:\n"
        "    socket.socket(type=socket.SOCK_DGRAM).sendmsg([b'x'], [], 0, ('127.0.0.1', 9))\n"
        "except OSError:\n    pass",
        "sendmsg(",
    ),
    "another python": ("import subprocess, sys\nsubprocess.run([sys.executable, '-c', ''])", "-c"),
    "another question": ("import subprocess\nsubprocess.run(['uname', '-a'], capture_output=True)", "uname"),
    "a program of that name": (
        "import subprocess\nopen(HOME + b'/uname', 'w').write('#!/bin/sh\\n')\n"
        "os.chmod(HOME + b'/uname', 0o700)\n"
        "subprocess.run([HOME + b'/uname', '-p'])",
        "home/uname",
    ),
}


@pytest.mark.slow
@STRACE
@pytest.mark.parametrize("kind", KERNEL_CANARIES)
def test_canary_of_the_kernel(tmp_path, kind):
    """The same look sees what native code makes, and each call that is not quite a harmless one."""
    code, seen_as = KERNEL_CANARIES[kind]
    box = Box.make(tmp_path.resolve() / "box")
    program = box.program / "canary.py"
    program.write_text(C + code + "\n")
    seen = traced(box, program)
    found = elsewhere(seen.written, [box.place / "events.jsonl", Path(os.devnull)])
    assert str(box.home / seen_as) in found or any(seen_as in call for call in seen.strange if seen_as), (
        found,
        seen.strange,
    )


def test_what_is_harmless_is_not_strange(tmp_path):
    worker = "from multiprocessing.spawn import spawn_main; spawn_main(tracker_fd=7, pipe_handle=9)"
    python = f'"{sys.executable}"'
    lines = [
        '1 execve("/usr/bin/python", ["python"], 0x1 /* 8 vars */) = 0',
        f'2 execve({python}, [{python}, "-c", "{worker}", "--multiprocessing-fork"], 0x1 <unfinished ...>',
        '3 execve("/nowhere/uname", ["uname", "-p"], 0x1 /* 8 vars */ <unfinished ...>',
        "2 <... execve resumed>)             = 0",
        "3 <... execve resumed>)             = -1 ENOENT (No such file or directory)",
        '3 execve("/usr/bin/uname", ["uname", "-p"], 0x1 /* 8 vars */) = 0',
        '2 sendto(5<UNIX-STREAM:[12->13]>, "next", 4, 0, NULL, 0) = 4',
        '2 unlinkat(5</a/folder>, "x", 0) = 0',
        '2 openat(AT_FDCWD</a>, "read", O_RDONLY|O_CLOEXEC) = 4</a/read>',
        '2 mkdir("made", 0777) = 0',
    ]
    seen = understood(lines, tmp_path)
    assert seen.strange == []
    assert len(seen.others) == 3
    assert seen.written == {"/a/folder/x", str(tmp_path / "made")}
