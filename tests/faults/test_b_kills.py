"""B01, B02, B08, B09: killed or asked to stop at the worst moment."""

import json
import os
import signal
import time

import pytest

from ascnet_cli.cli.app import Terminated
from ascnet_cli.cli.signals import stopping
from ascnet_cli.outputs.files import read_file
from extractors.batch.state import Wanted, why_make
from extractors.layouts import place_of
from extractors.store import load_features, up_to_date
from tests.ascnet_cli.folder_tools import write_folder
from tests.cli_tools import action_video, stand_in_network
from tests.cli_tools import ascnet as ascnet_here
from tests.extraction_tools import RGB, ended, extract_all, until
from tests.extraction_tools import started as started_extraction
from tests.faults.commands import ROOT, files, python, started
from tests.synthetic import make_video
from weights.atomic import sweep

# Writes a file of each kind, and is killed when the content is on its way to the disk.
WRITERS = {
    "features": """
import numpy as np
from extractors.recipe import FeatureRecipe
from extractors.snippets import SNIPPETS
from extractors.store import save_features
from extractors.video import DecodeReport
from tests.extraction_tools import PlainFeatures
RECIPE = FeatureRecipe({"rgb": "0" * 64})
def write(folder):
    report = DecodeReport("pyav", 96, 96, 0, 3.84, 3.84, False)
    made = PlainFeatures(np.ones((6, 4), np.float32), SNIPPETS, 96, 3.84, report, RECIPE)
    save_features(folder, "v.mp4", made, {"bytes": 1, "sha256": ""})
final = "v.mp4.npy"
""",
    "csv": """
from ascnet_cli.outputs.files import write_file
from ascnet_cli.segments import VideoDetections
write = lambda folder: write_file([VideoDetections("a.mp4", 1.0, ())], folder / "segments.csv")
final = "segments.csv"
""",
    "checkpoint": """
from tests.faults.fuzz.text_seeds import trained
write = lambda folder: trained(folder)
final = "model.safetensors"
""",
    "state": """
from tests.faults.fuzz.text_seeds import training_state
write = lambda folder: training_state(folder)
final = "step-00000007.safetensors"
""",
}
_LIGHT = ("features", "csv")  # the others load torch
KILLED = """
import os, signal, sys
from pathlib import Path
{writer}
from weights import atomic
folder = Path(sys.argv[1])
moment = sys.argv[2]
def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)
real = os.open
if moment == "flushed":
    atomic.os.fsync = kill
else:
    class Cut:
        def __init__(self, file): self.file = file
        def __enter__(self): self.file.__enter__(); return self
        def __exit__(self, *told): return self.file.__exit__(*told)
        def write(self, data):
            self.file.write(bytes(data)[: len(bytes(data)) // 2]); self.file.flush(); kill()
        def __getattr__(self, name): return getattr(self.file, name)
    opened = atomic.Path.open
    atomic.Path.open = lambda self, *told, **more: (
        Cut(opened(self, *told, **more)) if self.name.endswith(".tmp") else opened(self, *told, **more)
    )
write(folder)
"""


@pytest.mark.parametrize("moment", ["half", "flushed"])
@pytest.mark.parametrize(
    "kind", [kind if kind in _LIGHT else pytest.param(kind, marks=pytest.mark.slow) for kind in WRITERS]
)
def test_B01_killed_in_the_middle_of_a_file_the_old_one_stays(tmp_path, kind, moment):
    scope = {}
    exec(WRITERS[kind], scope)  # noqa: S102 - our own lines, above
    final = tmp_path / scope["final"]
    final.write_bytes(b"what was there before")
    done = python(KILLED.format(writer=WRITERS[kind]), tmp_path, moment)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert final.read_bytes() == b"what was there before"
    (left,) = (name for name in files(tmp_path) if name.endswith(".tmp"))
    foreign = tmp_path / ".ascnet-00000000-1-00000000.tmp"
    foreign.touch()  # another machine's, and new: perhaps it is being written
    assert sweep(tmp_path) == 1
    assert not (tmp_path / left).exists()
    assert foreign.exists()


