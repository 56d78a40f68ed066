"""The whole network: padding, variants, presets, inference scores, devices."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode

from ascnet_cli.config import network_config
from ascnet_cli.errors import FeatureError
from ascnet_cli.model import equations
from ascnet_cli.model.ascnet import AscNet, inference_positions
from ascnet_cli.model.queries import SemanticQueries

LABELS = ("dive", "throw", "jump", "run")
SELECTORS = ["fixed", "literal", "attention", "none"]
BY_TIME = {  # the axis of time of each output that has one
    "x_BTD": 0,
    "v_BTC": 0,
    "guide_BT": 0,
    "attention_BNT": 1,
    "selected_BNT": 1,
    "z_BNTC": 1,
}
BY_VIDEO = ["omega_BNC", "y_awa_BNC", "y_ags_BNC", "y_BNC"]


def small(preset="fixed", dataset="thumos14", in_dim=12, **changes):
    config = network_config(preset, dataset, n_classes=len(LABELS), in_dim=in_dim)
    return dataclasses.replace(config, **({"embed_dim": 16, "query_dim": 8} | changes))


def network(seed=0, **options):
    """A small network whose attention and classes differ between snippets as a trained one's do."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = AscNet(small(**options)).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(3)
    return model


def videos(lengths, in_dim=12, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(length, in_dim, generator=generator) for length in lengths]


def padded(rows, extra=0, fill=float("nan")):
    longest = max(len(row) for row in rows) + extra
    features = torch.full((len(rows), longest, rows[0].shape[1]), fill)
    for i, row in enumerate(rows):
        features[i, : len(row)] = row
    valid = torch.arange(longest) < torch.tensor([len(row) for row in rows]).unsqueeze(1)
    return features, valid


def alone(model, row):
    return model(row.unsqueeze(0), torch.ones(1, len(row), dtype=torch.bool))


@pytest.mark.parametrize("in_dim", [12, 16])  # with and without a projection in the skip
@pytest.mark.parametrize("preset", ["paper", "fixed"])
@given(lengths=st.lists(st.integers(1, 40), min_size=1, max_size=4), extra=st.integers(0, 9))
@settings(max_examples=12, deadline=None)
def test_padding_changes_nothing(preset, in_dim, lengths, extra):
    model = network(preset=preset, in_dim=in_dim)
    rows = videos(lengths, in_dim)
    with torch.inference_mode():
        batch = model(*padded(rows, extra))  # padded with NaN: a leak would show
        queries = model.queries(batch.u_BTD, batch.valid_BT)
        for i, row in enumerate(rows):
            single = alone(model, row)
            for name, time_axis in BY_TIME.items():
                shared = getattr(batch, name)[i].narrow(time_axis, 0, len(row))
                torch.testing.assert_close(shared, getattr(single, name)[0], atol=1e-5, rtol=1e-5)
            for name in BY_VIDEO:
                torch.testing.assert_close(
                    getattr(batch, name)[i], getattr(single, name)[0], atol=1e-5, rtol=1e-5
                )
            own = model.queries(single.u_BTD, single.valid_BT)
            torch.testing.assert_close(queries[i], own[0], atol=1e-5, rtol=1e-5)


def test_the_embedding_is_zero_beyond_the_end():
    with torch.inference_mode():
        output = network()(*padded(videos([5, 30]), extra=2))
    assert not output.x_BTD[~output.valid_BT].any()
    assert not output.u_BTD[~output.valid_BT].any()


