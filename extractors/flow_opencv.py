"""TV-L1 and DIS optical flow, computed by OpenCV on grey frames.

OpenCV splits a pair's work over its threads and the result does not depend on their number.
"""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from extractors.errors import OptionError
from extractors.flow import check_frames
from extractors.flow_config import DisConfig, OpenCvTvL1Config


class OpenCvFlow:
    """A flow estimator (see `extractors.flow.FlowEstimator`) around one of OpenCV's algorithms.

    Attributes:
        config: what it was made from.
    """

    def __init__(self, config: OpenCvTvL1Config | DisConfig) -> None:
        self.config = config
        self._algorithm: cv2.DenseOpticalFlow = (
            _tvl1(config) if isinstance(config, OpenCvTvL1Config) else _dis(config)
        )

    def __call__(self, frames: UInt8[np.ndarray, "n h w 3"]) -> Float32[np.ndarray, "m 2 h w"]:
        """Flow from each frame to the next: m = n - 1 fields in pixels, (x, y).

        Raises:
            OptionError: the frames are smaller than DIS can work with.
            ValueError: there is no frame, or they are not 8-bit RGB.
        """
        n_frames, height, width = check_frames(frames)
        self._check_size(height, width)
        flow_NCHW = np.empty((n_frames - 1, 2, height, width), np.float32)
        grey = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames)
        for index, (before, after) in enumerate(pairwise(grey)):
            flow_NCHW[index] = np.moveaxis(self._algorithm.calc(before, after, None), -1, 0)
        return flow_NCHW

    def _check_size(self, height: int, width: int) -> None:
        """A patch must fit the finest level; TV-L1 drops levels instead and takes a single pixel."""
        if isinstance(self.config, OpenCvTvL1Config):
            return
        # Half as much again as a patch is OpenCV's own limit at full size; twice is on the safe side.
        least = self.config.patch_px << max(self.config.finest_scale, 1)
        if min(height, width) < least:
            raise OptionError(
                f"DIS optical flow needs frames of at least {least}x{least} pixels, not {width}x{height}",
                hint="Enlarge the frames (the shorter side is 256 by default), or use the algorithm tvl1.",
            )


def _tvl1(config: OpenCvTvL1Config) -> cv2.optflow.DualTVL1OpticalFlow:
    """OpenCV's DualTVL1 with every parameter set, so that its defaults can change without ours."""
    algorithm = cv2.optflow.DualTVL1OpticalFlow.create()
    algorithm.setTau(config.tau)
    algorithm.setLambda(config.data_weight)
    algorithm.setTheta(config.theta)
    algorithm.setGamma(config.gamma)
    algorithm.setScalesNumber(config.n_scales)
    algorithm.setScaleStep(config.scale_step)
    algorithm.setWarpingsNumber(config.n_warps)
    algorithm.setEpsilon(config.epsilon)
    algorithm.setOuterIterations(config.n_outer)
    algorithm.setInnerIterations(config.n_inner)
    algorithm.setMedianFiltering(config.median_px)
    algorithm.setUseInitialFlow(False)  # pairs must not see one another
    return algorithm


def _dis(config: DisConfig) -> cv2.DISOpticalFlow:
    """OpenCV's DIS with every parameter set, so that its presets can change without ours."""
    algorithm = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    algorithm.setFinestScale(config.finest_scale)
    algorithm.setPatchSize(config.patch_px)
    algorithm.setPatchStride(config.stride_px)
    algorithm.setGradientDescentIterations(config.n_gradient)
    algorithm.setVariationalRefinementIterations(config.n_variational)
    algorithm.setVariationalRefinementAlpha(config.variational_alpha)
    algorithm.setVariationalRefinementDelta(config.variational_delta)
    algorithm.setVariationalRefinementGamma(config.variational_gamma)
    algorithm.setVariationalRefinementEpsilon(config.variational_epsilon)
    algorithm.setUseMeanNormalization(config.mean_normalization)
    algorithm.setUseSpatialPropagation(config.spatial_propagation)
    return algorithm
