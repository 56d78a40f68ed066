"""Eqs. 8 and 10 to 12: values by hand, where gradients flow, padding, presets, devices."""

import dataclasses
import math

import jaxtyping
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional

from ascnet_cli.config import network_config
from ascnet_cli.config_training import LossConfig, loss_config
from ascnet_cli.errors import OptionError
from ascnet_cli.model.ascnet import AscNet
from ascnet_cli.model.losses import (
    class_targets,
    classification_loss,
    contrastive_loss,
    guide_loss,
    snippet_classes,
    total_loss,
)

TERMS = ("fg", "ct", "bg", "nce", "gui")
ACTIONS = torch.tensor([[True, False, True], [False, True, False]])


def network(preset="fixed", **changes):
    config = network_config(preset, "thumos14", n_classes=3, in_dim=8)
    return AscNet(dataclasses.replace(config, **({"embed_dim": 8, "query_dim": 4} | changes)))


def forward(model, lengths=(9, 25), extra=0, fill=0.0):
    longest = max(lengths) + extra
    features = torch.full((len(lengths), longest, 8), fill)
    for i, length in enumerate(lengths):
        features[i, :length] = torch.randn(length, 8, generator=torch.Generator().manual_seed(i))
    valid = torch.arange(longest) < torch.tensor(lengths).unsqueeze(1)
    output = model(features, valid)
    return output, model.queries(output.u_BTD, valid)


def only(term, preset="fixed"):
    off = {f"weight_{name}": 0.0 for name in TERMS if name != term}
    return dataclasses.replace(loss_config(preset), **off)


def test_targets_are_labels_of_sum_one():
    assert class_targets(ACTIONS).tolist() == [
        [[0, 0.5, 0, 0.5], pytest.approx([1 / 3, 1 / 3, 0, 1 / 3]), [1, 0, 0, 0]],
        [[0, 0, 1, 0], [0.5, 0, 0.5, 0], [1, 0, 0, 0]],
    ]


def test_a_video_without_actions_has_no_foreground_to_learn():
    target = class_targets(torch.zeros(1, 3, dtype=torch.bool))
    assert target.tolist() == [[[0, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]]]
    assert classification_loss(torch.full((1, 4), 0.25), target[:, 0]) == 0


def test_classification_sums_over_classes_and_averages_over_videos():
    y = torch.tensor([[0.1, 0.4, 0.2, 0.3], [0.2, 0.2, 0.5, 0.1]])
    target = class_targets(ACTIONS)[:, 0]
    by_hand = (-0.5 * math.log(0.4) - 0.5 * math.log(0.3) - math.log(0.5)) / 2
    assert classification_loss(y, target).item() == pytest.approx(by_hand, rel=1e-6)


def test_a_probability_of_zero_gives_a_large_loss_and_no_infinite_gradient():
    y = torch.tensor([[1.0, 0.0]], requires_grad=True)
    loss = classification_loss(y, torch.tensor([[0.0, 1.0]]))
    loss.backward()
    assert loss.item() == pytest.approx(-math.log(1e-8), rel=1e-6)
    assert y.grad.isfinite().all()


def test_snippets_are_taken_for_any_class_or_for_the_videos_own():
    v = torch.tensor([[[0.0, 1, 9, 2], [5, 1, 9, 2]]])
    actions = torch.tensor([[True, False, True]])
    assert snippet_classes(v, actions, "any").tolist() == [[2, 2]]
    assert snippet_classes(v, actions, "labels").tolist() == [[3, 0]]


def test_contrastive_loss_by_hand():
    u = torch.tensor([[[1.0, 0], [0, 1], [9, 9]]])
    queries = torch.tensor([[[1.0, 0], [0, 1]]])
    valid = torch.tensor([[True, True, False]])
    classes = torch.tensor([[0, 0, 1]])  # the first is right, the second is wrong

    def by_hand(t):
        right, wrong = math.log(1 + math.exp(-1 / t)), math.log(1 + math.exp(1 / t))
        return (right + wrong) / 2

    for temperature in (1.0, 0.1):
        loss = contrastive_loss(u, queries, classes, valid, temperature)
        assert loss.item() == pytest.approx(by_hand(temperature), rel=1e-6)


