"""D01 to D06 and D12: devices, memory, processes, threads, numbers that are none."""

import json
import os
import signal

import numpy as np
import pytest
import torch

from ascnet_cli.model.checkpoint import load_checkpoint
from extractors.batch.deaths import death
from extractors.batch.machine import default_workers, threads_each
from extractors.batch.source import ExtractorSpec, Seat
from extractors.batch.worker import failure_of
from extractors.device_clips import BatchClips
from extractors.errors import DeviceError
from extractors.recipe import FeatureRecipe
from tests.ascnet_cli.folder_tools import WIDTH, write_features, write_folder
from tests.cli_tools import action_video, stand_in_network
from tests.cli_tools import ascnet as ascnet_here
from tests.extraction_tools import contents, ended, started
from tests.faults.commands import ROOT, ascnet, files, python, said_well
from tests.synthetic import make_video

QUICK = ("--device", "cpu", "--set", "training.updates=12", "--set", "training.validate_every=4")
without_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")


# D01


@without_cuda
@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:7"])
@pytest.mark.parametrize("command", ["detect", "extract", "train"])
def test_D01_a_device_that_is_not_there_is_2_and_says_how_to_use_the_processor(tmp_path, command, device):
    data = write_folder(tmp_path / "data", n_train=4, n_test=0)
    action_video(tmp_path / "v.mp4")
    arguments = {
        "detect": ("detect", "v.mp4"),
        "extract": ("extract", "v.mp4", "--out", "features"),
        "train": ("train", "--dataset", data, "--out", "run"),
    }[command]
    ran = ascnet_here(*arguments, "--device", device)
    assert ran.code == 2, ran.err
    assert device.partition(":")[0] in ran.err
    assert "cpu" in ran.err
    assert not (tmp_path / "run" / "best.safetensors").exists()
    assert not list(tmp_path.glob("features/*.npy"))


@without_cuda
def test_D01_auto_takes_the_processor_and_says_so(tmp_path):
    action_video(tmp_path / "v.mp4")
    with stand_in_network():
        ran = ascnet_here("detect", "v.mp4", "--device", "auto")
    assert ran.code == 0
    assert ran.err.splitlines()[0] == "device: cpu"


@pytest.mark.slow
@without_cuda
def test_D01_met_on_the_command_line(tmp_path):
    data = write_folder(tmp_path / "data", n_train=4, n_test=0)
    done = ascnet("train", "--dataset", data, "--out", "run", "--device", "cuda", cwd=tmp_path)
    said_well(done, 2, "cpu")


# D02


class Card:
    """A graphics card on which so many clips fit."""

    dim, device, dtype = 16, torch.device("cpu"), torch.float32

    def __init__(self, room):
        self.room, self.tried = room, []

    def pixels(self, rgb):
        return rgb.to(torch.float32).permute(3, 0, 1, 2)

    def snippets(self, clips):
        self.tried.append(len(clips))
        if len(clips) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return clips[:, 0, :, 0, 0], torch.zeros(len(clips), 4)

    def stream(self):
        raise NotImplementedError


def rows_of(card, batch, n_clips=12):
    said = []
    runner = BatchClips(card, batch=batch, say=said.append)
    rows = [runner.submit(np.full((16, 2, 2, 3), number, np.uint8)) for number in range(n_clips)]
    runner.flush()
    return rows, runner, said


def test_D02_a_batch_that_does_not_fit_is_halved_remembered_and_told():
    card = Card(room=1)
    rows, runner, said = rows_of(card, batch=8)
    assert [int(row.result()[0]) for row in rows] == list(range(12))
    assert runner.batch == 1
    assert card.tried[:4] == [8, 4, 2, 1]
    assert set(card.tried[4:]) == {1}  # remembered for the run
    assert len(said) == 3


def test_D02_where_not_one_fits_the_error_names_the_size_tried():
    rows, _, _ = rows_of(Card(room=0), batch=8, n_clips=3)
    for row in rows:
        with pytest.raises(DeviceError, match="batch of 1"):
            row.result()


def test_D02_elsewhere_too_little_memory_is_6_and_no_bug():
    error = torch.OutOfMemoryError("CUDA out of memory")
    assert failure_of(error).exit_code == 6
    assert "device's memory" in failure_of(error).message
    assert not failure_of(error).ends_worker
    here = failure_of(RuntimeError("DefaultCPUAllocator: can't allocate memory"))
    assert (here.exit_code, here.message) == (6, "the memory was not enough for this video")


