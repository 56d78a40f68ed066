from math import prod

import pytest

from weights.architecture import FEATURE_DIM, UnitShape, i3d_shapes, i3d_units


@pytest.mark.parametrize(("stream", "n_bytes"), [("rgb", 50_818_176), ("flow", 50_730_368)])
def test_sizes_are_those_of_the_published_checkpoints(stream, n_bytes):
    # DeepMind's .data files: float32 kernels, three vectors a batch norm, the classifier's bias.
    units = i3d_units(stream)
    classifier = units["logits"]
    assert (classifier.n_in, classifier.n_out) == (FEATURE_DIM, 400)
    n_kernel_values = sum(prod(unit.weight) for unit in units.values())
    n_normed = sum(unit.n_out for unit in units.values()) - classifier.n_out
    assert 4 * (n_kernel_values + 3 * n_normed + classifier.n_out) == n_bytes


def test_streams_differ_in_the_stem_alone():
    rgb, flow = i3d_shapes("rgb"), i3d_shapes("flow")
    assert {name for name in rgb if rgb[name] != flow[name]} == {"conv3d_1a_7x7.weight"}
    assert flow["conv3d_1a_7x7.weight"] == (64, 2, 7, 7, 7)


def test_a_unit_without_channels_is_refused():
    with pytest.raises(ValueError, match="positive"):
        UnitShape(0, 64, 1)
