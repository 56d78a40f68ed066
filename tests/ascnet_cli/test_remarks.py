"""What is said about a run that goes on all the same: each of it once a video, and bounded."""

import json
from pathlib import Path

import pytest

from ascnet_cli import remarks
from ascnet_cli.outputs.files import write_file
from ascnet_cli.segments import VideoDetections
from ascnet_cli.targets import Source, Wanted, plan
from tests.ascnet_cli.hostile import run
from tests.cli_tools import ascnet


def write_truth(*names):
    entry = {"duration": 4.0, "subset": "test", "annotations": [{"label": "run", "segment": [0.0, 1.0]}]}
    Path("truth.json").write_text(json.dumps({"database": dict.fromkeys(names, entry)}))


def write_segments(*names, found=None):
    write_file(
        [VideoDetections(name, 2.0, tuple(found or [run(0.2, 0.6)])) for name in names], Path("s.json")
    )
    return "s.json"


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_truth_that_does_not_know_a_video():
    write_truth("mocap.mp4")
    names = ["mocap.mp4", *(f"{n}.mp4" for n in range(7))]
    made = plan(
        Wanted(report=Path("r.html"), truth=Path("truth.json")), [Source(name, None) for name in names]
    )
    first, *_, last = said = remarks.lacking_truth(made)
    assert first == "no truth for 0.mp4 in truth.json (it has mocap.mp4)"
    assert last == "the same for 2 more"
    assert len(said) == remarks.MOST_VIDEOS + 1
    write_truth("mocap.mp4", *names[1:])
    made = plan(
        Wanted(report=Path("r.html"), truth=Path("truth.json")), [Source(name, None) for name in names]
    )
    assert remarks.lacking_truth(made) == ()


def test_render_says_that_the_truth_is_not_there():
    write_truth("mocap.mp4")
    ran = ascnet("render", write_segments("other.mp4"), "--report", "r.html", "--truth", "truth.json")
    assert ran.code == 0
    assert "warning: no truth for other.mp4 in truth.json (it has mocap.mp4)" in ran.errors
    assert '"truth_sought":"truth.json"' in Path("r.html").read_text()
    ran = ascnet("render", write_segments("mocap.mp4"), "--report", "r.html", "--truth", "truth.json")
    assert "no truth" not in ran.err
    assert '"truth_sought":""' in Path("r.html").read_text()