def test_the_printed_contrastive_loss_starts_at_the_logarithm_of_the_classes():
    u = functional.normalize(torch.randn(2, 5, 6), dim=2)
    alike = torch.randn(2, 1, 6).expand(2, 4, 6)
    valid = torch.ones(2, 5, dtype=torch.bool)
    loss = contrastive_loss(u, alike, torch.randint(4, (2, 5)), valid, 1.0)
    assert loss.item() == pytest.approx(math.log(4), rel=1e-6)


@pytest.mark.parametrize(("reduction", "expected"), [("sum", (0.5 + 0.1) / 2), ("mean", (0.25 + 0.1) / 2)])
def test_guide_loss_by_hand(reduction, expected):
    attention = torch.tensor([[0.9, 0.2], [0.5, 0.0]])
    background = torch.tensor([[0.3, 0.5], [0.6, 0.7]])  # apart: 0.2, 0.3; 0.1
    valid = torch.tensor([[True, True], [True, False]])
    loss = guide_loss(attention, background, valid, detach=True, reduction=reduction)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("detach", [True, False])
def test_the_guide_teaches_the_attention_only_where_that_is_asked_for(detach):
    attention, background = torch.rand(1, 4, requires_grad=True), torch.rand(1, 4, requires_grad=True)
    valid = torch.ones(1, 4, dtype=torch.bool)
    guide_loss(attention, background, valid, detach=detach, reduction="sum").backward()
    assert (attention.grad is None) == detach
    assert background.grad.abs().tolist() == [[1, 1, 1, 1]]


@pytest.mark.parametrize("preset", ["paper", "fixed"])
def test_the_total_is_the_weighted_sum_of_its_terms(preset):
    output, queries = forward(network(preset).eval())
    losses = total_loss(output, queries, ACTIONS, loss_config(preset))
    terms = {name: value.item() for name, value in losses.present()}
    assert set(terms) == {"total", *TERMS}
    weights = {"fg": 1.0, "ct": 0.1, "bg": 0.1, "nce": 0.1, "gui": 7e-3}  # section IV-A
    assert terms["total"] == pytest.approx(sum(w * terms[n] for n, w in weights.items()), rel=1e-6)


@pytest.mark.parametrize("term", TERMS)
def test_a_term_alone_is_that_term_and_nothing_else_is_computed(term):
    output, queries = forward(network().eval())
    everything = dict(total_loss(output, queries, ACTIONS, loss_config("fixed")).present())
    config = only(term)
    alone = dict(total_loss(output, queries, ACTIONS, config).present())
    assert set(alone) == {"total", term}
    torch.testing.assert_close(alone[term], everything[term])
    torch.testing.assert_close(alone["total"], getattr(config, f"weight_{term}") * everything[term])


GRADIENTS = {  # parameters that a term must and must not teach
    "fg": ({"embed", "attention", "aware_head", "agnostic_head"}, {"queries"}),
    "nce": ({"embed", "queries"}, {"attention", "aware_head", "agnostic_head"}),
    "gui": ({"embed", "aware_head"}, {"attention", "agnostic_head", "queries"}),
}


@pytest.mark.parametrize(("term", "taught", "left"), [(t, *sets) for t, sets in GRADIENTS.items()])
def test_gradients_flow_where_they_should_and_nowhere_else(term, taught, left):
    model = network()
    output, queries = forward(model)
    total_loss(output, queries, ACTIONS, only(term)).total.backward()
    for name in taught | left:
        grads = [p.grad for p in getattr(model, name).parameters()]
        moved = any(grad is not None and bool(grad.any()) for grad in grads)
        assert moved == (name in taught), name


def test_the_paper_guide_teaches_the_attention_through_z_alone():
    model = network("paper")  # Z_fg holds a_fg: detaching eq. 11's own a_fg does not cut that path
    output, queries = forward(model)
    total_loss(output, queries, ACTIONS, only("gui", "paper")).total.backward()
    assert model.attention.weight.grad.any()


