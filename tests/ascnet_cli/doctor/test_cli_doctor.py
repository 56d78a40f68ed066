"""`ascnet doctor` as a person and a program meet it."""

import os
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from ascnet_cli.doctor import examine as examining
from ascnet_cli.doctor import places
from ascnet_cli.doctor.findings import Finding
from tests.ascnet_cli.doctor.chain import answering
from tests.cli_tools import KINETICS_WEIGHTS, ascnet
from weights import registry

CHECKS = ["libraries", "folder", "memory", "device", "codecs", "weights", "models", "data sets", "self-test"]
ROOT = Path(__file__).resolve().parents[3]
Usage = namedtuple("Usage", "total used free")


@pytest.fixture(autouse=True)
def _enough_room(monkeypatch):
    """The disk and the memory of whoever runs the tests are not the matter here."""
    monkeypatch.setattr(places.shutil, "disk_usage", lambda _path: Usage(10**12, 0, 10**11))
    monkeypatch.setattr(places, "available_memory_bytes", lambda: 8 * 10**9)


@pytest.fixture
def tested(monkeypatch):
    """A self-test that went well, without making it."""
    monkeypatch.setattr(examining, "_self_test", lambda _device: Finding("self-test", "ok", "right"))


def test_all_is_well():
    with answering():
        ran = ascnet("doctor", "--device", "cpu")
    assert (ran.code, ran.err) == (0, "")
    *lines, verdict = ran.out.splitlines()
    assert [line[9:20].strip() for line in lines] == CHECKS
    assert all(line.startswith("ok ") for line in lines)
    assert verdict == "`ascnet detect` will work here"


def test_json():
    with answering():
        ran = ascnet("doctor", "--json")
    assert (ran.code, ran.err) == (0, "")
    assert list(ran.json) == ["works", "exit_code", "checks"]
    assert (ran.json["works"], ran.json["exit_code"]) == (True, 0)
    assert [check["check"] for check in ran.json["checks"]] == CHECKS
    assert all(list(check) == ["check", "state", "text", "hint", "facts"] for check in ran.json["checks"])
    facts = {check["check"]: list(check["facts"]) for check in ran.json["checks"]}
    assert facts == {
        "libraries": ["platform", "versions", "ranges"],
        "folder": ["folder", "free_bytes", "writable"],
        "memory": ["available_bytes"],
        "device": ["asked", "took", "processor", "cuda"],
        "codecs": ["decoder", "ffmpeg", "decoders", "encoders"],
        "weights": ["folder", "weights"],
        "models": ["classes", "calibration"],
        "data sets": ["variable", "videos", "problems"],
        "self-test": [
            "seconds",
            "picture_error_levels",
            "feature_error",
            "feature_tolerance",
            "segment_error_s",
        ],
    }


def test_a_device_that_is_not_there():
    ran = ascnet("doctor", "--device", "cuda:99")
    assert ran.code == 2
    lines = ran.out.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("problem  device"))
    assert lines[at + 1].strip().startswith("fix: use ")
    assert any(line.startswith("warning  self-test  not run: see device") for line in lines)
    assert lines[-1] == "`ascnet detect` will not work here (1 problem, 1 warning)"


def test_weights_that_are_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "_PACKAGE", tmp_path)
    ran = ascnet("doctor", "--json")
    assert ran.code == 5
    checks = {check["check"]: check for check in ran.json["checks"]}
    assert checks["weights"]["state"] == "problem"
    assert checks["self-test"]["text"] == "not run: see weights"


def test_a_full_disk(tested, monkeypatch):
    monkeypatch.setattr(places.shutil, "disk_usage", lambda _path: Usage(10**12, 10**12, 0))
    ran = ascnet("doctor")
    assert ran.code == 0  # segments are shown all the same
    assert "warning  folder" in ran.out
    assert "0 MB free, which is too little for files" in ran.out


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="a folder in which nobody may write")
def test_a_folder_without_write_permission(tested, monkeypatch):
    monkeypatch.chdir("/proc/self")
    ran = ascnet("doctor")
    assert ran.code == 0
    assert "nothing can be written" in ran.out
    assert "give --out a path elsewhere" in ran.out


