"""Pictures whose motion is known, for the tests of the optical flow."""

import cv2
import numpy as np


def texture(height, width, seed=0):
    """A smooth random RGB image: structure of a few pixels everywhere."""
    noise = np.random.default_rng(seed).normal(size=(height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def moving(n_frames, shift_x, shift_y, size=144, seed=0):
    """Frames of a texture whose content moves by (shift_x, shift_y) pixels a frame."""
    margin = 40
    image = texture(size + 2 * margin, size + 2 * margin, seed)
    return np.stack(
        [
            image[
                margin - k * shift_y : margin - k * shift_y + size,
                margin - k * shift_x : margin - k * shift_x + size,
            ]
            for k in range(n_frames)
        ]
    )


def grey(frames):
    return np.stack([cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY) for frame in frames])


def end_point_error(flow_NCHW, wanted_NCHW):
    """Distance of two flows at every pixel, px."""
    return np.hypot(*np.moveaxis(flow_NCHW - wanted_NCHW, 1, 0))
