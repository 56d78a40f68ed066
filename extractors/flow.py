"""Optical flow behind one signature, and its scaling for I3D's flow stream.

    estimate = make_flow(TvL1Config())                  # once a process: it is reused for every video
    flow_NCHW = snippet_flows(estimate, frames, 16)     # pixels, (x, y)
    network_input_NCHW = quantize_flow(flow_NCHW)       # [-1, 1]

Flow is measured in pixels from a frame to the next one: channel 0 is the shift to the right, channel 1
the shift down, which is the channel order of the public I3D flow checkpoints.

A pretrained flow stream is sensitive to the algorithm, so every parameter is part of the feature recipe
(`flow_recipe`). TV-L1 is what the public checkpoints were trained on: `tvl1` is ours, with the flow of
OpenCV's defaults in a small part of the time, `tvl1-opencv` the reference itself. DIS is a coarse stand-in
and faster still; RAFT is a network and wants a GPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, UInt8

from extractors.errors import FeatureError, OptionError
from extractors.flow_config import (
    ALGORITHMS,
    FLOW_BOUND_PX,
    FLOW_LEVELS,
    DisConfig,
    FlowConfig,
    OpenCvTvL1Config,
    RaftConfig,
    Recipe,
    TvL1Config,
    flow_config,
    flow_recipe,
)
from extractors.flow_config_tvl1 import TVL1_PRESETS

if TYPE_CHECKING:
    import torch

__all__ = [
    "ALGORITHMS",
    "TVL1_PRESETS",
    "DisConfig",
    "FlowConfig",
    "FlowEstimator",
    "OpenCvTvL1Config",
    "RaftConfig",
    "Recipe",
    "TvL1Config",
    "encode_flow",
    "flow_config",
    "flow_recipe",
    "make_flow",
    "quantize_flow",
    "snippet_flows",
]


@runtime_checkable
class FlowEstimator(Protocol):
    """An algorithm that was set up once and is called for as many frames as there are.

    Pairs of frames do not see one another, so a video may come in pieces that share one frame: the
    flows are those of the whole (to the last bit on the processor, to rounding with RAFT and on a GPU).
    """

    @property
    def config(self) -> FlowConfig:
        """What the estimator was made from."""

    def __call__(self, frames: UInt8[np.ndarray, "n h w 3"]) -> Float32[np.ndarray, "m 2 h w"]:
        """Flow from each frame to the next: m = n - 1 fields in pixels, (x, y).

        Raises:
            OptionError: the frames are smaller than the algorithm can work with.
            ValueError: there is no frame, or they are not 8-bit RGB.
        """


def make_flow(
    config: FlowConfig,
    *,
    device: str | torch.device = "cpu",
    tensors: Mapping[str, torch.Tensor] | None = None,
) -> FlowEstimator:
    """Set an algorithm up.

    Args:
        config: the algorithm and its parameters.
        device: where RAFT runs, and our TV-L1 if it is CUDA; OpenCV's always run on the processor.
        tensors: RAFT's weights by their canonical names (`weights.raft`), for `RaftConfig` alone.

    Raises:
        OptionError: RAFT without tensors, or tensors without RAFT.
        WeightsError: the tensors are not a whole RAFT of the architecture that was asked for.
    """
    # Imported here: a command that reads a recipe needs neither OpenCV nor torch (4 s).
    if isinstance(config, RaftConfig):
        if tensors is None:
            raise OptionError(
                "RAFT needs weights and was given none",
                hint="Use the shipped `raft-small`, or convert a checkpoint with `ascnet weights convert`.",
            )
        from extractors.flow_raft import RaftFlow

        return RaftFlow(config, device=device, tensors=tensors)
    if tensors is not None:
        raise OptionError(
            f"the flow algorithm {config.as_recipe()['algorithm']} takes no weights",
            hint="Leave the flow weights out, or choose the algorithm raft.",
        )
    if isinstance(config, TvL1Config):
        from extractors.flow_tvl1 import TvL1Flow

        return TvL1Flow(config, device=device)
    from extractors.flow_opencv import OpenCvFlow

    return OpenCvFlow(config)


def snippet_flows(
    estimate: FlowEstimator, frames: UInt8[np.ndarray, "n h w 3"], n_flows: int
) -> Float32[np.ndarray, "m 2 h w"]:
    """Flow fields of a stretch of video, one a frame, whether or not the video goes on after it.

    A flow needs the frame after its own, so `n_flows` flows need `n_flows + 1` frames (16 from 17 for a
    snippet). At the end of a video frames are missing: the last flow that exists is repeated, and a
    single frame, which has no motion to show, gives zero flow.

    Args:
        estimate: made by `make_flow`.
        frames: 1 to `n_flows + 1` frames, 8-bit RGB.
        n_flows: how many fields to return; the m of the result.

    Raises:
        ValueError: no frame, or more than `n_flows + 1` of them.
        OptionError: the frames are smaller than the algorithm can work with.
    """
    n_frames, height, width = check_frames(frames)
    if n_frames > n_flows + 1:
        raise ValueError(f"{n_flows} flows come from at most {n_flows + 1} frames, not {n_frames}")
    if n_frames == 1:
        return np.zeros((n_flows, 2, height, width), np.float32)
    flow_NCHW = estimate(frames)
    missing = n_flows - len(flow_NCHW)
    if not missing:
        return flow_NCHW
    return np.concatenate([flow_NCHW, np.repeat(flow_NCHW[-1:], missing, axis=0)])


def encode_flow(flow: Float32[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    """Flow as 8-bit levels: q = rint(255 (clip(f, -20, 20) + 20) / 40), in 0 to 255.

    No movement is level 128 (127.5, rounded half to even). Published extractors differ by up to one level,
    0.16 px: MediaPipe, which DeepMind points to, truncates 127.5 + 6.375 f; dense_flow rounds it, as here;
    video_features rounds 128 + 6.375 f, which reaches 256 at the upper bound. Rounding 127.5 + 6.375 f is
    the one without a bias, and clipping first keeps it in 8 bits.
    Sources: https://github.com/google-deepmind/kinetics-i3d (README, "Sample data and preprocessing"),
    mediapipe/calculators/video/tool/flow_quantizer_model.cc, https://github.com/yjxiong/dense_flow,
    https://github.com/v-iashin/video_features (`ToUInt8`).

    Raises:
        FeatureError: a value is NaN or infinite.
    """
    if not np.isfinite(flow).all():
        raise FeatureError(
            "the optical flow holds NaN or infinity",
            hint="With RAFT, verify its weights (`ascnet weights verify`) or use the algorithm tvl1.",
        )
    scale = np.float32((FLOW_LEVELS - 1) / (2 * FLOW_BOUND_PX))
    shifted = np.clip(flow, -FLOW_BOUND_PX, FLOW_BOUND_PX) + np.float32(FLOW_BOUND_PX)
    return np.asarray(np.rint(shifted * scale), dtype=np.uint8)


def quantize_flow(flow: Float32[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
    """Flow in pixels to what I3D's flow stream takes: 2 q / 255 - 1 with q of `encode_flow`, in [-1, 1].

    Raises:
        FeatureError: a value is NaN or infinite.
    """
    half = np.float32((FLOW_LEVELS - 1) / 2)  # 127.5 is exact in binary, so level 255 gives 1 and no more
    return np.asarray(encode_flow(flow) / half - np.float32(1), dtype=np.float32)


def check_frames(frames: UInt8[np.ndarray, "n h w 3"]) -> tuple[int, int, int]:
    """(frames, height, width) of 8-bit RGB frames.

    Raises:
        ValueError: the array is of another type or shape, or empty.
    """
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or frames.size == 0:
        raise ValueError(f"expected (n, h, w, 3) uint8 frames, not {frames.shape} {frames.dtype}")
    return frames.shape[0], frames.shape[1], frames.shape[2]
