"""B10 to B12: a reader that goes, an odd environment, a clock that jumps."""

import ast
import itertools
import json
import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from ascnet_cli.outputs.files import read_file
from extractors.batch.claims import Claims
from tests.ascnet_cli.folder_tools import write_folder
from tests.cli_tools import action_video, stand_in_network
from tests.cli_tools import ascnet as ascnet_here
from tests.extraction_tools import extract_all
from tests.faults.commands import ROOT, ascnet, command, environment, said_well, shell
from tests.faults.fault_tools import DETECT, EXTRACT, command_of
from tests.synthetic import make_video

NAMES = ("Übung.mp4", "跳.mp4", "🙂 b.mp4")


@pytest.fixture
def judged(tmp_path):
    """Annotations and predictions with names beyond ASCII; the command that judges them."""
    entries = {
        name: {
            "subset": "test",
            "duration": 100.0,
            "annotations": [{"label": f"Größe {number % 40}", "segment": [0.0, 10.0]}],
        }
        for number, name in enumerate([*NAMES, *(f"{n}.mp4" for n in range(300))])
    }
    entries[NAMES[0]]["annotations"] *= 2
    (tmp_path / "truth.json").write_text(
        json.dumps({"database": entries}, ensure_ascii=False), encoding="utf-8"
    )
    rows = [f"{name},Größe {number},0,10,0.9" for number, name in enumerate(NAMES)]
    (tmp_path / "found.csv").write_text(
        "\n".join(["video,label,start_s,end_s,score", *rows]) + "\n", encoding="utf-8"
    )
    return ("evaluate", "found.csv", "--dataset", "truth.json", "--per-class")


@pytest.mark.parametrize("json_output", [False, True])
def test_B10_a_reader_that_leaves_is_no_error(tmp_path, judged, json_output):
    asked = command(*judged, *(["--json"] if json_output else []))
    done = shell(['"$@" | head -c 1', *asked], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout) == 1
    assert "Traceback" not in done.stderr
    assert "Broken" not in done.stderr
    assert "Exception" not in done.stderr


@pytest.mark.parametrize(
    "arguments", [("weights", "list"), ("weights", "list", "--json"), ("datasets", "list"), ("--help",)]
)
def test_B10_nobody_reads_at_all(tmp_path, arguments):
    reads, writes = os.pipe()
    os.close(reads)
    try:
        done = subprocess.run(
            command(*arguments),
            stdout=writes,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
            check=False,
        )
    finally:
        os.close(writes)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is full")
@pytest.mark.slow
@pytest.mark.parametrize("program", [DETECT, EXTRACT])
def test_B03_a_log_on_a_full_disk_stops_no_work(tmp_path, program):
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        action_video(tmp_path / "in" / f"{name}.mp4")
    what = ("detect", "in", "--out", "a.csv") if program == DETECT else ("extract", "in", "--out", "out")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command_of(program, what), stderr=full, cwd=tmp_path, env=environment(), check=False
        )
    assert done.returncode == 0
    if program == DETECT:
        assert list(read_file(tmp_path / "a.csv")) == ["a.mp4", "b.mp4"]
    else:
        assert {"a.mp4.json", "b.mp4.json"} < {path.name for path in (tmp_path / "out").iterdir()}


