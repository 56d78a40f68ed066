"""Precisions: what is computed in them, what stays float32, and that runs in them can be taken up again."""

import dataclasses

import pytest
import torch
from torch.nn import functional

from ascnet_cli.config_training import loss_config
from ascnet_cli.errors import OptionError
from ascnet_cli.model.ascnet import AscNet
from ascnet_cli.model.checkpoint import load_checkpoint
from ascnet_cli.training.checkpoint import load_state
from ascnet_cli.training.precision import float32_products, layers_in, parse_precision, supported
from ascnet_cli.training.run_folder import RunFolder
from ascnet_cli.training.step import batch_of_step, gradients
from tests.ascnet_cli.training_tools import toy_network, toy_schedule, toy_train, toy_videos

CPU = torch.device("cpu")


@pytest.mark.slow
def test_bfloat16_learns(tmp_path):
    found = []
    schedule = toy_schedule(updates=120, validate_every=60, learning_rate=3e-3)
    toy_train(tmp_path / "run", schedule=schedule, precision="bfloat16", progress=found.append)
    assert found[-1].losses["total"] < found[0].losses["total"] / 2
    state = load_state(tmp_path / "run" / "checkpoints", 120, CPU)
    assert {tensor.dtype for tensor in state.model.values()} == {torch.float32}
    moments = {name: value for values in state.optimiser["state"].values() for name, value in values.items()}
    assert {tensor.dtype for tensor in moments.values()} == {torch.float32}
    # It was computed in another precision, and not only called so.
    plain = []
    toy_train(tmp_path / "plain", schedule=dataclasses.replace(schedule, updates=1), progress=plain.append)
    assert found[0].losses["total"] == pytest.approx(plain[0].losses["total"], rel=1e-2)
    assert found[0].losses["total"] != plain[0].losses["total"]


@pytest.mark.slow
def test_a_run_in_bfloat16_that_is_taken_up_ends_the_same_to_the_bit(tmp_path):
    toy_train(tmp_path / "one", precision="bfloat16")
    calls = []
    toy_train(tmp_path / "two", precision="bfloat16", should_stop=lambda: len(calls) == 6 or calls.append(1))
    toy_train(tmp_path / "two", precision="bfloat16", resume=True)
    one, two = (load_state(tmp_path / name / "checkpoints", 12, CPU) for name in ("one", "two"))
    for name, tensor in one.model.items():
        assert torch.equal(tensor, two.model[name]), name


def test_a_run_is_not_taken_up_in_another_precision(tmp_path):
    toy_train(tmp_path / "run", should_stop=lambda: True)
    with pytest.raises(OptionError, match=r"training\.precision: float32 then, bfloat16 now"):
        toy_train(tmp_path / "run", resume=True, precision="bfloat16")


def test_only_layers_compute_in_bfloat16():
    model = AscNet(toy_network()).eval()
    seen = []
    for layer in (model.embed, model.attention, model.aware_head, model.agnostic_head, model.queries.w_v):
        layer.register_forward_hook(lambda module, inputs, output: seen.append((module, inputs[0], output)))
    batch = batch_of_step(toy_videos(), toy_schedule(), 0)
    with layers_in("bfloat16", CPU):
        output = model(batch.features_BTD, batch.valid_BT)
        model.queries(output.u_BTD, batch.valid_BT)
    fields = [getattr(output, field.name) for field in dataclasses.fields(output)]
    assert {tensor.dtype for tensor in fields} == {torch.float32, torch.bool}
    assert len(seen) == 5
    for layer, values, found in seen:
        assert found.dtype == torch.float32
        operation = functional.conv1d if isinstance(layer, torch.nn.Conv1d) else functional.linear
        padding = {"padding": layer.padding} if isinstance(layer, torch.nn.Conv1d) else {}
        bias = None if layer.bias is None else layer.bias.bfloat16()
        wanted = operation(values.bfloat16(), layer.weight.bfloat16(), bias, **padding)
        assert torch.equal(found, wanted.float())
    # Probabilities are not rounded to bfloat16.
    y_BNC = output.y_BNC
    assert not torch.equal(y_BNC, y_BNC.bfloat16().float())
    assert torch.allclose(y_BNC.sum(dim=2), torch.ones(y_BNC.shape[:2]), atol=1e-6)


def test_the_held_out_videos_are_scored_as_inference_scores_them(tmp_path):
    result = toy_train(tmp_path / "run", precision="bfloat16")
    loaded = load_checkpoint(result.checkpoint)
    values = toy_videos().features["video00"]
    plain = loaded.model.score(values, loaded.labels).video
    with layers_in("bfloat16", CPU):
        assert (loaded.model.score(values, loaded.labels).video != plain).any()
    from ascnet_cli.training.preparation import prepare
    from ascnet_cli.training.validation import validation_map

    _, held_out = prepare(toy_videos(), toy_network(), toy_schedule())
    assert validation_map(loaded.model, held_out) == result.best.map


def test_what_a_device_cannot_do_is_said_and_recorded(tmp_path):
    notes = []
    result = toy_train(tmp_path / "run", precision="tf32", notes=notes.append)
    assert notes == ["tf32 is of CUDA devices alone: cpu trains in float32"]
    assert [
        event["text"] for event in RunFolder(tmp_path / "run").events() if event["event"] == "note"
    ] == notes
    plain = toy_train(tmp_path / "plain", notes=notes.append)
    assert len(notes) == 1
    tensors = load_checkpoint(result.checkpoint).model.state_dict()
    for name, tensor in load_checkpoint(plain.checkpoint).model.state_dict().items():
        assert torch.equal(tensor, tensors[name])


def test_a_card_without_bfloat16_trains_in_float32(monkeypatch):
    card = torch.device("cuda", 0)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: including_emulation)
    assert supported("bfloat16", card) == ("float32", "cuda:0 has no bfloat16: it trains in float32")
    assert supported("tf32", card) == ("tf32", "")
    assert supported("bfloat16", CPU) == ("bfloat16", "")


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "tf32"])
def test_tf32_is_on_for_tf32_alone_and_only_while_it_is_wanted(precision):
    def switches():
        return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32

    before = switches()
    with float32_products(precision):
        assert switches() == (precision == "tf32",) * 2
        batch = batch_of_step(toy_videos(), toy_schedule(), 0)
        gradients(AscNet(toy_network()), batch, loss_config("fixed"), precision="tf32")
        assert switches() == (precision == "tf32",) * 2
    assert switches() == before


def test_tf32_is_on_for_the_forward_and_the_backward_pass():
    model, seen = AscNet(toy_network()), []

    def look(*_):
        seen.append(torch.backends.cudnn.allow_tf32)

    model.embed.register_forward_hook(look)
    model.embed.weight.register_hook(look)
    batch = batch_of_step(toy_videos(), toy_schedule(), 0)
    for precision in ("tf32", "float32"):
        gradients(model, batch, loss_config("fixed"), precision=precision)
    assert seen == [True, True, False, False]


def test_an_unknown_precision_is_refused(tmp_path):
    with pytest.raises(OptionError, match="unknown precision 'float16'") as caught:
        toy_train(tmp_path / "run", precision="float16")
    assert "float32, bfloat16, tf32" in caught.value.hint
    assert parse_precision("tf32") == "tf32"
    assert not (tmp_path / "run").exists()
