"""The command on a Ray cluster of its own, asked to stop in the middle: as on local workers."""

import os
import signal

import pytest

from extractors.store import load_features
from tests.extraction_tools import contents, ended, started, until
from tests.synthetic import make_video

pytest.importorskip("ray", reason="Ray is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

RAY = ("--engine", "ray", "--num-cpus", "1", "--num-gpus", "0")


@pytest.mark.parametrize(
    ("number", "code", "to_all"),
    [(signal.SIGTERM, 143, False), (signal.SIGINT, 130, True)],
    ids=["kill", "ctrl-c of a terminal"],
)
def test_asked_to_stop_on_ray_it_leaves_nothing_half_and_is_finished_by_the_next_run(
    tmp_path, monkeypatch, number, code, to_all
):
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    folder, out = tmp_path / "videos", tmp_path / "out"
    folder.mkdir()
    make_video(folder / "a.mp4", n_frames=20)
    for name in "bcdefg":
        make_video(folder / f"{name}.mp4", n_frames=400)
    process = started("extract", folder, "--out", out, *RAY, delay_s=1.0)
    until(lambda: (out / "a.mp4.json").exists() or process.poll() is not None, 120.0)
    (os.killpg if to_all else os.kill)(process.pid, number)
    ended_with, _, err = ended(process)
    assert ended_with == code, err
    lines = err.splitlines()
    assert any(line.startswith("stopping:") for line in lines)
    assert "of 7 videos done" in lines[-1]
    assert "not begun or not finished" in lines[-1]
    assert "Traceback" not in err
    left = contents(out)
    assert not [name for name in left if not name.endswith((".npy", ".json"))], err
    assert len(left) < 14
    for name in left:
        if name.endswith(".json"):
            load_features((out / name).with_suffix(".npy"))

    code, _, err = ended(started("extract", folder, "--out", out, *RAY))
    assert code == 0, err
    code, _, err = ended(started("extract", folder, "--out", tmp_path / "local"))
    assert code == 0, err
    assert contents(out) == contents(tmp_path / "local")