@pytest.mark.gpu
def test_D02_on_a_card_with_too_little_room(cuda_device):
    from extractors.backbones import make_backbone
    from weights.store import load

    backbone = make_backbone("i3d", "rgb", dict(load("i3d-rgb-kinetics400").tensors), device=cuda_device)
    total = torch.cuda.get_device_properties(cuda_device).total_memory
    torch.cuda.set_per_process_memory_fraction(1.5e9 / total)
    said = []
    try:
        runner = BatchClips(backbone, batch=64, say=said.append)
        rows = [runner.submit(np.zeros((16, 224, 224, 3), np.uint8)) for _ in range(64)]
        runner.flush()
        assert all(np.isfinite(row.result()).all() for row in rows)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert said
    assert runner.batch < 64


# D03 and D04


def extracted(tmp_path, *names, workers=2):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in names:
        make_video(folder / f"{name}.mp4", n_frames=48)
    code, out, err = ended(
        started("extract", folder, "--out", tmp_path / "out", "--workers", str(workers), "--json")
    )
    failures = tmp_path / "out" / "failures.jsonl"
    records = [json.loads(line) for line in failures.read_text().splitlines()] if failures.exists() else []
    states = {video["video"]: video["state"] for video in json.loads(out)["videos"]} if out else {}
    return code, states, {record["video"]: record for record in records}, err


def test_D03_a_worker_that_is_killed_fails_its_video_alone_after_a_second_try(tmp_path):
    code, states, records, err = extracted(tmp_path, "good", "greedy", "once")
    assert code == 3, err
    assert states == {"good.mp4": "done", "greedy.mp4": "failed", "once.mp4": "done"}
    record = records["greedy.mp4"]
    assert "killed (signal 9)" in record["message"]
    assert "--workers" in record["hint"]
    assert record["error_class"] == "WorkerKilled"
    assert (tmp_path / "in" / "once.mp4.tried").exists()


def test_D03_the_system_itself_takes_a_worker():
    """As the out-of-memory killer does: from outside, in the middle."""
    failure, for_memory = death(-signal.SIGKILL)
    assert for_memory
    assert failure.exit_code == 6
    assert not death(-signal.SIGSEGV)[1]


def test_D04_a_card_after_an_error_gets_a_new_process_and_one_video_fails(tmp_path):
    code, states, records, err = extracted(tmp_path, "a", "poison", "z", workers=1)
    assert code == 3, err
    assert states == {"a.mp4": "done", "poison.mp4": "failed", "z.mp4": "done"}
    assert "device-side assert" in records["poison.mp4"]["message"]


