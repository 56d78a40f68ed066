"""RAFT optical-flow weights: from the names they are published under to those that are loaded.

The canonical names are those of torchvision's `raft_small` and `raft_large`, because that is the network
that runs. Two layouts are read:

- `princeton-vl`: the checkpoints of https://github.com/princeton-vl/RAFT (`module.fnet.conv1.weight`, ...).
- `torchvision`: torchvision's own checkpoints, which need no renaming.

`weights.convert` opens the files and writes the result. Run beside the published implementation on the
same weights and frames, the converted ones give the same flow (small: 5e-6 px apart on average with a
motion of 4.5 px; large, on random weights: 1e-5 px).

RAFT: Teed and Deng, "RAFT: Recurrent All-Pairs Field Transforms for Optical Flow", ECCV 2020.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from weights.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor, nn

ARCHITECTURES = ("raft_small", "raft_large")

# Channels of the feature encoder's first convolution tell the two architectures apart (RAFT's appendix).
_STEM = "feature_encoder.convnormrelu.0.weight"
_STEM_CHANNELS = {32: "raft_small", 64: "raft_large"}

# Batch norm counts its training steps; nothing reads the count when the network only runs.
COUNTER = "num_batches_tracked"

# princeton-vl name -> torchvision name; the first pattern that matches the whole name counts.
_RENAMES: tuple[tuple[str, str], ...] = (
    (r"(fnet|cnet)\.conv1\.(\w+)", r"\1.convnormrelu.0.\2"),
    (r"(fnet|cnet)\.norm1\.(\w+)", r"\1.convnormrelu.1.\2"),
    (r"(fnet|cnet)\.conv2\.(\w+)", r"\1.conv.\2"),
    (r"((?:fnet|cnet)\.layer\d\.\d)\.conv(\d)\.(\w+)", r"\1.convnormrelu\2.0.\3"),
    (r"((?:fnet|cnet)\.layer\d\.\d)\.norm([12])\.(\w+)", r"\1.convnormrelu\2.1.\3"),
    (r"((?:fnet|cnet)\.layer\d\.\d\.downsample\.[01]\.\w+)", r"\1"),
    (r"update_block\.encoder\.convc(\d)\.(\w+)", r"update_block.motion_encoder.convcorr\1.0.\2"),
    (r"update_block\.encoder\.convf(\d)\.(\w+)", r"update_block.motion_encoder.convflow\1.0.\2"),
    (r"update_block\.encoder\.conv\.(\w+)", r"update_block.motion_encoder.conv.0.\1"),
    (r"update_block\.gru\.conv([zrq])\.(\w+)", r"update_block.recurrent_block.convgru1.conv\1.\2"),
    (r"update_block\.gru\.conv([zrq])(\d)\.(\w+)", r"update_block.recurrent_block.convgru\2.conv\1.\3"),
    (r"(update_block\.flow_head\.conv\d\.\w+)", r"\1"),
    (r"update_block\.mask\.0\.(\w+)", r"mask_predictor.convrelu.0.\1"),
    (r"update_block\.mask\.2\.(\w+)", r"mask_predictor.conv.\1"),
)
# The published residual block registers the norm of its shortcut twice, as `norm3` and as `downsample.1`.
_SHORTCUT_NORM = re.compile(r"((?:fnet|cnet)\.layer\d\.\d)\.norm3\.(\w+)")


def build_raft(architecture: str) -> nn.Module:
    """Torchvision's RAFT without weights, on the meta device: no memory, no random numbers drawn.

    Raises:
        WeightsError: `architecture` is not one of `ARCHITECTURES`.
    """
    import torch
    from torchvision.models import optical_flow

    builders = {"raft_small": optical_flow.raft_small, "raft_large": optical_flow.raft_large}
    if architecture not in builders:
        raise WeightsError(
            f"{architecture!r} is not a RAFT architecture", hint=f"Use one of: {', '.join(ARCHITECTURES)}."
        )
    with torch.device("meta"):
        model: nn.Module = builders[architecture](weights=None, progress=False)
    return model


def check_raft_tensors(tensors: Mapping[str, Tensor], *, origin: str) -> str:
    """Tell the architecture of canonical tensors, and that they are all there and of the right shape.

    Args:
        tensors: by torchvision's names; step counters of batch norm may be there and are not looked at.
        origin: the file the tensors come from, for the message.

    Returns:
        `raft_small` or `raft_large`.

    Raises:
        WeightsError: a tensor is missing, unexpected, of another shape, or holds NaN or infinity.
    """
    stem = tensors.get(_STEM)
    architecture = _STEM_CHANNELS.get(stem.shape[0], "") if stem is not None and stem.ndim == 4 else ""
    if not architecture:
        raise WeightsError(
            f"{origin} does not hold RAFT weights: no {_STEM} with 32 or 64 channels",
            hint="Make the file with `ascnet weights convert` from a published RAFT checkpoint.",
        )
    expected = {
        name: tuple(value.shape)
        for name, value in build_raft(architecture).state_dict().items()
        if not name.endswith(COUNTER)
    }
    found = {name: tuple(value.shape) for name, value in tensors.items() if not name.endswith(COUNTER)}
    differences = [
        f"{name}: expected {expected.get(name, 'nothing')}, found {found.get(name, 'nothing')}"
        for name in sorted(expected.keys() | found.keys())
        if expected.get(name) != found.get(name)
    ]
    differences += [
        f"{name}: holds NaN or infinity"
        for name in sorted(expected.keys() & found.keys())
        if not bool(tensors[name].isfinite().all())
    ]
    if differences:
        raise WeightsError(
            f"{origin} is not a whole {architecture}: {len(differences)} differences, "
            f"first {'; '.join(differences[:5])}",
            hint="Download or convert the checkpoint again.",
        )
    return architecture


def canonical_raft(state: Mapping[str, Tensor], *, origin: str) -> tuple[str, str, dict[str, Tensor]]:
    """Bring a published state dict to canonical names, float32, without batch norm's step counters.

    Args:
        state: tensors by the names of either layout; a leading `module.` (from DataParallel) is dropped.
        origin: the file the tensors come from, for the messages.

    Returns:
        (architecture, layout, tensors by torchvision's names).

    Raises:
        WeightsError: a name belongs to no known layout, or `check_raft_tensors` refuses the result.
    """
    plain = {name.removeprefix("module."): value for name, value in state.items()}
    layout = "torchvision" if _STEM in plain else "princeton-vl"
    tensors: dict[str, Tensor] = {}
    for name, value in plain.items():
        if name.endswith(COUNTER):
            continue
        target = name if layout == "torchvision" else _torchvision_name(name, plain, origin=origin)
        if target is not None:
            tensors[target] = value.detach().float().contiguous()
    return check_raft_tensors(tensors, origin=origin), layout, tensors


def _torchvision_name(name: str, plain: Mapping[str, Tensor], *, origin: str) -> str | None:
    """The canonical name of one published tensor; None for a second copy of another one."""
    shortcut = _SHORTCUT_NORM.fullmatch(name)
    if shortcut is not None and f"{shortcut[1]}.downsample.1.{shortcut[2]}" in plain:
        return None
    for pattern, replacement in _RENAMES:
        match = re.fullmatch(pattern, name)
        if match is not None:
            renamed = match.expand(replacement)
            return renamed.replace("fnet.", "feature_encoder.").replace("cnet.", "context_encoder.")
    raise WeightsError(
        f"{origin} holds {name!r}, which no known RAFT layout has",
        hint="Known layouts: princeton-vl/RAFT checkpoints (small and large) and torchvision's.",
    )
