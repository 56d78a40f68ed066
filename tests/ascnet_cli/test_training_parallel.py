"""Several processes: the losses of one, one folder, and an end for all where there is one for any."""

import dataclasses
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ascnet_cli.config_training import loss_config
from ascnet_cli.errors import DeviceError, OptionError, TrainingError
from ascnet_cli.model.checkpoint import load_checkpoint
from ascnet_cli.model.layers import Dropout
from ascnet_cli.training.checkpoint import load_state, saved_steps
from ascnet_cli.training.dropout import SharedDropout
from ascnet_cli.training.parallel import ALONE, Ranks, joined, own_device, world_size
from ascnet_cli.training.run_folder import RunFolder
from ascnet_cli.training.step import batch_of_step
from tests.ascnet_cli.parallel_tools import gone_wrong, in_processes, trained, trained_each
from tests.ascnet_cli.training_tools import toy_network, toy_schedule, toy_train, toy_videos

CPU = torch.device("cpu")


def cases():
    """Equal and unequal parts, padded batches, parameters without a gradient; dropout is on in all."""
    kept = {"short": "keep", "snippets": 25}
    return {
        "equal parts": {},
        "unequal parts": {"schedule": toy_schedule(batch_size=5)},
        "padded": {"preset": "paper", "schedule": toy_schedule("paper", batch_size=3, **kept)},
        "a video each, dropout twice": {
            "network": toy_network(embed_dropout=0.5),
            "schedule": toy_schedule(batch_size=2, learning_rate=1e-3),
        },
        "head without a gradient": {
            "network": toy_network(variant="class_agnostic", selector="none"),
            "losses": loss_config("fixed", variant="class_agnostic"),
        },
        "terms off": {"losses": dataclasses.replace(loss_config("fixed"), weight_nce=0.0, weight_ct=0.0)},
        "bfloat16": {"precision": "bfloat16"},
        "resumed": {"resume": True},
    }


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """What each case comes to in one process and in two; `resumed` is begun in one."""
    folder = tmp_path_factory.mktemp("parallel")
    begun = folder / "rank0" / "resumed"
    toy_train(begun, should_stop=lambda: RunFolder(begun).checkpoints.exists())
    assert saved_steps(begun / "checkpoints") == [1]
    shutil.copytree(begun, folder / "one" / "resumed")
    alone = trained_each(0, folder / "one", cases())
    (code, first), (other_code, other) = in_processes(2, trained_each, folder, cases())
    assert (code, other_code) == (0, 0)
    return folder, alone, first, other


@pytest.mark.slow
@pytest.mark.parametrize("case", cases())
def test_the_losses_are_those_of_one_process(both, case):
    _, alone, first, _ = both
    assert first[case]["result"] == alone[case]["result"]
    assert first[case]["maps"] == alone[case]["maps"]
    assert len(first[case]["losses"]) == (11 if case == "resumed" else 12)
    # In bfloat16 a sum that is rounded otherwise may move a number by a 256th of itself.
    tolerance = 1e-2 if case == "bfloat16" else 1e-6
    for found, wanted in zip(first[case]["losses"], alone[case]["losses"], strict=True):
        assert found == pytest.approx(wanted, rel=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in cases() if case != "bfloat16"])
def test_the_weights_and_the_random_numbers_are_those_of_one_process(both, case):
    folder = both[0]
    ends = [load_state(folder / who / case / "checkpoints", 12, CPU) for who in ("one", "rank0")]
    assert torch.equal(ends[0].random["cpu"], ends[1].random["cpu"])
    for name, tensor in ends[0].model.items():
        assert torch.allclose(tensor, ends[1].model[name], atol=1e-5), name
    begun = (
        ends[0].model["embed.weight"]
        - load_state(folder / "one" / case / "checkpoints", 10, CPU).model["embed.weight"]
    )
    assert float(begun.abs().max()) > 1e-5  # two steps make more of a difference than processes do