def test_D04_errors_of_a_card_are_told_from_others():
    assert failure_of(RuntimeError("CUDA error: device-side assert triggered")).ends_worker
    assert failure_of(RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED")).ends_worker
    assert not failure_of(RuntimeError("shape '[2]' is invalid")).ends_worker


@pytest.mark.gpu
def test_D04_a_real_assert_of_a_card_poisons_its_process_alone(cuda_device):
    program = """
import torch
from extractors.batch.worker import failure_of
try:
    torch.zeros(3, device="cuda")[torch.tensor([7], device="cuda")].cpu()
except RuntimeError as error:
    print(failure_of(error).ends_worker)
"""
    done = python(program)
    assert done.stdout == "True\n", done.stderr
    assert torch.ones(1, device=cuda_device).item() == 1


# D05


def test_D05_features_that_are_no_numbers_stop_a_training_before_it_begins(tmp_path):
    data = write_folder(tmp_path / "data", n_train=6, n_test=1)
    values = np.load(data / "features" / "v03.mp4.npy")
    values[7, 2] = np.nan
    write_features(data / "features", "v03.mp4", values)
    ran = ascnet_here("train", "--dataset", data, "--out", "run", *QUICK)
    assert ran.code == 5
    assert "v03.mp4" in ran.err
    assert "not finite" in ran.err
    assert values.shape[1] == WIDTH


def test_D05_a_loss_that_is_no_number_keeps_the_last_good_network_and_names_the_batch(tmp_path):
    data = write_folder(tmp_path / "data", n_train=6, n_test=1)
    ran = ascnet_here(
        "train", "--dataset", data, "--out", "run", *QUICK, "--set", "training.learning_rate=1e30"
    )
    assert ran.code == 4, ran.err
    assert "Traceback" not in ran.err
    events = [json.loads(line) for line in (tmp_path / "run" / "events.jsonl").read_text().splitlines()]
    assert events[-1]["event"] == "stop"
    assert set(events[-1]["videos"]) <= {f"v{n:02d}.mp4" for n in range(6)}
    assert events[-1]["videos"]
    kept = sorted((tmp_path / "run" / "checkpoints").glob("*.safetensors"))
    assert kept
    state = load_checkpoint(kept[-1]).model.state_dict()
    assert all(tensor.isfinite().all() for tensor in state.values())


def test_D05_features_that_are_no_numbers_fail_their_video_alone(tmp_path):
    """The network of one video gives NaN; the next video is as it would have been."""
    from unittest import mock

    from tests.cli_tools import StandIn

    action_video(tmp_path / "bad.mp4", length_s=3.0)
    action_video(tmp_path / "good.mp4")
    real, calls = StandIn.push, []

    def sometimes(self, x_CTHW, *, last):
        calls.append(1)
        rows = real(self, x_CTHW, last=last)
        return rows * np.nan if len(calls) == 1 else rows

    with stand_in_network(), mock.patch.object(StandIn, "push", sometimes):
        ran = ascnet_here("detect", "bad.mp4", "good.mp4", "--features-out", "kept", "--json")
    assert ran.code == 3, ran.err
    states = {video["video"]: (video["state"], video["error"]) for video in ran.json["videos"]}
    assert states["good.mp4"] == ("done", None)
    assert "NaN" in states["bad.mp4"][1]
    assert files(tmp_path / "kept") == {"good.mp4.npy", "good.mp4.json"}


# D06


@pytest.mark.slow
def test_D06_workers_change_no_byte(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(5):
        make_video(folder / f"{number}.mp4", n_frames=40 + 9 * number)
    found = []
    for n_workers in (1, 3):
        out = tmp_path / f"out{n_workers}"
        code, _, err = ended(started("extract", folder, "--out", out, "--workers", str(n_workers)))
        assert code == 0, err
        found.append(contents(out))
    assert found[0] == found[1]


def test_D06_batches_change_nothing_and_threads_nothing_either():
    from extractors.i3d import I3D
    from tests.faults.fuzz.text_seeds import tiny_i3d

    with tiny_i3d():
        torch.manual_seed(3)
        network = I3D("rgb").eval()
        clips = torch.rand(2, 3, 16, 32, 32)
        before = torch.get_num_threads()
        try:
            with torch.inference_mode():
                alone = torch.cat([network(clip[None])[0] for clip in clips])
                together = network(clips)[0]
                torch.set_num_threads(2)
                threaded = torch.cat([network(clip[None])[0] for clip in clips])
        finally:
            torch.set_num_threads(before)
    assert torch.equal(alone, threaded)
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)


# D12


@pytest.mark.parametrize("n_workers", [1, 2, 3, 7, 64])
def test_D12_workers_together_never_use_more_threads_than_there_are_cores(n_workers):
    n_cores = len(os.sched_getaffinity(0))
    assert threads_each(n_workers) >= 1
    assert threads_each(n_workers) * min(n_workers, n_cores) <= n_cores
    assert default_workers("cpu") <= n_cores


def test_D12_a_worker_computes_with_its_own_threads_alone(monkeypatch):
    import cv2

    told = []
    monkeypatch.setattr(torch, "set_num_threads", lambda n: told.append(("torch", n)))
    monkeypatch.setattr(cv2, "setNumThreads", lambda n: told.append(("cv2", n)))
    spec = ExtractorSpec(FeatureRecipe({"rgb": "0" * 64}), {"rgb": "no such weights"}, None, "", "cpu")
    with pytest.raises(Exception, match="no such weights"):
        spec.build(Seat(0, 3))
    assert told == [("torch", 3), ("cv2", 3)]


def test_D12_it_is_written_down():
    text = " ".join((ROOT / "README.md").read_text().split())
    assert "Features do not depend on which videos are extracted together, on the number of workers" in text
    assert "with three threads a worker or more" in text
