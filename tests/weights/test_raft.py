"""RAFT's weights: published names to canonical ones, and what is refused on the way."""

from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from weights.convert import convert
from weights.errors import WeightsError
from weights.raft import ARCHITECTURES, build_raft, canonical_raft, check_raft_tensors

SHIPPED = Path(__file__).parents[2] / "weights" / "raft_small.safetensors"
PUBLISHED = Path(__file__).parents[3] / "shared" / "data" / "weights" / "raft-small.pth"


def conv(name, n_in, n_out, *kernel):
    return {f"{name}.weight": (n_out, n_in, *kernel), f"{name}.bias": (n_out,)}


def norm(name, width):
    vectors = dict.fromkeys(
        [f"{name}.{part}" for part in ("weight", "bias", "running_mean", "running_var")], (width,)
    )
    return vectors | {f"{name}.num_batches_tracked": ()}


def small_encoder(scope, n_out):
    shapes = conv(f"{scope}.conv1", 3, 32, 7, 7) | conv(f"{scope}.conv2", 96, n_out, 1, 1)
    for layer, n_in, width in ((1, 32, 32), (2, 32, 64), (3, 64, 96)):
        for unit, first in ((0, n_in), (1, width)):
            place = f"{scope}.layer{layer}.{unit}"
            shapes |= conv(f"{place}.conv1", first, width // 4, 1, 1)
            shapes |= conv(f"{place}.conv2", width // 4, width // 4, 3, 3)
            shapes |= conv(f"{place}.conv3", width // 4, width, 1, 1)
        if layer > 1:
            shapes |= conv(f"{scope}.layer{layer}.0.downsample.0", n_in, width, 1, 1)
    return shapes


def large_encoder(scope, *, batch_norm):
    shapes = conv(f"{scope}.conv1", 3, 64, 7, 7) | conv(f"{scope}.conv2", 128, 256, 1, 1)
    if batch_norm:
        shapes |= norm(f"{scope}.norm1", 64)
    for layer, n_in, width in ((1, 64, 64), (2, 64, 96), (3, 96, 128)):
        for unit, first in ((0, n_in), (1, width)):
            place = f"{scope}.layer{layer}.{unit}"
            shapes |= conv(f"{place}.conv1", first, width, 3, 3) | conv(f"{place}.conv2", width, width, 3, 3)
            if batch_norm:
                shapes |= norm(f"{place}.norm1", width) | norm(f"{place}.norm2", width)
        if layer > 1:
            place = f"{scope}.layer{layer}.0"
            shapes |= conv(f"{place}.downsample.0", n_in, width, 1, 1)
            if batch_norm:  # one module under two names
                shapes |= norm(f"{place}.norm3", width) | norm(f"{place}.downsample.1", width)
    return shapes


def published_shapes(architecture):
    """Names and shapes of a princeton-vl checkpoint, written down from its modules."""
    if architecture == "raft_small":
        shapes = small_encoder("fnet", 128) | small_encoder("cnet", 160)
        shapes |= conv("update_block.encoder.convc1", 196, 96, 1, 1)
        shapes |= conv("update_block.encoder.convf1", 2, 64, 7, 7)
        shapes |= conv("update_block.encoder.convf2", 64, 32, 3, 3)
        shapes |= conv("update_block.encoder.conv", 128, 80, 3, 3)
        for gate in "zrq":
            shapes |= conv(f"update_block.gru.conv{gate}", 242, 96, 3, 3)
        return (
            shapes
            | conv("update_block.flow_head.conv1", 96, 128, 3, 3)
            | conv("update_block.flow_head.conv2", 128, 2, 3, 3)
        )
    shapes = large_encoder("fnet", batch_norm=False) | large_encoder("cnet", batch_norm=True)
    shapes |= conv("update_block.encoder.convc1", 324, 256, 1, 1)
    shapes |= conv("update_block.encoder.convc2", 256, 192, 3, 3)
    shapes |= conv("update_block.encoder.convf1", 2, 128, 7, 7)
    shapes |= conv("update_block.encoder.convf2", 128, 64, 3, 3)
    shapes |= conv("update_block.encoder.conv", 256, 126, 3, 3)
    for gate in "zrq":
        shapes |= conv(f"update_block.gru.conv{gate}1", 384, 128, 1, 5)
        shapes |= conv(f"update_block.gru.conv{gate}2", 384, 128, 5, 1)
    shapes |= conv("update_block.mask.0", 128, 256, 3, 3) | conv("update_block.mask.2", 256, 576, 1, 1)
    return (
        shapes
        | conv("update_block.flow_head.conv1", 128, 256, 3, 3)
        | conv("update_block.flow_head.conv2", 256, 2, 3, 3)
    )


@cache
def _published(architecture):
    """A checkpoint of random numbers, every name with `module.` before it as in the published files."""
    generator = torch.Generator().manual_seed(0)
    return {
        f"module.{name}": torch.randn(shape, generator=generator) if shape else torch.tensor(7)
        for name, shape in published_shapes(architecture).items()
    }


def published(architecture):
    """A checkpoint that a test may change by name."""
    return dict(_published(architecture))


@cache
def _canonical(architecture):
    return canonical_raft(_published(architecture), origin="raft.pth")[2]


def canonical(architecture):
    """The same checkpoint under canonical names, for a test to change by name."""
    return dict(_canonical(architecture))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_published_checkpoint_becomes_a_whole_torchvision_network(architecture):
    state = published(architecture)
    found, layout, tensors = canonical_raft(state, origin="raft.pth")
    assert (found, layout) == (architecture, "princeton-vl")
    network = build_raft(architecture)
    missing, unexpected = network.load_state_dict(tensors, strict=False, assign=True)
    assert not unexpected
    assert all(name.endswith("num_batches_tracked") for name in missing)


# Neighbours of one shape, which a strict load would not tell apart.
@pytest.mark.parametrize(
    ("architecture", "theirs", "ours"),
    [
        ("raft_small", "update_block.gru.convz.weight", "update_block.recurrent_block.convgru1.convz.weight"),
        ("raft_small", "update_block.gru.convr.weight", "update_block.recurrent_block.convgru1.convr.weight"),
        ("raft_small", "update_block.gru.convq.bias", "update_block.recurrent_block.convgru1.convq.bias"),
        ("raft_large", "update_block.gru.convz1.bias", "update_block.recurrent_block.convgru1.convz.bias"),
        ("raft_large", "update_block.gru.convr2.bias", "update_block.recurrent_block.convgru2.convr.bias"),
        ("raft_large", "fnet.layer2.1.conv1.bias", "feature_encoder.layer2.1.convnormrelu1.0.bias"),
        ("raft_large", "cnet.layer2.1.conv2.bias", "context_encoder.layer2.1.convnormrelu2.0.bias"),
        ("raft_large", "cnet.norm1.running_var", "context_encoder.convnormrelu.1.running_var"),
        ("raft_large", "cnet.layer1.0.norm2.bias", "context_encoder.layer1.0.convnormrelu2.1.bias"),
        ("raft_large", "cnet.layer3.0.downsample.1.bias", "context_encoder.layer3.0.downsample.1.bias"),
        ("raft_large", "update_block.mask.0.bias", "mask_predictor.convrelu.0.bias"),
    ],
)
def test_tensors_of_one_shape_go_to_their_own_place(architecture, theirs, ours):
    assert torch.equal(canonical(architecture)[ours], published(architecture)[f"module.{theirs}"])


def test_canonical_names_are_left_as_they_are():
    tensors = canonical("raft_large")
    again = canonical_raft(tensors, origin="raft.pth")
    assert again[:2] == ("raft_large", "torchvision")
    assert again[2].keys() == tensors.keys()
    assert not any("num_batches_tracked" in name for name in tensors)


def test_the_shipped_weights_are_a_whole_raft_small():
    tensors = load_file(SHIPPED)
    assert check_raft_tensors(tensors, origin=str(SHIPPED)) == "raft_small"
    assert sum(value.numel() for value in tensors.values()) == 990_162
    assert {value.dtype for value in tensors.values()} == {torch.float32}


def test_the_shipped_weights_are_the_published_ones(tmp_path):
    if not PUBLISHED.exists():
        pytest.skip(f"{PUBLISHED} is not here: the published RAFT-small checkpoint")
    converted = convert(PUBLISHED, tmp_path / "raft.safetensors")
    assert (converted.architecture, converted.layout) == ("raft_small", "princeton-vl")
    made, shipped = load_file(converted.path), load_file(SHIPPED)
    assert made.keys() == shipped.keys()
    assert all(torch.equal(made[name], shipped[name]) for name in made)


def test_a_name_that_raft_does_not_have_is_refused():
    state = published("raft_small") | {"module.fnet.layer9.0.attention": torch.zeros(1)}
    with pytest.raises(WeightsError, match=r"raft.pth holds 'fnet.layer9.0.attention'") as caught:
        canonical_raft(state, origin="raft.pth")
    assert caught.value.exit_code == 5


def test_a_norm_of_the_shortcut_that_has_no_second_copy_is_not_dropped_in_silence():
    state = published("raft_large")
    del state["module.cnet.layer2.0.downsample.1.weight"]
    with pytest.raises(WeightsError, match=r"norm3\.weight"):
        canonical_raft(state, origin="raft.pth")


def test_missing_misshapen_and_damaged_tensors_are_told_by_name():
    tensors = canonical("raft_small")
    del tensors["feature_encoder.conv.bias"]
    tensors["context_encoder.conv.bias"] = torch.zeros(7)
    tensors["update_block.flow_head.conv2.bias"] = torch.tensor([torch.nan, 0.0])
    with pytest.raises(WeightsError) as caught:
        check_raft_tensors(tensors, origin="raft.safetensors")
    message = str(caught.value)
    assert "raft.safetensors is not a whole raft_small: 3 differences" in message
    assert "feature_encoder.conv.bias: expected (128,), found nothing" in message
    assert "context_encoder.conv.bias: expected (160,), found (7,)" in message
    assert "update_block.flow_head.conv2.bias: holds NaN or infinity" in message


@pytest.mark.parametrize(
    "tensors",
    [
        {},
        {"conv3d_1a_7x7.weight": torch.zeros(64, 3, 7, 7, 7)},
        {"feature_encoder.convnormrelu.0.weight": torch.zeros(48, 3, 7, 7)},
        {"feature_encoder.convnormrelu.0.weight": torch.tensor(1.0)},
    ],
)
def test_what_is_not_raft_is_refused(tensors):
    with pytest.raises(WeightsError, match="does not hold RAFT weights"):
        check_raft_tensors(tensors, origin="other.safetensors")


def test_an_unknown_architecture_is_refused_with_the_known_ones():
    with pytest.raises(WeightsError) as caught:
        build_raft("raft_huge")
    assert "raft_small, raft_large" in caught.value.hint
