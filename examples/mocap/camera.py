"""A pinhole camera on the floor's side, and the soft way in which it follows a figure."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Float64

from .timeline import FPS

_UPRIGHT_M = 0.88  # height of the pelvis of the standing figure


@dataclass(frozen=True, slots=True)
class Camera:
    """Where a camera is and what it sees.

    Attributes:
        eye_3: position in metres, z up.
        right_3, up_3, forward_3: its axes, unit vectors.
        focal_px: focal length in pixels.
        width, height: of the frame, pixels.
    """

    eye_3: Float64[np.ndarray, "3"]
    right_3: Float64[np.ndarray, "3"]
    up_3: Float64[np.ndarray, "3"]
    forward_3: Float64[np.ndarray, "3"]
    focal_px: float
    width: int
    height: int

    def scaled(self, factor: float) -> "Camera":
        """The same view in another number of pixels."""
        width, height = round(self.width * factor), round(self.height * factor)
        return replace(self, focal_px=self.focal_px * factor, width=width, height=height)

    def project(self, points: Float64[np.ndarray, "n 3"]) -> Float64[np.ndarray, "n 2"]:
        """Pixel positions (x right, y down) of points in front of the camera."""
        seen = points - self.eye_3
        scale = self.focal_px / np.maximum(seen @ self.forward_3, 0.05)
        x = self.width / 2 + (seen @ self.right_3) * scale
        y = self.height / 2 - (seen @ self.up_3) * scale
        return np.stack([x, y], axis=1)

    def rays(self) -> Float32[np.ndarray, "h w 3"]:
        """The direction through the middle of each pixel; one metre deep, not of unit length."""
        x = (np.arange(self.width) + 0.5 - self.width / 2) / self.focal_px
        y = (self.height / 2 - np.arange(self.height) - 0.5) / self.focal_px
        rays = self.forward_3 + x[None, :, None] * self.right_3 + y[:, None, None] * self.up_3
        return np.asarray(rays, dtype=np.float32)


def looking(
    aim_3: Float64[np.ndarray, "3"],
    angle_deg: float,
    tilt_deg: float,
    distance_m: float,
    lens_deg: float,
    width: int,
    height: int,
) -> Camera:
    """A camera that looks at a point.

    Args:
        aim_3: the point.
        angle_deg: where it stands: at 0 it looks along +y and sees +x to the right; rising angles go
            counter-clockwise around the point, as seen from above.
        tilt_deg: how far it looks down.
        distance_m: from the point.
        lens_deg: vertical field of view.
        width: of the frame, pixels.
        height: of the frame, pixels.
    """
    angle, tilt = np.radians(angle_deg), np.radians(tilt_deg)
    level = np.array([-np.sin(angle), np.cos(angle), 0.0])
    right = np.array([np.cos(angle), np.sin(angle), 0.0])
    forward = np.cos(tilt) * level - np.array([0.0, 0.0, np.sin(tilt)])
    focal_px = height / 2 / np.tan(np.radians(lens_deg) / 2)
    return Camera(
        aim_3 - distance_m * forward, right, np.cross(right, forward), forward, float(focal_px), width, height
    )


def follow(
    root_T3: Float64[np.ndarray, "t 3"], aim_m: float, softness_s: float
) -> Float64[np.ndarray, "t 3"]:
    """Where to look: the figure's way over the floor, smoothed in time by a Gaussian.

    Args:
        root_T3: the pelvis in metres, `FPS` a second.
        aim_m: the height to look at while the figure stands; a third of its rises and falls is followed.
        softness_s: standard deviation in seconds, above 0.
    """
    reach = int(np.ceil(3 * softness_s * FPS))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / (softness_s * FPS)) ** 2)
    padded = np.pad(root_T3, ((reach, reach), (0, 0)), mode="edge")
    columns = [np.convolve(column, kernel / kernel.sum(), mode="valid") for column in padded.T]
    columns[2] = aim_m + (columns[2] - _UPRIGHT_M) / 3
    return np.stack(columns, axis=1)
