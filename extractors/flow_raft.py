"""RAFT optical flow: torchvision's network on pairs of frames, in bounded memory.

Shape legend: N frames, M = N - 1 pairs, H and W pixels.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float32, UInt8
from torch import Tensor, nn

from extractors.errors import OptionError
from extractors.flow import check_frames
from extractors.flow_config import RaftConfig
from weights.errors import WeightsError
from weights.raft import build_raft, check_raft_tensors

STRIDE_PX = 8  # RAFT works at an eighth of the size (section 3.1)
MIN_SIZE_PX = 128  # four correlation levels; the last one must hold 2 x 2 cells
# All-pairs correlation is what grows with the frames: (H W / 64)^2 floats a pair, and a third more for
# its pyramid. 64 MiB is 6 pairs of 256 x 340 frames; more at once was not faster on a processor.
_CORRELATION_BYTES = 64 * 2**20


class RaftFlow:
    """A flow estimator (see `extractors.flow.FlowEstimator`) that runs RAFT on one device, in float32.

    Attributes:
        config: what it was made from.
        device: where the network runs.
    """

    def __init__(
        self, config: RaftConfig, *, device: str | torch.device, tensors: Mapping[str, Tensor]
    ) -> None:
        """Set the network up.

        Raises:
            WeightsError: the tensors are not a whole RAFT of the architecture that `config` names.
        """
        self.config = config
        self.device = torch.device(device)
        self._network = _load(config.architecture, tensors, self.device)

    def __call__(self, frames: UInt8[np.ndarray, "n h w 3"]) -> Float32[np.ndarray, "m 2 h w"]:
        """Flow from each frame to the next: m = n - 1 fields in pixels, (x, y).

        Raises:
            OptionError: a side of the frames is under 128 pixels.
            ValueError: there is no frame, or they are not 8-bit RGB.
        """
        n_frames, height, width = check_frames(frames)
        if min(height, width) < MIN_SIZE_PX:
            raise OptionError(
                f"RAFT optical flow needs frames of at least {MIN_SIZE_PX}x{MIN_SIZE_PX} pixels, "
                f"not {width}x{height}",
                hint="Enlarge the frames (the shorter side is 256 by default), or use the algorithm tvl1.",
            )
        flow_MCHW = np.empty((n_frames - 1, 2, height, width), np.float32)
        step = pairs_at_once(height, width)
        for start in range(0, n_frames - 1, step):
            # The copy makes memory-mapped or reversed views acceptable to torch.
            chunk_NHWC = torch.from_numpy(np.array(frames[start : start + step + 1]))
            chunk_NCHW = chunk_NHWC.permute(0, 3, 1, 2).to(self.device)
            flow_MCHW[start : start + step] = self.forward(chunk_NCHW).cpu().numpy()
        return flow_MCHW

    @torch.no_grad()
    def forward(self, frames_NCHW: UInt8[Tensor, "n 3 h w"]) -> Float32[Tensor, "m 2 h w"]:
        """One pass of the network over all pairs of consecutive frames, which are on `self.device`."""
        height, width = frames_NCHW.shape[-2:]
        top, left = _spare(height) // 2, _spare(width) // 2
        margins = (left, _spare(width) - left, top, _spare(height) - top)
        # [0, 255] to [-1, 1], as torchvision's OpticalFlow transform; margins as RAFT's own evaluation.
        images_NCHW = F.pad(frames_NCHW.float() / 127.5 - 1, margins, mode="replicate")
        refinements: list[Tensor] = self._network(
            images_NCHW[:-1], images_NCHW[1:], num_flow_updates=self.config.n_updates
        )
        return refinements[-1][:, :, top : top + height, left : left + width].contiguous()


def pairs_at_once(height: int, width: int) -> int:
    """Pairs that RAFT takes in one pass: it depends on the frame size alone, so results repeat."""
    cells = -(-height // STRIDE_PX) * -(-width // STRIDE_PX)
    return max(1, _CORRELATION_BYTES // (cells * cells * 4 * 4 // 3))


def _spare(length: int) -> int:
    """Pixels missing to the next multiple of RAFT's stride."""
    return -length % STRIDE_PX


def _load(architecture: str, tensors: Mapping[str, Tensor], device: torch.device) -> nn.Module:
    """A network that holds `tensors` on `device`, ready to run."""
    found = check_raft_tensors(tensors, origin="the RAFT weights")
    if found != architecture:
        raise WeightsError(
            f"the RAFT weights are those of {found}, not of {architecture}",
            hint="Name the architecture of the weights, or give other weights.",
        )
    network = build_raft(architecture)
    state = {
        # What is missing are batch norm's step counters, which canonical files leave out.
        name: tensors[name].to(device) if name in tensors else torch.zeros_like(empty, device=device)
        for name, empty in network.state_dict().items()
    }
    network.load_state_dict(state, strict=True, assign=True)
    return network.eval().requires_grad_(False)