@pytest.mark.slow
def test_B01_the_next_detect_sweeps_what_a_killed_one_left(tmp_path):
    action_video(tmp_path / "a.mp4")
    (tmp_path / "segments.csv").write_text("old")
    asked = ["detect", "a.mp4", "--out", "segments.csv", "--force"]
    killed = "from tests.cli_tools import *\nimport weights.atomic as atomic, signal\n" + (
        "atomic.os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"sys.argv = ['ascnet', *{asked!r}]\n"
        "with stand_in_network(): main()\n"
    )
    done = python(killed, cwd=tmp_path)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (tmp_path / "segments.csv").read_text() == "old"
    assert any(name.endswith(".tmp") for name in files(tmp_path))
    with stand_in_network():
        ran = ascnet_here(*asked)
    assert ran.code == 0, ran.err
    assert list(read_file(tmp_path / "segments.csv")) == ["a.mp4"]
    assert not [name for name in files(tmp_path) if name.endswith(".tmp")]


def test_B02_killed_between_numbers_and_sidecar_it_is_not_done(tmp_path):
    (tmp_path / "in").mkdir()
    make_video(tmp_path / "in" / "a.mp4", n_frames=48)
    program = f"""
import os, signal, sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from tests.extraction_tools import extract_all
from extractors import store
real = store.replacing
store.replacing = lambda path: os.kill(os.getpid(), signal.SIGKILL) if path.suffix == ".json" else real(path)
extract_all(Path("in"), Path("out"))
"""
    done = python(program, cwd=tmp_path)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (tmp_path / "out" / "a.mp4.npy").exists()
    assert not (tmp_path / "out" / "a.mp4.json").exists()
    place = place_of(tmp_path / "out", "a.mp4")
    assert why_make(place, tmp_path / "in" / "a.mp4", Wanted(RGB)) == "no sidecar"
    assert up_to_date(tmp_path / "out", "a.mp4", RGB.digest(), {}) is None
    outcome = extract_all(tmp_path / "in", tmp_path / "out")["a.mp4"]
    assert (outcome.state, outcome.reason) == ("done", "no sidecar")
    load_features(tmp_path / "out" / "a.mp4.npy")
    assert files(tmp_path / "out") == {"a.mp4.npy", "a.mp4.json"}


@pytest.mark.parametrize(
    ("number", "stop"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]
)
def test_B08_once_asks_and_twice_ends_at_once(capsys, number, stop):
    with stopping("stopping: after this") as asked:
        os.kill(os.getpid(), number)
        assert asked.asked()
        assert capsys.readouterr().err == "stopping: after this\n"
        with pytest.raises(stop):
            os.kill(os.getpid(), number)
    with pytest.raises(stop):
        asked.raise_if_asked()


@pytest.mark.slow
def test_B08_ctrl_c_in_a_batch_writes_nothing_partial_and_sums_up(tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    for name in ("a", "b"):
        make_video(folder / f"{name}.mp4", n_frames=64)
    process = started_extraction("extract", folder, "--out", tmp_path / "out", delay_s=0.5)
    until(lambda: (tmp_path / "out" / "a.mp4.claim").exists())
    os.killpg(process.pid, signal.SIGINT)
    code, _, err = ended(process)
    assert code == 130, err
    assert "of 2 videos done" in err
    assert "Traceback" not in err
    left = files(tmp_path / "out")
    assert not [name for name in left if name.endswith((".tmp", ".claim"))]
    assert {f"{name[:-5]}.npy" for name in left if name.endswith(".json")} == {
        name for name in left if name.endswith(".npy")
    }


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_B09_a_training_asked_to_stop_writes_a_checkpoint_and_is_resumed(tmp_path, number, code):
    data = write_folder(tmp_path / "data")
    asked = ("train", "--dataset", data, "--out", "run", "--device", "cpu", "--set", "training.updates=4000")
    process = started(*asked, "--set", "training.validate_every=2000", cwd=tmp_path)
    events = tmp_path / "run" / "events.jsonl"
    until(lambda: events.exists() and '"step", ' in events.read_text(), timeout_s=100)
    process.send_signal(number)
    asked_s = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert time.monotonic() - asked_s < 30  # ten on a machine that has nothing else to do
    assert "--resume" in err
    assert "Traceback" not in err
    states = list((tmp_path / "run" / "checkpoints").glob("step-*.pt"))
    assert len(states) == 1
    step = int(states[0].stem.removeprefix("step-"))
    assert 0 < step < 4000
    told = [json.loads(line) for line in events.read_text().splitlines()]
    assert told[-1]["event"] == "stop"
    assert told[-1]["step"] == step
    again = started("train", "--dataset", data, "--out", "run", "--device", "cpu", "--resume", cwd=tmp_path)
    until(lambda: events.read_text().count('"start"') == 2, timeout_s=100)
    assert [json.loads(line) for line in events.read_text().splitlines() if '"start"' in line][-1][
        "step"
    ] == step
    again.kill()
    again.communicate()