@pytest.mark.parametrize("preset", ["paper", "fixed"])
def test_padding_changes_neither_losses_nor_gradients(preset):
    model = network(preset).eval()
    config = loss_config(preset)
    grads = []
    for extra, fill in ((0, 0.0), (7, math.nan)):
        model.zero_grad()
        output, queries = forward(model, extra=extra, fill=fill)
        losses = total_loss(output, queries, ACTIONS, config)
        losses.total.backward()
        found = [p.grad.clone() for p in model.parameters()]
        grads.append((torch.stack([value.detach() for _, value in losses.present()]), found))
    torch.testing.assert_close(*grads, atol=1e-6, rtol=1e-5)


def test_a_batch_is_the_mean_of_its_videos():
    model, config = network().eval(), loss_config("fixed")
    together = total_loss(*forward(model, (9, 25)), ACTIONS, config)
    output, queries = forward(model, (9,))
    first = total_loss(output, queries, ACTIONS[:1], config)
    features = torch.randn(25, 8, generator=torch.Generator().manual_seed(1)).unsqueeze(0)
    valid = torch.ones(1, 25, dtype=torch.bool)
    output = model(features, valid)
    second = total_loss(output, model.queries(output.u_BTD, valid), ACTIONS[1:], config)
    torch.testing.assert_close(together.total, (first.total + second.total) / 2)


def test_the_presets_differ_in_the_repairs_alone():
    paper, fixed = (dataclasses.asdict(loss_config(preset)) for preset in ("paper", "fixed"))
    differing = {name for name in paper if paper[name] != fixed[name]}
    assert differing == {"nce_temperature", "nce_target"}
    assert (paper["nce_temperature"], paper["nce_target"]) == (1.0, "any")
    assert (fixed["nce_temperature"], fixed["nce_target"]) == (0.1, "labels")


def test_without_the_class_aware_branch_what_reads_it_is_off():
    config = loss_config("fixed", variant="class_agnostic")
    assert (config.weight_nce, config.weight_gui) == (0, 0)
    assert loss_config("fixed", variant="class_aware") == loss_config("fixed")


@pytest.mark.parametrize(
    "wrong",
    [
        {"weight_fg": -1.0},
        {"weight_gui": math.nan},
        {"nce_temperature": 0.0},
        {f"weight_{name}": 0.0 for name in TERMS},
    ],
)
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(OptionError):
        LossConfig(**({"nce_temperature": 1.0, "nce_target": "any"} | wrong))


@pytest.mark.parametrize("wrong", [{"nce_target": "some"}, {"guide_reduction": "max"}])
def test_options_that_do_not_exist_are_refused(wrong):
    jaxtyping.config.update("jaxtyping_disable", True)  # as outside the tests: nobody checks types there
    try:
        with pytest.raises(OptionError, match="must be one of"):
            LossConfig(**({"nce_temperature": 1.0, "nce_target": "any"} | wrong))
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


def test_an_unknown_preset_is_refused():
    with pytest.raises(OptionError, match="'best'"):
        loss_config("best")


def test_the_contrastive_loss_needs_queries():
    output, _ = forward(network())
    with pytest.raises(ValueError, match="queries"):
        total_loss(output, None, ACTIONS, loss_config("fixed"))
    assert total_loss(output, None, ACTIONS, only("fg")).nce is None


def fake_loss(actions_device, preset):
    with FakeTensorMode(), torch.device("cuda"):
        model = network(preset)
        features, valid = torch.randn(2, 25, 8), torch.ones(2, 25, dtype=torch.bool)
        output = model(features, valid)
        queries = model.queries(output.u_BTD, valid)
        actions = torch.ones(2, 3, dtype=torch.bool, device=actions_device)
        return total_loss(output, queries, actions, loss_config(preset)).total


@pytest.mark.parametrize("preset", ["paper", "fixed"])
def test_all_stays_on_the_device(preset):
    assert fake_loss("cuda", preset).device.type == "cuda"


def test_that_test_sees_a_tensor_left_on_the_cpu():
    with pytest.raises(RuntimeError, match="device"):
        fake_loss("cpu", "fixed")
