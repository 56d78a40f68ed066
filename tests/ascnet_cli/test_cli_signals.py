"""Ctrl-C and SIGTERM in the middle of a batch: what is finished is written, and the exit code says why."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ascnet_cli.outputs.files import read_file
from tests.cli_tools import action_video
from tests.extractors.test_children import wait_for_end
from tests.faults.fault_tools import environment

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("number", "code", "output"),
    [
        (signal.SIGINT, 130, ["--out", "segments.csv"]),
        (signal.SIGTERM, 143, ["--out", "segments.csv", "--json"]),
    ],
    ids=["ctrl-c", "sigterm"],
)
def test_what_is_finished_is_written(tmp_path, number, code, output):
    for name in ("done.mp4", "stuck.mp4", "unseen.mp4"):
        action_video(tmp_path / name)
    arguments = ["detect", "done.mp4", "stuck.mp4", "unseen.mp4", *output]
    program = f"from tests.cli_tools import run_until_stuck; run_until_stuck({arguments!r})"
    process = subprocess.Popen(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {program}"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        said = []
        for line in process.stderr:
            said.append(line)
            if line == "stuck\n":
                break
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert said[-2].startswith("done.mp4: 1 segment in 5.0 s of video"), said
    assert process.returncode == code
    assert list(read_file(tmp_path / "segments.csv")) == ["done.mp4"]
    assert err == "1 of 3 videos done, 2 not begun or not finished: 1 segment in segments.csv\n"
    assert not list(tmp_path.glob(".ascnet-*"))
    if "--json" in output:
        summary = json.loads(out)
        assert (summary["done"], summary["failed"], summary["out"]) == (1, 0, "segments.csv")


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_ctrl_c_before_anything_is_finished(tmp_path):
    action_video(tmp_path / "stuck.mp4")
    arguments = ["detect", "stuck.mp4", "--out", "segments.csv"]
    program = f"from tests.cli_tools import run_until_stuck; run_until_stuck({arguments!r})"
    process = subprocess.Popen(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {program}"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr.readline().startswith("device: ")
        assert process.stderr.readline() == "stuck\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert err == "0 of 1 video done, 1 not begun or not finished: 0 segments\n"
    assert not (tmp_path / "segments.csv").exists()


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_ctrl_c_in_a_terminal_while_the_decoder_hangs(tmp_path):
    """The terminal sends it to every process of the command; the decoder's would wait for minutes."""
    for name in ("done.mp4", "hang.mp4", "unseen.mp4"):
        action_video(tmp_path / name)
    arguments = ["detect", "done.mp4", "hang.mp4", "unseen.mp4", "--out", "segments.csv"]
    program = f"from tests.faults.fault_tools import run_detect_hanging; run_detect_hanging({arguments!r})"
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        said = []
        for line in process.stderr:
            said.append(line)
            if line.startswith("hanging "):
                break
        decoder = int(said[-1].split()[1])
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=90)  # of 10 minutes that the decoder would be waited for
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130, err
    assert err == "1 of 3 videos done, 2 not begun or not finished: 1 segment in segments.csv\n"
    assert not [line for line in said if "Traceback" in line]
    assert list(read_file(tmp_path / "segments.csv")) == ["done.mp4"]
    assert not list(tmp_path.glob(".ascnet-*"))
    wait_for_end(decoder)
