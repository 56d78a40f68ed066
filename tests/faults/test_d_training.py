"""D07 to D11: several processes, resuming, seeds, precision."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch

from ascnet_cli.model.checkpoint import load_checkpoint
from ascnet_cli.training.precision import float32_products, supported
from extractors.device import exact_arithmetic
from tests.ascnet_cli.folder_tools import RECIPE, write_features, write_folder
from tests.ascnet_cli.parallel_tools import gone_wrong, in_processes, trained, trained_each
from tests.ascnet_cli.training_tools import toy_schedule
from tests.cli_tools import action_video, stand_in_network
from tests.cli_tools import ascnet as ascnet_here
from tests.extraction_tools import contents, until
from tests.faults.commands import ascnet, environment, started

QUICK = ("--device", "cpu", "--set", "training.updates=12", "--set", "training.validate_every=4")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("sports"), n_train=8, n_test=2)


def same_run(one, other):
    """Hold that two runs came to the same, to the bit; dates and cards are for people."""
    for name in ("best.safetensors", "predictions.json"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    ends = [
        {k: v for k, v in contents(run / "checkpoints").items() if k.endswith(".safetensors")}
        for run in (one, other)
    ]
    assert ends[0] == ends[1]


# D07


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_D07_two_processes_have_the_losses_of_one_and_end_together(tmp_path):
    cases = {"even": {}, "uneven": {"schedule": toy_schedule(batch_size=5)}}
    both = in_processes(2, trained_each, tmp_path, cases)
    assert [code for code, _ in both] == [0, 0]
    first, second = (answer for _, answer in both)
    for name, settings in cases.items():
        alone = trained(tmp_path / "alone" / name, **settings)
        assert len(first[name]["losses"]) == len(alone["losses"]) == 12
        for ours, wanted in zip(first[name]["losses"], alone["losses"], strict=True):
            assert ours == pytest.approx(wanted, rel=1e-6, abs=0)
        # Gathered without duplicates: a validation of all held-out videos, once.
        assert first[name]["maps"] == pytest.approx(alone["maps"], abs=1e-6)
        assert second[name]["losses"] == []  # one process speaks


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_D07_a_process_that_dies_or_has_other_data_ends_all_with_a_reason(tmp_path):
    (first, said), (second, _) = in_processes(2, gone_wrong, tmp_path)
    assert second == -signal.SIGKILL
    assert first == 0  # it ended, and did not wait for ever
    errors = {name: one.get("error", "none") for name, one in said.items()}
    assert errors["kill"].startswith("TrainingError")
    assert said["kill"]["hint"]
    assert "process 1 is not like process 0: training.seed: 0 in process 0, 1 here" in errors["settings"]
    assert "process 1 is not like process 0: data.features_sha256" in errors["data"]
    assert "video07" in errors["error"]


LAUNCHED = """
import os, sys
from ascnet_cli.cli.app import main
sys.argv = ["ascnet", *(a.replace("@", os.environ["RANK"]) for a in sys.argv[1:])]
main()
"""


def launched(tmp_path, *arguments):
    """`ascnet ARGUMENTS` as torchrun starts two of it; @ is a process's number."""
    (tmp_path / "launched.py").write_text(LAUNCHED)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.Popen(
        [*launcher, "launched.py", *map(str, arguments)],
        cwd=tmp_path,
        env=environment(GLOO_SOCKET_IFNAME="lo"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_D07_torchrun_with_other_data_in_one_process_is_refused(tmp_path):
    for rank in (0, 1):
        write_folder(tmp_path / f"data{rank}", n_train=8, n_test=2)
    features = tmp_path / "data1" / "features"
    write_features(features, "v02.mp4", np.load(features / "v02.mp4.npy") + np.float32(1e-3))
    process = launched(tmp_path, "train", "--dataset", "data@", "--out", "run", *QUICK)
    _, said = process.communicate(timeout=200)
    assert process.returncode != 0
    assert "process 1 is not like process 0: " in said
    assert "features_sha256" in said
    assert not list(tmp_path.glob("run/**/*.safetensors"))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_D07_torchrun_ends_when_a_process_dies_and_the_run_can_be_resumed(tmp_path):
    data = write_folder(tmp_path / "data", n_train=8, n_test=2)
    long = ("--set", "training.updates=5000", "--set", "training.validate_every=4")
    process = launched(tmp_path, "train", "--dataset", data, "--out", "run", "--device", "cpu", *long)
    until(
        lambda: bool(list(tmp_path.glob("run/checkpoints/*.pt"))) or process.poll() is not None, timeout_s=100
    )
    assert process.poll() is None
    workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(workers[-1]), signal.SIGKILL)
    process.communicate(timeout=120)  # it ends, and does not wait for ever
    assert process.returncode != 0
    ran = ascnet_here("train", "--dataset", data, "--out", "run", "--resume", "--device", "cpu", *QUICK)
    assert ran.code == 2  # with other settings, no
    assert "training.updates: 5000 then, 12 now" in ran.err
    kept = sorted(tmp_path.glob("run/checkpoints/*.safetensors"))
    assert kept
    assert all(value.isfinite().all() for value in load_checkpoint(kept[-1]).model.state_dict().values())


# D08


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_D08_killed_and_resumed_it_ends_with_the_same_weights(tmp_path, data):
    asked = ("train", "--dataset", data, "--device", "cpu", "--out")
    # Long between validations, so that the kill falls between two checkpoints.
    settings = ("--set", "training.updates=120", "--set", "training.validate_every=20")
    done = ascnet(*asked, "whole", *settings, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for steps in (20, 60):
        process = started(*asked, "killed", *settings, "--resume" if steps > 20 else "--seed", *(
            () if steps > 20 else ("0",)
        ), cwd=tmp_path)  # fmt: skip
        state = tmp_path / "killed" / "checkpoints" / f"step-{steps:08d}.pt"
        until(
            lambda state=state, process=process: state.exists() or process.poll() is not None, timeout_s=100
        )
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL  # it had not ended by itself
        assert not (tmp_path / "killed" / "test.json").exists()
    done = ascnet(*asked, "killed", "--resume", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    same_run(tmp_path / "killed", tmp_path / "whole")


# D09


@pytest.fixture(scope="module")
def begun(tmp_path_factory, data):
    run = tmp_path_factory.mktemp("runs") / "run"
    ran = ascnet_here("train", "--dataset", data, "--out", run, *QUICK)
    assert ran.code == 0, ran.err
    return run


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (("--seed", "9"), ["training.seed: 0 then, 9 now"]),
        (
            ("--set", "model.dropout=0.1", "--set", "loss.weight_nce=0.9"),
            ["model.dropout: 0.5 then, 0.1 now", "loss.weight_nce: 0.1 then, 0.9 now"],
        ),
        (("--precision", "bfloat16"), ["training.precision: float32 then, bfloat16 now"]),
    ],
)
def test_D09_other_settings_are_refused_one_by_one(data, begun, changes, said):
    before = contents(begun)
    ran = ascnet_here("train", "--dataset", data, "--out", begun, "--resume", *QUICK, *changes)
    assert ran.code == 2, ran.err
    for words in said:
        assert words in ran.err
    assert contents(begun) == before


@pytest.mark.parametrize("change", ["numbers", "recipe", "videos"])
def test_D09_other_data_are_refused_by_name(tmp_path, begun, change):
    other = write_folder(tmp_path / "data", n_train=8, n_test=2)
    if change == "numbers":
        path = other / "features" / "v02.mp4.npy"
        write_features(other / "features", "v02.mp4", np.load(path) + np.float32(1e-3))
    elif change == "recipe":
        for path in (other / "features").glob("*.npy"):
            write_features(other / "features", path.stem, np.load(path), {**RECIPE, "context": "dense"})
    else:
        (other / "features" / "v02.mp4.npy").unlink()
        (other / "features" / "v02.mp4.json").unlink()
    ran = ascnet_here("train", "--dataset", other, "--out", begun, "--resume")
    assert ran.code == 2, ran.err
    wanted = {"numbers": "data.features_sha256", "recipe": "data.recipe", "videos": "data.sha256"}[change]
    assert wanted in ran.err
    assert "then" in ran.err
    assert "now" in ran.err


@pytest.mark.parametrize(("name", "then"), [("torch", "2.0.0"), ("processes", 4)])
def test_D09_another_torch_or_machine_is_said(data, begun, name, then):
    record = begun / "environment.json"
    whole = record.read_text()
    told = json.loads(whole)
    now, told[name] = told[name], then
    record.write_text(json.dumps(told))
    try:
        ran = ascnet_here("train", "--dataset", data, "--out", begun, "--resume", "--device", "cpu")
    finally:
        record.write_text(whole)
    assert ran.code == 0, ran.err
    assert f"{name} is {now}, and was {then}" in ran.err


# D10


def test_D10_one_seed_one_result_to_the_bit(tmp_path, data):
    for name in ("one", "two"):
        ran = ascnet_here("train", "--dataset", data, "--out", name, "--seed", "3", *QUICK)
        assert ran.code == 0, ran.err
        torch.randn(7)  # whoever calls has other random numbers
    same_run(tmp_path / "one", tmp_path / "two")
    ran = ascnet_here("train", "--dataset", data, "--out", "other", "--seed", "4", *QUICK)
    assert Path("other/best.safetensors").read_bytes() != Path("one/best.safetensors").read_bytes()


def test_D10_detect_writes_the_same_bytes_twice(tmp_path):
    action_video(tmp_path / "a.mp4")
    action_video(tmp_path / "b.mp4", (0.5, 2.0))
    with stand_in_network():
        for name in ("one.csv", "two.csv"):
            assert ascnet_here("detect", "a.mp4", "b.mp4", "--out", name).code == 0
    assert Path("one.csv").read_bytes() == Path("two.csv").read_bytes()
    assert Path("one.csv").read_text().count("\n") > 1


# D11


def test_D11_a_precision_that_is_not_there_falls_back_and_says_so(tmp_path, data):
    ran = ascnet_here("train", "--dataset", data, "--out", "run", "--precision", "tf32", *QUICK)
    assert ran.code == 0, ran.err
    assert "note: tf32 is of CUDA devices alone: cpu trains in float32" in ran.err
    events = (tmp_path / "run" / "events.jsonl").read_text()
    assert "trains in float32" in events
    with mock.patch("torch.cuda.is_bf16_supported", return_value=False):
        assert supported("bfloat16", torch.device("cuda"))[0] == "float32"


def test_D11_tf32_is_off_for_features_and_wherever_it_was_not_asked_for():
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    try:
        matmul.allow_tf32 = cudnn.allow_tf32 = True
        with float32_products("float32"):
            assert not matmul.allow_tf32
            assert not cudnn.allow_tf32
        exact_arithmetic()
        assert not matmul.allow_tf32
        assert not cudnn.allow_tf32
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before
