"""Weights of pytorchvideo's `i3d_r50` (an inflated ResNet-50, RGB, Kinetics-400).

The published file (`I3D_8x8_R50.pyth` of pytorchvideo's model zoo) already has the names of the network
that runs, so conversion only takes the training state away. Source:
https://github.com/facebookresearch/pytorchvideo `pytorchvideo/models/hub/resnet.py`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np

from weights.errors import WeightsError
from weights.files import check_kinds
from weights.layouts import check_shapes

ARCHITECTURE = "i3d_r50"
STEM = "blocks.0.conv.weight"
STEM_SHAPE = (64, 3, 5, 7, 7)  # SLOW and C2D, its siblings in the zoo, have other stems

_COUNTER = ".num_batches_tracked"  # batch norm counts its training steps; nothing reads the count here


def is_r50(arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether these are tensors of i3d_r50, by the stem."""
    return STEM in arrays and arrays[STEM].shape == STEM_SHAPE


def canonical_r50(arrays: Mapping[str, np.ndarray], what: str) -> dict[str, np.ndarray]:
    """The network's tensors, float32, without step counters.

    Raises:
        WeightsError: see `check_r50`; or a tensor is not finite.
    """
    counted = {name: array for name, array in arrays.items() if not name.endswith(_COUNTER)}
    check_kinds(counted, what, "Get the file again.")
    kept = {name: array.astype(np.float32) for name, array in counted.items()}
    check_r50(kept, what)
    bad = [name for name, array in kept.items() if not np.isfinite(array).all()]
    if bad:
        raise WeightsError(
            f"{what}: holds NaN or infinity in {', '.join(bad[:5])}", hint="Get the file again."
        )
    return kept


def check_r50(arrays: Mapping[str, np.ndarray], what: str) -> None:
    """See that the tensors are complete and of the right shapes.

    Raises:
        WeightsError: they are not; the message gives the first five differences.
    """
    shapes = _shapes()
    check_shapes(shapes, arrays, what, ARCHITECTURE)


def _shapes() -> dict[str, tuple[int, ...]]:
    """Name -> shape, from the network itself, built without memory."""
    import torch

    with warnings.catch_warnings():
        # pytorchvideo 0.1.5 scripts small functions when it is imported; torch deprecates that.
        warnings.simplefilter("ignore")
        from pytorchvideo.models.hub import i3d_r50
    with torch.device("meta"):
        state = i3d_r50(pretrained=False).state_dict()
    return {name: tuple(value.shape) for name, value in state.items() if not name.endswith(_COUNTER)}
