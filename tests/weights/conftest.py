"""Random I3D checkpoints in every published layout, and a plain forward pass to compare them by.

Channel counts are an eighth of the real ones (the stem excepted), so that a checkpoint takes
milliseconds; everything else about it is as published.
"""

import pickle
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from weights import architecture, layouts

SMALL_CLASSES = 12
POOL_BEFORE = {"mixed_4b": (3, 3, 3), "mixed_5b": (2, 2, 2)}


@dataclass(frozen=True)
class RandomUnit:
    """One unit before any folding, kernel (O, I, T, H, W), vectors (O,)."""

    kernel: np.ndarray
    bias: np.ndarray
    gain: np.ndarray
    shift: np.ndarray
    mean: np.ndarray
    variance: np.ndarray


@pytest.fixture
def small_i3d(monkeypatch):
    """Make every I3D of this test an eighth as wide."""
    widths = {name: tuple(n // 8 for n in sizes) for name, sizes in architecture.MIXED_WIDTHS.items()}
    monkeypatch.setattr(architecture, "MIXED_WIDTHS", widths)
    monkeypatch.setattr(architecture, "N_CLASSES", SMALL_CLASSES)


@pytest.fixture
def random_units(small_i3d):
    """(stream, gains) -> random units by canonical name; without gains, batch norm's gain is 1."""

    def make(stream, gains=False):
        rng = np.random.default_rng(7)
        units = {}
        for name, shape in architecture.i3d_units(stream).items():
            n = shape.n_out
            fan_in = np.prod(shape.weight[1:])
            gain = rng.uniform(0.1, 0.3, n) if gains else np.ones(n)
            arrays = (
                rng.normal(0, np.sqrt(2 / fan_in), shape.weight),
                rng.normal(0, 0.1, n),
                gain,
                rng.normal(0, 0.1, n),
                rng.normal(0, 0.1, n),
                rng.uniform(0.001, 0.05, n),  # small: a wrong epsilon shows
            )
            units[name] = RandomUnit(*(array.astype(np.float32) for array in arrays))
        return units

    return make


@pytest.fixture
def publish():
    """(units, layout name, stream) -> the arrays as that layout names and orders them."""

    def arrange(units, layout_name, stream):
        (layout,) = (known for known in layouts.LAYOUTS if known.name == layout_name)
        arrays = {}
        for unit, values in units.items():
            names = layout.names(unit, stream)
            arrays[names.kernel] = values.kernel.transpose(np.argsort(layout.kernel_axes))
            for name, vector in (
                (names.bias, values.bias),
                (names.gain, values.gain),
                (names.shift, values.shift),
                (names.mean, values.mean),
                (names.variance, values.variance),
            ):
                if name is not None:
                    arrays[name] = vector
        return arrays

    return arrange


@pytest.fixture
def published_forward():
    """(clip, units) -> logits map, with batch norm where the published networks have it."""

    def run(clip, units):
        def unit(x, name, stride=1):
            values = units[name]
            x = _conv(x, torch.from_numpy(values.kernel), None, stride)
            x = F.batch_norm(
                x,
                torch.from_numpy(values.mean),
                torch.from_numpy(values.variance),
                torch.from_numpy(values.gain),
                torch.from_numpy(values.shift),
                eps=1e-3,
            )
            return F.relu(x)

        logits = units["logits"]
        return F.conv3d(
            _feature_map(clip, unit), torch.from_numpy(logits.kernel), torch.from_numpy(logits.bias)
        )

    return run


@pytest.fixture
def canonical_forward():
    """(clip, tensors) -> logits map of canonical weights: convolution, bias, ReLU."""

    def run(clip, tensors):
        def unit(x, name, stride=1):
            return F.relu(_conv(x, tensors[f"{name}.weight"], tensors[f"{name}.bias"], stride))

        return F.conv3d(_feature_map(clip, unit), tensors["logits.weight"], tensors["logits.bias"])

    return run


@pytest.fixture
def flax_pickle():
    """Arrays named "a/b/c" -> the bytes of a pickle of nested dictionaries, as flax keeps them."""

    def dump(arrays, protocol=4):
        tree = {}
        for name, array in arrays.items():
            head, *scopes, kind, leaf = name.split("/")
            place = tree.setdefault(head, {}).setdefault("/".join(scopes[:1]), {})
            if len(scopes) > 1:
                place = place.setdefault("/".join(scopes[1:]), {})
            place.setdefault(kind, {})[leaf] = np.ascontiguousarray(array)
        return pickle.dumps(tree, protocol=protocol)

    return dump


def _conv(x, weight, bias, stride):
    return F.conv3d(_same_pad(x, weight.shape[2:], (stride,) * 3), weight, bias, stride=stride)


def _pool(x, kernel, stride):
    # Values are never negative after a ReLU, so zero padding cannot win over a real value.
    return F.max_pool3d(_same_pad(x, kernel, stride), kernel, stride)


def _same_pad(x, kernel, stride):
    """Pad as TensorFlow's 'SAME': ceil(n / stride) outputs, the odd cell at the end."""
    pads = []
    for size, k, s in zip(x.shape[2:], kernel, stride, strict=True):
        total = max((-(-size // s) - 1) * s + k - size, 0)
        pads.append((total // 2, total - total // 2))
    return F.pad(x, [p for pair in reversed(pads) for p in pair])


def _feature_map(clip, unit):
    """(B, C, T, H, W) -> (B, D, T/8, H/32, W/32); `unit(x, name, stride)` is one convolution unit."""
    x = _pool(unit(clip, "conv3d_1a_7x7", 2), (1, 3, 3), (1, 2, 2))
    x = unit(unit(x, "conv3d_2b_1x1"), "conv3d_2c_3x3")
    x = _pool(x, (1, 3, 3), (1, 2, 2))
    for name in architecture.MIXED_WIDTHS:
        if name in POOL_BEFORE:
            x = _pool(x, POOL_BEFORE[name], (2, 2, 2))
        branches = (
            unit(x, f"{name}.b0"),
            unit(unit(x, f"{name}.b1a"), f"{name}.b1b"),
            unit(unit(x, f"{name}.b2a"), f"{name}.b2b"),
            unit(_pool(x, (3, 3, 3), (1, 1, 1)), f"{name}.b3b"),
        )
        x = torch.cat(branches, dim=1)
    return x