@pytest.mark.parametrize("selector", SELECTORS)
def test_gradients_of_a_padded_batch_are_finite_and_reach_every_parameter(selector):
    model = network(selector=selector).train()
    output = model(*padded(videos([9, 25]), extra=4))
    queries = model.queries(output.u_BTD, output.valid_BT)
    (output.y_BNC.square().sum() + queries.square().cumsum(2).sum()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_the_order_of_videos_in_a_batch_is_their_own_affair():
    model = network()
    features, valid = padded(videos([5, 30, 12]))
    order = torch.tensor([2, 0, 1])
    with torch.inference_mode():
        straight, shuffled = model(features, valid), model(features[order], valid[order])
    for name in BY_VIDEO:
        torch.testing.assert_close(getattr(straight, name)[order], getattr(shuffled, name))


@pytest.mark.parametrize("selector", SELECTORS)
def test_all_behind_the_convolution_is_equivariant_to_the_order_of_snippets(selector):
    model = network(selector=selector)
    model.embed.weight.data[:, :, [0, 2]] = 0  # a snippet sees itself alone
    (row,) = videos([30])
    order = torch.randperm(30, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        straight, shuffled = alone(model, row), alone(model, row[order])
    for name in BY_VIDEO:
        torch.testing.assert_close(getattr(straight, name), getattr(shuffled, name))
    assert torch.equal(straight.selected_BNT[:, :, order], shuffled.selected_BNT)
    torch.testing.assert_close(straight.cas_BTC[:, order], shuffled.cas_BTC)


def test_outputs_are_what_the_equations_say():
    model = network()
    with torch.inference_mode():
        out = alone(model, *videos([30]))
    torch.testing.assert_close(out.attention_BNT.sum(1), torch.ones(1, 30))
    torch.testing.assert_close(out.z_BNTC[:, 0], out.attention_BNT[:, 0, :, None] * out.v_BTC)
    best = out.z_BNTC[0, 2].sort(dim=0, descending=True).values[: 30 // 3]
    torch.testing.assert_close(out.omega_BNC[0, 2], best.mean(0))
    torch.testing.assert_close(out.y_awa_BNC, out.omega_BNC.softmax(2))
    keep = out.selected_BNT[0, 1]
    weight = out.attention_BNT[0, 1, keep]
    pooled = (weight[:, None] * out.x_BTD[0, keep]).sum(0) / weight.sum()
    torch.testing.assert_close(out.y_ags_BNC[0, 1], model.agnostic_head(pooled).softmax(0))
    torch.testing.assert_close(out.y_BNC, (out.y_ags_BNC + out.y_awa_BNC) / 2)
    torch.testing.assert_close(out.cas_BTC, out.z_BNTC[:, 0].softmax(2))
    torch.testing.assert_close(out.u_BTD.norm(dim=2), torch.ones(1, 30))


def test_the_embedding_is_a_residual_block_with_zeros_at_the_borders():
    model = network(in_dim=16)
    (row,) = videos([3], 16)
    with torch.inference_mode():
        x = alone(model, row).x_BTD[0]
        around = torch.cat((torch.zeros(1, 16), row, torch.zeros(1, 16)))
        for t in range(3):
            inner = torch.einsum("dcs,sc->d", model.embed.weight, around[t : t + 3]) + model.embed.bias
            torch.testing.assert_close(x[t], row[t] + inner.clamp(min=0))


@pytest.mark.parametrize("guide", ["v", "z_fg"])
def test_the_guide_reads_the_background_of_what_the_option_names(guide):
    with torch.inference_mode():
        out = alone(network(guide=guide), *videos([10]))
    source = out.v_BTC if guide == "v" else out.z_BNTC[:, 0]
    torch.testing.assert_close(out.guide_BT, source.softmax(2)[..., 0])


def test_dropout_before_the_embedding_is_activitynets_alone():
    for dataset, same in (("thumos14", True), ("activitynet13", False)):
        model = network(dataset=dataset).train()
        (row,) = videos([20])
        assert torch.equal(alone(model, row).x_BTD, alone(model, row).x_BTD) is same


@pytest.mark.parametrize(("variant", "name"), [("class_aware", "y_awa_BNC"), ("class_agnostic", "y_ags_BNC")])
def test_a_variant_predicts_with_its_own_branch(variant, name):
    with torch.inference_mode():
        out = alone(network(variant=variant, selector="none"), *videos([10]))
    assert torch.equal(out.y_BNC, getattr(out, name))


def test_all_variants_share_one_layout_of_parameters():
    layouts = [
        {name: tuple(value.shape) for name, value in network(variant=v, selector="none").state_dict().items()}
        for v in ("both", "class_aware", "class_agnostic")
    ]
    assert layouts[0] == layouts[1] == layouts[2]


def test_eq_9_as_printed():
    queries = SemanticQueries(3, 4, 2, "paper")
    u = torch.nn.functional.normalize(torch.randn(1, 5, 4, generator=torch.Generator().manual_seed(0)), dim=2)
    with torch.inference_mode():
        q, k, v = queries.g @ queries.w_q.weight.T, queries.w_k(u[0]), queries.w_v(u[0])
        expected = (q @ k.T / 2**0.5).softmax(1) @ v
        torch.testing.assert_close(queries(u, torch.ones(1, 5, dtype=torch.bool))[0], expected)


def test_the_repaired_queries_are_unit_vectors_that_differ_from_the_start():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        paper, fixed = (SemanticQueries(5, 64, 16, form) for form in ("paper", "fixed"))
    u = torch.nn.functional.normalize(
        torch.randn(2, 9, 64, generator=torch.Generator().manual_seed(0)), dim=2
    )
    valid = torch.ones(2, 9, dtype=torch.bool)
    with torch.inference_mode():
        alike, apart = paper(u, valid)[0], fixed(u, valid)[0]
    torch.testing.assert_close(apart.norm(dim=1), torch.ones(5))
    assert torch.cosine_similarity(alike[0], alike[1], dim=0) > 0.99
    assert torch.cosine_similarity(apart[0], apart[1], dim=0) < 0.5


def test_scores_are_those_of_the_forward_pass_without_the_background():
    model = network().train()
    (row,) = videos([30])
    scores = model.score(row.numpy(), LABELS)
    assert model.training
    with torch.inference_mode():
        out = alone(model.eval(), row)
    assert scores.labels == LABELS
    assert scores.positions.tolist() == list(range(30))
    np.testing.assert_allclose(scores.cas, out.cas_BTC[0, :, 1:].numpy(), rtol=1e-5)
    np.testing.assert_allclose(scores.attention, out.attention_BNT[0, 0].numpy(), rtol=1e-5)
    np.testing.assert_allclose(scores.video, out.y_BNC[0, 0, 1:].numpy(), rtol=1e-5)


def test_scores_of_the_variants_localize_by_one_branch_alone():
    (row,) = videos([30])
    aware = network(variant="class_aware", selector="none").score(row.numpy(), LABELS)
    agnostic = network(variant="class_agnostic", selector="none").score(row.numpy(), LABELS)
    both = network(selector="none").score(row.numpy(), LABELS)
    np.testing.assert_array_equal(aware.cas, both.cas)
    assert not aware.attention.any()
    np.testing.assert_array_equal(agnostic.attention, both.attention)
    np.testing.assert_array_equal(agnostic.cas, np.stack([both.attention] * 4, axis=1))


@pytest.mark.parametrize(
    ("variant", "selector"),
    [(v, s) for v in ("class_aware", "both") for s in ("none", "fixed", "literal", "attention")]
    + [("class_agnostic", "none"), ("class_agnostic", "attention")],
)
def test_inference_predicts_what_training_predicts_without_the_branch_that_is_not_there(variant, selector):
    model = network(variant=variant, selector=selector).eval()
    (row,) = videos([30])
    with torch.no_grad():
        out = alone(model, row)
    unused = {"class_aware": model.agnostic_head, "class_agnostic": model.aware_head}.get(variant)
    if unused is not None:
        unused.register_forward_hook(lambda *_: pytest.fail("a branch that is not there was computed"))
    scores = model.score(row.numpy(), LABELS)
    np.testing.assert_allclose(scores.video, out.y_BNC[0, 0, 1:].numpy(), rtol=1e-5)


def test_the_paper_preset_thins_long_videos_out_and_says_what_it_kept():
    model = network(preset="paper", inference_snippets=10)
    (row,) = videos([25])
    scores = model.score(row.numpy(), LABELS)
    assert scores.positions.tolist() == [0, 2, 5, 7, 10, 12, 15, 17, 20, 22]
    kept = model.score(row[scores.positions].numpy(), LABELS)
    np.testing.assert_array_equal(scores.cas, kept.cas)
    assert len(model.score(row[:10].numpy(), LABELS).positions) == 10


@settings(deadline=None)
@given(n=st.integers(1, 5000), at_most=st.integers(1, 1000))
def test_inference_positions_rise_and_spread_over_the_video(n, at_most):
    positions = inference_positions(n, at_most)
    assert len(positions) == min(n, at_most)
    assert positions[0] == 0
    assert positions[-1] < n
    assert set(np.diff(positions).tolist()) <= {max(n // at_most, 1), max(n // at_most, 1) + 1}


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_scores_take_features_of_any_float_type(dtype):
    (row,) = videos([5])
    assert network().score(row.numpy().astype(dtype), LABELS).cas.dtype == np.float32


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.zeros((0, 12), np.float32), "at least one"),
        (np.zeros((4, 13), np.float32), "13 numbers wide; the model wants 12"),
        (np.full((4, 12), np.nan, np.float32), "not finite"),
    ],
)
def test_features_that_cannot_be_scored_are_refused(features, message):
    with pytest.raises(FeatureError, match=message):
        network().score(features, LABELS)


@pytest.mark.parametrize("dataset", ["thumos14", "activitynet13"])
@pytest.mark.parametrize("preset", ["paper", "fixed"])
def test_the_presets_have_the_printed_size(preset, dataset):
    with torch.device("meta"):
        model = AscNet(network_config(preset, dataset, n_classes=20, in_dim=2048))
        narrow = AscNet(network_config(preset, dataset, n_classes=20, in_dim=1024))
        output = model(torch.zeros(2, 75, 2048), torch.ones(2, 75, dtype=torch.bool))
    assert output.x_BTD.shape == (2, 75, 2048)
    assert output.y_BNC.shape == (2, 3, 21)
    assert narrow.embed.weight.shape == (1024, 1024, 3)  # D is the width of the features
    assert isinstance(narrow.skip, torch.nn.Identity)


def forward_on_a_pretended_card(model_class, selector):
    """A forward pass and the queries on 'cuda' tensors that have no memory: mixed devices raise."""
    with FakeTensorMode(), torch.device("cuda"):
        model = model_class(small(selector=selector))
        output = model(torch.zeros(2, 30, 12), torch.ones(2, 30, dtype=torch.bool))
        return output, model.queries(output.u_BTD, output.valid_BT)


@pytest.mark.parametrize("selector", SELECTORS)
def test_a_card_gets_no_tensor_of_the_cpu_and_is_never_waited_for(selector):
    output, queries = forward_on_a_pretended_card(AscNet, selector)
    for field in dataclasses.fields(output):
        assert getattr(output, field.name).device.type == "cuda", field.name
    assert queries.device.type == "cuda"


class MixedUp(AscNet):
    """Weighs branches with a tensor that was left on the CPU."""

    def _video_prediction(self, y_ags_BNC, y_awa_BNC):
        return y_ags_BNC * torch.ones(3, 1, device="cpu")


class Waiting(AscNet):
    """Asks the card for a number in the middle of the pass."""

    def _video_prediction(self, y_ags_BNC, y_awa_BNC):
        return y_ags_BNC * y_awa_BNC.max().item()


@pytest.mark.parametrize(
    ("model_class", "message"), [(MixedUp, "cuda.*cpu|cpu.*cuda"), (Waiting, "_local_scalar_dense")]
)
def test_the_pretended_card_would_catch_a_mistake(model_class, message):
    with pytest.raises(Exception, match=message):
        forward_on_a_pretended_card(model_class, "fixed")


def test_the_background_comes_first():
    assert equations.BACKGROUND_CLASS == 0


def test_the_mean_is_subtracted_from_snippets_and_not_from_padding():
    model, plain = network(), network(subtract_mean=False)
    mean = torch.linspace(-1, 2, 12)
    model.set_mean(mean)
    rows = videos([9, 4])
    shifted, valid = padded([row + mean for row in rows], fill=7.0)
    with torch.inference_mode():
        torch.testing.assert_close(model(shifted, valid).x_BTD, plain(*padded(rows)).x_BTD)
        torch.testing.assert_close(model(shifted, valid).v_BTC[valid], plain(*padded(rows)).v_BTC[valid])


def test_without_that_repair_no_mean_is_taken():
    model = network(preset="paper")
    assert not model.config.subtract_mean
    model.set_mean(torch.ones(12))
    assert not model.mean_D.any()
