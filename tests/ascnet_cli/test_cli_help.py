"""`ascnet` without a video: help, version, wrong command lines; and what that loads."""

import json
import subprocess
import sys

import pytest

from ascnet_cli.cli import text
from tests.cli_tools import ascnet, stream

HEAVY = ["torch", "torchvision", "numpy", "av", "decord", "cv2", "pytorchvideo", "safetensors", "rich"]


@pytest.mark.parametrize(
    "arguments",
    [
        *([command, "--help"] for command in ("detect", "render", "train", "ablate", "weights")),
        ["--help"],
        ["--version"],
    ],
)
def test_help_loads_neither_torch_nor_a_decoder(arguments):
    program = (
        "import json, sys\n"
        "from ascnet_cli.cli.app import main\n"
        f"sys.argv = ['ascnet', *{arguments!r}]\n"
        "try:\n    main()\n"
        "except SystemExit as stop:\n"
        "    print(json.dumps([stop.code, sorted(sys.modules)]), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    code, loaded = json.loads(done.stderr)
    assert code == 0
    assert done.stdout
    assert not set(HEAVY) & {name.partition(".")[0] for name in loaded}


def test_a_wrong_option_loads_nothing_either():
    program = (
        "import sys\n"
        "from ascnet_cli.cli.app import main\n"
        "sys.argv = ['ascnet', 'detect', 'a.mp4', '--out', 'nowhere/segments.csv']\n"
        "try:\n    main()\n"
        "except SystemExit as stop:\n    print(stop.code, 'torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "2 False"


def test_help_names_the_commands_and_the_exit_codes():
    assert {"detect", "weights"} <= set(ascnet("--help").out.split())
    detect = ascnet("detect", "--help").out
    for option in (
        "--out",
        "--model",
        "--device",
        "--labels",
        "--min-score",
        "--features-out",
        "--format",
        "--decoder",
        "--strict",
        "--json",
    ):
        assert option in detect
    for code in ("0 all done", "2 usage", "130 Ctrl-C"):
        assert code in " ".join(detect.split())


def test_the_version():
    from importlib.metadata import version

    ran = ascnet("--version")
    assert (ran.code, ran.out) == (0, f"ascnet {version('ascnet')}\n")


@pytest.mark.parametrize("arguments", [[], ["weights"]])
def test_nothing_asked_for_is_answered_with_the_help(arguments):
    ran = ascnet(*arguments)
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.startswith("Usage: ascnet")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["detekt"], "Did you mean 'detect'?"),
        (["weights", "lst"], "Did you mean 'list'?"),
        (["--verison"], "No such option: --verison"),
    ],
)
def test_a_misspelt_command_is_one_line_and_a_hint(arguments, said):
    ran = ascnet(*arguments)
    assert ran.code == 2
    error, hint = ran.err.splitlines()
    assert error.startswith("error: ")
    assert said in error
    assert hint.startswith("hint: `ascnet")


def test_a_bug_is_shown_whole_and_named_as_one(monkeypatch):
    def broken(*_arguments):
        raise RuntimeError("boom")

    monkeypatch.setattr("ascnet_cli.outputs.files.check_writable", broken)
    ran = ascnet("detect", "a.mp4", "--out", "a.csv")
    assert ran.code == 1
    lines = ran.err.splitlines()
    assert lines[0].startswith("Traceback")
    assert "RuntimeError: boom" in lines
    assert lines[-2:] == ["error: this is a bug in ascnet", "hint: please report it with the lines above"]


def test_a_folder_that_is_closed_to_who_asks_is_no_bug(monkeypatch):
    """As `Path.exists` and its like fail below a folder that may not be entered; root may enter all."""

    def closed(path, *_rest):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("ascnet_cli.outputs.files.check_writable", closed)
    ran = ascnet("detect", "a.mp4", "--out", "a.csv")
    assert ran.code == 2
    error, hint = ran.err.splitlines()
    assert error == "error: a.csv: Permission denied"
    assert hint.startswith("hint: check its permissions and those of the folders above it")


@pytest.mark.parametrize("arguments", [["--help"], ["weights", "list"]])
def test_a_reader_that_has_gone(arguments):
    """As `ascnet ARGUMENTS | head -0`, with the reader certain to have gone first."""
    program = (
        "import os, sys\n"
        "reading, writing = os.pipe()\n"
        "os.close(reading)\n"
        "os.dup2(writing, 1)\n"
        "from ascnet_cli.cli.app import main\n"
        f"sys.argv = ['ascnet', *{arguments!r}]\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_standard_streams_that_were_closed(monkeypatch):
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    text.say("nobody hears this")
    text.write_stdout("nor that")
    text.tolerate_any_character()


def test_results_come_after_what_was_already_printed(monkeypatch):
    out = stream()
    monkeypatch.setattr(sys, "stdout", out)
    out.write("before\n")
    text.write_stdout("after\n")
    assert out.buffer.getvalue() == b"before\nafter\n"


@pytest.mark.parametrize(
    ("given", "shown"),
    [("a\nb", "a\\nb"), ("\x1b[31m", "\\x1b[31m"), ("\u202egpj", "\\u202egpj"), ("größe 🎬", "größe 🎬")],
)
def test_one_line(given, shown):
    assert text.one_line(given) == shown


@pytest.mark.parametrize(("n", "said"), [(0, "0 videos"), (1, "1 video"), (2, "2 videos")])
def test_counted(n, said):
    assert text.counted(n, "video") == said


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.0, "0:00.0"), (7.34, "0:07.3"), (59.96, "1:00.0"), (3599.97, "1:00:00.0"), (3723.4, "1:02:03.4")],
)
def test_clock(seconds, shown):
    from ascnet_cli.cli.console import clock

    assert clock(seconds) == shown