BARE = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "LANG": "C", "LC_ALL": "C", "OMP_NUM_THREADS": "1"}
WORLDS = {
    "no home": {},
    "no utf-8 mode": {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "dumb terminal": {"TERM": "dumb", "COLUMNS": "1"},
    "a home that is not there": {"HOME": "/nowhere/at/all", "XDG_CACHE_HOME": "/nowhere"},
    "utf-16 console": {"PYTHONIOENCODING": "latin-1"},
}


@pytest.mark.parametrize(
    "world",
    ["no home", *(pytest.param(world, marks=pytest.mark.slow) for world in WORLDS if world != "no home")],
)
def test_B11_it_works_wherever_it_is_started(tmp_path, judged, world):
    env = {**BARE, **WORLDS[world]}
    done = ascnet(*judged, "--json", cwd=tmp_path, env=env)
    said_well(done, 0)
    assert json.loads(done.stdout)["per_class"]["Größe 1"][0] > 0
    table = ascnet(*judged, cwd=tmp_path, env=env)
    said_well(table, 0)
    assert "UnicodeEncodeError" not in table.stderr
    checked = ascnet("datasets", "check", "truth.json", cwd=tmp_path, env=env)
    said_well(checked, 5)  # there are no features
    assert "duplicate: 1 instances that are there twice, left out (Übung.mp4 Größe 0 0-10)" in checked.stdout


@pytest.mark.slow
def test_B11_files_are_utf_8_without_a_home_or_a_locale(tmp_path):
    data = write_folder(tmp_path / "Daten ä")
    done = ascnet(
        "train", "--dataset", data, "--out", "Lauf ö", "--device", "cpu",
        "--set", "training.updates=4", "--set", "training.validate_every=2",
        cwd=tmp_path, env={**BARE, **WORLDS["no utf-8 mode"]},
    )  # fmt: skip
    said_well(done, 0)
    for path in (tmp_path / "Lauf ö").rglob("*"):
        if path.suffix in (".toml", ".json", ".jsonl", ".md"):
            path.read_text(encoding="utf-8")
    assert read_file(tmp_path / "Lauf ö" / "predictions.json")


# Wall clocks stand in records for people, and nowhere else.
_WALL_CLOCKS = {
    "time": {"time", "time_ns", "ctime", "asctime", "localtime", "gmtime", "strftime", "clock_gettime"},
    "datetime": {"now", "utcnow", "today"},
}
_FOR_PEOPLE = {"ascnet_cli/training/run_folder.py"}  # when an event happened


def wall_clocks(source: str) -> list[str]:
    """Where a module reads the wall clock, whatever it calls it."""
    tree = ast.parse(source)
    modules, found = set(), []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.asname or alias.name for alias in node.names if alias.name in _WALL_CLOCKS}
        elif isinstance(node, ast.ImportFrom) and node.module == "datetime":
            modules |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            found += [alias.name for alias in node.names if alias.name in {*_WALL_CLOCKS["time"], "*"}]
    every = set.union(*_WALL_CLOCKS.values())
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in every:
            whose = ast.unparse(node.value).split(".")[0]
            found += [ast.unparse(node)] if whose in modules else []
    return found


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.time()",
        "import time as t\nt.time_ns()",
        "from time import time\ntime()",
        "from time import time as now",
        "from time import *",
        "import time\nclock = time.time",
        "import datetime\ndatetime.datetime.now()",
        "from datetime import datetime as d, UTC\nd.now(UTC)",
        "from datetime import date\ndate.today()",
    ],
)
def test_B12_a_wall_clock_is_found_by_any_name(source):
    assert wall_clocks(source)
    assert not wall_clocks("import time\nfrom time import monotonic\ntime.monotonic()\nlayout.time")


def test_B12_no_decision_is_made_by_the_wall_clock():
    found = {
        path.relative_to(ROOT).as_posix()
        for package in ("ascnet_cli", "extractors", "weights")
        for path in (ROOT / package).rglob("*.py")
        if wall_clocks(path.read_text(encoding="utf-8"))
    }
    assert found <= _FOR_PEOPLE


def test_B12_rates_stay_positive_when_the_clock_is_set_back(tmp_path, monkeypatch):
    action_video(tmp_path / "a.mp4")
    ticks = itertools.count(2_000_000_000, -3600)
    monkeypatch.setattr(time, "time", lambda: float(next(ticks)))
    monkeypatch.setattr(time, "time_ns", lambda: next(ticks) * 10**9)
    with stand_in_network():
        ran = ascnet_here("detect", "a.mp4", "--json")
    assert ran.code == 0, ran.err
    (video,) = ran.json["videos"]
    assert video["seconds"] >= 0
    (rate,) = re.findall(r"s of video \(([-\d.]+) s, ([-\d.]+)x", ran.err)
    assert all(float(number) >= 0 for number in rate)


def test_B12_the_clock_of_a_batch_is_monotonic(tmp_path, monkeypatch):
    """Of what is done and of what fails, and of how long another process's claim is waited for."""
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        make_video(tmp_path / "in" / f"{name}.mp4", n_frames=20)
    (tmp_path / "in" / "bad.mp4").write_bytes(b"no video")
    (tmp_path / "out").mkdir()
    held = tmp_path / "out" / "b.mp4.claim"
    held.write_text('{"host": "elsewhere", "pid": 1, "start": "1", "beat": "000000000001"}')
    ticks = itertools.count(2_000_000_000, -3600)
    monkeypatch.setattr(time, "time", lambda: float(next(ticks)))
    monkeypatch.setattr(time, "time_ns", lambda: next(ticks) * 10**9)
    outcomes = extract_all(tmp_path / "in", tmp_path / "out", claims=Claims(takeover_s=1.0))
    assert {name: one.state for name, one in outcomes.items()} == {
        "a.mp4": "done",
        "b.mp4": "done",  # taken over after a second, though the wall clock never came to it
        "bad.mp4": "failed",
    }
    assert all(0 <= one.seconds < 60 for one in outcomes.values())
