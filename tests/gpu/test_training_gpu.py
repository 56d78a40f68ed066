"""A training on a card: the losses of the CPU, and it can be stopped and resumed there."""

import dataclasses

import pytest
import torch

from ascnet_cli.config_training import loss_config
from ascnet_cli.model.ascnet import AscNet
from ascnet_cli.training.step import batch_of_step, make_optimiser, train_step
from tests.ascnet_cli.training_tools import toy_network, toy_schedule, toy_train, toy_videos

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("preset", ["paper", "fixed"])
def test_losses(cuda_device, preset):
    found = []
    for device in (torch.device("cpu"), cuda_device):
        torch.manual_seed(0)
        network = dataclasses.replace(toy_network(preset), dropout=0.0)
        model = AscNet(network).to(device)
        optimiser = make_optimiser(model, toy_schedule(preset))
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            for step in range(3):
                batch = batch_of_step(toy_videos(), toy_schedule(preset), step)
                values = train_step(model, optimiser, batch, loss_config(preset))
        found.append(values)
    assert found[1] == pytest.approx(found[0], rel=1e-3)


def test_a_run_goes_on_where_it_was(cuda_device, tmp_path):
    calls = []
    stopped = toy_train(
        tmp_path / "run", device=cuda_device, should_stop=lambda: len(calls) == 6 or calls.append(1)
    )
    assert (stopped.step, stopped.finished) == (7, False)
    seen = []
    result = toy_train(
        tmp_path / "run", device=cuda_device, resume=True, progress=lambda done: seen.append(done.step)
    )
    assert seen == [8, 9, 10, 11, 12]
    assert result.finished


@pytest.mark.parametrize("precision", ["bfloat16", "tf32"])
def test_other_precisions_learn(cuda_device, tmp_path, precision):
    seen = []
    toy_train(
        tmp_path / "run",
        device=cuda_device,
        precision=precision,
        schedule=toy_schedule(updates=30),
        progress=lambda done: seen.append(done.losses["total"]),
    )
    assert seen[-1] < seen[0]