@pytest.mark.slow
def test_the_first_process_alone_writes_and_reports(both):
    folder, _, first, other = both
    assert sorted(path.name for path in (folder / "rank1").iterdir()) == ["answer"]
    for case in cases():
        assert other[case] == first[case] | {"losses": [], "maps": [], "notes": []}
    load_checkpoint(folder / "rank0" / "equal parts" / "best.safetensors")
    assert (folder / "rank0" / "equal parts" / "MODEL_CARD.md").exists()


@pytest.mark.slow
def test_another_number_of_processes_is_said(both):
    folder, _, first, _ = both
    (note,) = first["resumed"]["notes"]
    assert "processes is 2, and was 1" in note
    events = RunFolder(folder / "rank0" / "resumed").events()
    assert [event["text"] for event in events if event["event"] == "note"] == [note]


@pytest.fixture(scope="module")
def wrong(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wrong")
    (code, first), (other_code, other) = in_processes(2, gone_wrong, folder)
    assert code == 0
    assert (other_code, other) == (-9, None)
    return folder / "rank0", first


@pytest.mark.slow
def test_an_error_in_one_process_ends_all_with_its_message(wrong):
    folder, found = wrong
    assert found["error"] == {
        "error": "FeatureError: process 1 stopped: video07: cannot be read",
        "hint": "extract it again",
    }
    stop = RunFolder(folder / "error").events()[-1]
    assert (stop["event"], stop["step"], len(stop["videos"])) == ("stop", 0, 4)
    assert found["bug"]["error"] == "TrainingError: process 1 stopped: ZeroDivisionError: a bug"


@pytest.mark.slow
def test_numbers_that_are_not_finite_are_named_wherever_they_were_read(wrong):
    folder, found = wrong
    assert "features hold numbers that are not finite: video" in found["numbers"]["error"]
    stop = RunFolder(folder / "numbers").events()[-1]
    named = found["numbers"]["error"].rpartition(": ")[2].split(", ")
    assert named == stop["videos"][2:]
    assert len(stop["videos"]) == 4


@pytest.mark.slow
def test_numbers_that_are_not_finite_are_named_before_a_folder_is_made(wrong):
    folder, found = wrong
    told = "FeatureError: process 1 stopped: features hold numbers that are not finite: video"
    assert found["mean"]["error"].startswith(told)
    assert not (folder / "mean").exists()


@pytest.mark.slow
def test_one_process_that_is_asked_to_stop_stops_all(wrong):
    folder, found = wrong
    assert found["stop"]["result"][:2] == (6, False)
    assert saved_steps(folder / "stop" / "checkpoints")[0] == 6


@pytest.mark.slow
def test_processes_without_a_video_or_with_other_settings_are_refused(wrong):
    folder, found = wrong
    assert "a batch of 1 videos cannot be shared by 2 processes" in found["batch"]["error"]
    assert "training.seed: 0 in process 0, 1 here" in found["settings"]["error"]
    assert not (folder / "batch").exists()
    assert not (folder / "settings").exists()
    assert "process 1 is not like process 0: data.features_sha256: " in found["data"]["error"]
    assert not (folder / "data").exists()
    assert found["unread"]["error"] == "FeatureError: process 1 stopped: video07: cannot be read"
    assert not (folder / "unread").exists()


@pytest.mark.slow
def test_a_killed_process_is_noticed_and_the_run_can_be_resumed(wrong):
    folder, found = wrong
    assert "TrainingError: another process of this training ended" in found["kill"]["error"]
    state = load_state(folder / "kill" / "checkpoints", saved_steps(folder / "kill" / "checkpoints")[0], CPU)
    assert state.step >= 5
    toy_train(folder / "kill", resume=True)


@given(st.integers(1, 40), st.integers(1, 8))
def test_parts_are_a_batch(n_videos, n):
    parts = [range(n_videos)[Ranks(rank, n).part(n_videos)] for rank in range(n)]
    assert [i for part in parts for i in part] == list(range(n_videos))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert sum(Ranks(rank, n).share(n_videos) for rank in range(n)) == pytest.approx(1)
    assert [len(part) / n_videos for part in parts] == [Ranks(rank, n).share(n_videos) for rank in range(n)]


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_dropout_is_that_of_the_whole_batch(n, turned):
    whole = torch.rand(4, 6, 5).transpose(1, 2) if turned else torch.rand(4, 5, 6)
    torch.manual_seed(5)
    wanted = Dropout(0.5)(whole)
    state = torch.get_rng_state()
    for rank in range(n):
        ranks = Ranks(rank, n)
        torch.manual_seed(5)
        assert torch.equal(SharedDropout(0.5, ranks, 4)(whole[ranks.part(4)]), wanted[ranks.part(4)])
        assert torch.equal(torch.get_rng_state(), state)
    untrained = SharedDropout(0.5, ranks, 4).eval()
    assert torch.equal(untrained(whole[ranks.part(4)]), whole[ranks.part(4)])


def test_parts_of_a_batch_are_what_one_process_sees():
    schedule = toy_schedule(batch_size=5, short="keep", snippets=25)
    whole = batch_of_step(toy_videos(), schedule, 3)
    parts = [batch_of_step(toy_videos(), schedule, 3, Ranks(rank, 2)) for rank in range(2)]
    assert [len(part.names) for part in parts] == [3, 2]
    assert sum((part.names for part in parts), ()) == whole.names
    for name in ("features_BTD", "valid_BT", "actions_BA"):
        joined_parts = torch.cat([getattr(part, name) for part in parts])
        assert torch.equal(joined_parts, getattr(whole, name)), name


def test_alone_there_is_nobody_to_wait_for():
    with joined(CPU) as ranks:
        assert ranks == ALONE
    assert ALONE.first
    assert (ALONE.part(7), ALONE.share(7)) == (slice(0, 7), 1.0)
    assert ALONE.gather(b"a") == [b"a"]
    assert ALONE.any(True)
    with pytest.raises(ZeroDivisionError), ALONE.together():
        raise ZeroDivisionError


@pytest.mark.parametrize("size", ["two", "0", "-1"])
def test_an_environment_that_makes_no_sense_is_named(monkeypatch, size):
    monkeypatch.setenv("WORLD_SIZE", size)
    with pytest.raises(OptionError, match=f"WORLD_SIZE must be a number from 1, not '{size}'"):
        world_size()


def test_processes_that_were_not_started_by_torchrun_are_told_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(OptionError, match="MASTER_ADDR, MASTER_PORT is not set") as caught:
        toy_train(tmp_path / "run")
    assert "torchrun" in caught.value.hint


@pytest.mark.slow
def test_a_process_whose_others_never_come_says_so(monkeypatch):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MASTER_PORT", str(port))
    monkeypatch.setattr("ascnet_cli.training.parallel.TIMEOUT", __import__("datetime").timedelta(seconds=1))
    with pytest.raises(TrainingError, match="another process"), joined(CPU):
        pass


def test_each_process_has_the_cuda_device_of_its_local_rank(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert own_device(torch.device("cuda", 1)) == torch.device("cuda", 1)
    monkeypatch.setenv("WORLD_SIZE", "6")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert own_device(torch.device("cuda", 0)) == torch.device("cuda", 1)
    assert own_device(CPU) == CPU
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(DeviceError, match=r"process 2 .* there are 2"):
        own_device(torch.device("cuda", 0))


@pytest.mark.slow
def test_torchrun(tmp_path):
    """The launcher itself: the environment that it sets is the one that is read."""
    root = Path(__file__).resolve().parents[2]
    script = (
        "import json, sys, pathlib, os\n"
        "from tests.ascnet_cli.parallel_tools import trained\n"
        "found = trained(pathlib.Path(sys.argv[1]) / os.environ['RANK'])\n"
        "pathlib.Path(sys.argv[1], 'found' + os.environ['RANK']).write_text(json.dumps(found['losses']))\n"
    )
    (tmp_path / "script.py").write_text(script)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    subprocess.run(
        [*launcher, "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", "script.py", str(tmp_path)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
        check=True,
        timeout=300,
    )
    alone = trained(tmp_path / "alone")
    found = json.loads((tmp_path / "found0").read_text())
    for values, wanted in zip(found, alone["losses"], strict=True):
        assert values == pytest.approx(wanted, rel=1e-6)
    assert not (tmp_path / "1").exists()