def test_a_folder_that_is_gone(tested, tmp_path, monkeypatch):
    """Libraries end a process in it: nothing is loaded, and JSON is JSON."""
    place = tmp_path / "gone"
    place.mkdir()
    monkeypatch.chdir(place)
    place.rmdir()
    for name in ("look_at_device", "look_at_codecs", "look_at_weights"):
        monkeypatch.setattr(examining, name, lambda *_: pytest.fail("torch would be loaded"))
    ran = ascnet("doctor", "--json")
    assert ran.code == 2
    assert [check["check"] for check in ran.json["checks"]] == ["libraries", "folder", "self-test"]
    assert ran.json["checks"][-1]["text"] == "not run: see folder"


@pytest.mark.parametrize("name", ["look_at_memory", "look_at_models", "look_at_datasets"])
def test_what_detect_does_not_ask_for_is_no_problem_when_it_breaks(tested, monkeypatch, name):
    def broken():
        raise OSError(36, "File name too long", "x")

    monkeypatch.setattr(examining, name, broken)
    ran = ascnet("doctor", "--json")
    assert (ran.code, ran.json["works"]) == (0, True)
    assert [check["state"] for check in ran.json["checks"]].count("warning") == 1


def test_a_self_test_that_fails():
    import numpy as np

    with answering(np.full((2, 1024), np.nan, np.float32)):
        ran = ascnet("doctor")
    assert ran.code == 1
    assert "problem  self-test  I3D: its features came out as NaN or infinite" in ran.out


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (ImportError("libcudart.so.13: cannot open"), 1, "ImportError: libcudart.so.13"),
        (OSError(28, "No space left on device"), 6, "the disk is full"),
        (PermissionError(13, "Permission denied", "w"), 2, "w: Permission denied"),
        (OSError(5, "Input/output error"), 1, "Input/output error"),
        (MemoryError(), 6, "the memory was not enough"),
        (ValueError("several\nlines"), 1, "ValueError: several lines"),
    ],
)
def test_a_look_that_breaks_does_not_keep_the_others_from_being_made(tested, monkeypatch, error, code, words):
    def broken():
        raise error

    monkeypatch.setattr(examining, "look_at_codecs", broken)
    ran = ascnet("doctor", "--json")
    assert ran.code == code
    checks = {check["check"]: check for check in ran.json["checks"]}
    assert words in checks["codecs"]["text"]
    assert checks["models"]["state"] == "ok"


def test_a_warning_is_no_reason_not_to_go_on(tested, monkeypatch):
    monkeypatch.setattr(
        examining, "look_at_memory", lambda: Finding("memory", "warning", "little", "close [red]programs")
    )
    ran = ascnet("doctor")
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert "warning  memory     little" in lines
    assert " " * 20 + "fix: close [red]programs" in lines
    assert lines[-1] == "`ascnet detect` will work here (1 warning)"


def test_the_help_loads_nothing_heavy():
    program = (
        "import sys\nfrom ascnet_cli.cli.app import main\nsys.argv = ['ascnet', 'doctor', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    print([name for name in ('torch', 'av', 'numpy', 'rich')"
        " if name in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stderr.strip() == "[]"
    assert "5 the model's weights are missing or damaged" in " ".join(done.stdout.split())


@pytest.mark.slow
@pytest.mark.parametrize("damaged", [False, True])
def test_in_a_process_of_its_own_with_the_real_network(tmp_path, damaged):
    """Nothing is mocked but where the weights lie: in a package whose file has one flipped bit."""
    known = registry.entry(KINETICS_WEIGHTS)
    program = "import sys\nfrom pathlib import Path\nfrom weights import registry\n"
    if damaged:
        data = bytearray(known.path.read_bytes())
        data[len(data) // 2] ^= 1
        package = tmp_path / "package"
        package.mkdir()
        for other in known.path.parent.iterdir():
            if other.is_file():
                (package / other.name).symlink_to(other)
        (package / known.file).unlink()
        (package / known.file).write_bytes(data)
        program += f"registry._PACKAGE = Path({str(package)!r})\n"
    program += "from ascnet_cli.cli.app import main\nsys.argv = ['ascnet', 'doctor']\nmain()\n"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, done.stderr) == (5 if damaged else 0, "")
    assert ("problem  weights" in done.stdout) is damaged
    assert ("ok       self-test  decoding, I3D and localization are right" in done.stdout) is not damaged
