"""The command in processes of its own: killed, stopped, started twice, on a full disk."""

import json
import os
import random
import signal
import time

import pytest

from extractors.store import load_features
from tests.extraction_tools import contents, ended, started, until
from tests.synthetic import make_video

NAMES = ("a", "b", "c", "d", "e", "f")


@pytest.fixture
def videos(tmp_path):
    """Makes some videos, all different, in two folders."""
    folder = tmp_path / "videos"
    (folder / "sub").mkdir(parents=True)

    def make(*names):
        for number, name in enumerate(names):
            place = folder / "sub" if number % 2 else folder
            make_video(place / f"{name}.mp4", n_frames=48 + 4 * number)
        return folder

    return make


def undisturbed(folder, tmp_path):
    code, _, err = ended(started("extract", folder, "--out", tmp_path / "undisturbed"))
    assert code == 0, err
    return contents(tmp_path / "undisturbed")


def killed_at_random(folder, out, n_kills, seed):
    """Starts the command again and again, and kills it as often as that."""
    draw = random.Random(seed)  # noqa: S311
    for _ in range(n_kills):
        process = started("extract", folder, "--out", out, delay_s=0.1)
        try:
            # Not before it has begun, or a slow machine would never see it at work.
            until(lambda process=process: out.exists() or process.poll() is not None)
            time.sleep(draw.uniform(0, 2.0))
        finally:
            process.kill()
            process.communicate()
        for sidecar in out.rglob("*.json"):
            load_features(sidecar.with_suffix(".npy"))  # what is there is whole


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("n_kills", [1, 30])
def test_killed_again_and_again_it_ends_as_if_it_had_not_been(videos, tmp_path, n_kills):
    folder = videos(*NAMES)
    (folder / "bad.mp4").write_bytes(b"text")
    code, _, err = ended(started("extract", folder, "--out", tmp_path / "undisturbed"))
    assert code == 3, err
    killed_at_random(folder, tmp_path / "out", n_kills, seed=n_kills)
    code, _, err = ended(started("extract", folder, "--out", tmp_path / "out"))
    assert code == 3, err
    assert contents(tmp_path / "out") == contents(tmp_path / "undisturbed")


@pytest.mark.slow
def test_two_together_do_each_video_once(videos, tmp_path):
    folder = videos(*NAMES)
    out = tmp_path / "out"
    both = [started("extract", folder, "--out", out, "--json", delay_s=0.3) for _ in range(2)]
    told = []
    for process in both:
        code, stdout, err = ended(process)
        assert code == 0, err
        told.append(json.loads(stdout))
    states = [{video["video"]: video["state"] for video in summary["videos"]} for summary in told]
    assert sorted(states[0]) == sorted(states[1])
    for video in states[0]:
        assert sorted(state[video] for state in states) == ["done", "up_to_date"]
    assert contents(out) == undisturbed(folder, tmp_path)


@pytest.mark.slow
def test_what_a_killed_process_had_claimed_another_takes_over(videos, tmp_path):
    folder = videos("a", "b")
    out = tmp_path / "out"
    first = started("extract", folder, "--out", out, delay_s=30.0)
    until(lambda: (out / "a.mp4.claim").exists())
    second = started("extract", folder, "--out", out, "--json")
    until(lambda: (out / "sub" / "b.mp4.json").exists())  # it did the other one and waits now
    assert not (out / "a.mp4.json").exists()
    first.kill()
    first.communicate()
    code, stdout, err = ended(second)
    assert code == 0, err
    assert json.loads(stdout)["done"] == 2
    assert contents(out) == undisturbed(folder, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("to_all", [False, True], ids=["process", "group"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_asked_to_stop_it_says_how_far_it_came_and_leaves_nothing_half(
    videos, tmp_path, number, code, to_all
):
    folder = videos("a", "b", "c")
    out = tmp_path / "out"
    process = started(
        "extract", folder / "a.mp4", folder / "sub", folder / "c.mp4", "--out", out, delay_s=0.3
    )
    until(lambda: (out / "a.mp4.json").exists())
    # A terminal and a job scheduler ask all processes at once; `kill` asks one.
    (os.killpg if to_all else os.kill)(process.pid, number)
    ended_with, _, err = ended(process)
    assert ended_with == code, err
    lines = err.splitlines()
    assert any(line.startswith("stopping:") for line in lines)
    assert "of 3 videos done" in lines[-1]
    assert "not begun or not finished" in lines[-1]
    assert "Traceback" not in err
    left = contents(out)
    assert "failures.jsonl" not in left
    assert not [name for name in left if name.endswith((".claim", ".tmp"))]
    for name in left:
        if name.endswith(".npy"):
            load_features(out / name)


@pytest.mark.slow
def test_a_disk_that_is_full_is_6_and_leaves_nothing_half(videos, tmp_path):
    folder = videos("a", "b")
    process = started("extract", folder, "--out", tmp_path / "out", file_limit=6000)
    code, _, err = ended(process)
    assert code == 6, err
    assert "MB needed" in err
    assert "0 of 2 videos done" in err
    assert contents(tmp_path / "out") == {}


@pytest.mark.parametrize("out", ["/proc/features", "file/features"])
def test_an_output_that_cannot_be_written_is_2_before_any_work(videos, tmp_path, out):
    folder = videos("a")
    (tmp_path / "file").touch()
    code, _, err = ended(started("extract", folder, "--out", out, cwd=tmp_path))
    assert code == 2, err
    assert "Traceback" not in err
    assert "videos to do" not in err
