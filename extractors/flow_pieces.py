"""What each stream sees of a piece of video: pictures as they are, or the optical flow between them."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Shaped, UInt8

from extractors.errors import OptionError
from extractors.flow import FlowEstimator, quantize_flow, snippet_flows
from extractors.pieces import Piece, centre_crop


class PieceFlows:
    """The flow of each frame of one video to the next; the last frame's repeats the one before it."""

    def __init__(self, estimate: FlowEstimator) -> None:
        self._estimate = estimate
        self._last: Float32[np.ndarray, "1 2 h w"] | None = None

    def of(
        self, piece: UInt8[np.ndarray, "t h w 3"], following: UInt8[np.ndarray, "h w 3"] | None
    ) -> Float32[np.ndarray, "t 2 h w"]:
        """Flow of each of the next frames, in pixels; `following` is the frame after them, if any."""
        if following is None and len(piece) == 1 and self._last is not None:
            return self._last
        seen = piece if following is None else np.concatenate((piece, following[None]))
        flow_NCHW = snippet_flows(self._estimate, seen, len(piece))
        self._last = flow_NCHW[-1:]
        return flow_NCHW


def stream_pictures(stream: str, piece: Piece, flows: PieceFlows | None) -> Shaped[np.ndarray, "t h w c"]:
    """What one stream sees of a piece, (t, 224, 224, c): 8-bit pictures, or flow in [-1, 1]."""
    if stream == "rgb":
        return centre_crop(piece.frames)
    if flows is None:
        raise OptionError("a flow stream without a flow estimator")
    flow_NCHW = flows.of(piece.frames, piece.following)
    return quantize_flow(np.ascontiguousarray(centre_crop(flow_NCHW.transpose(0, 2, 3, 1))))
