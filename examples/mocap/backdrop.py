"""What lies behind the figure: a floor without end, a wall or a row of trees, the sky, and the shadow.

Drawn with numpy rather than by the renderer: a floor of large triangles flickers there, and its shadow
map covers the surroundings of one fixed point only.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt8

from .camera import Camera

Colour = tuple[float, float, float]

_TEXTURE_PX = 512
_HAZE_M = 14.0  # the floor's texture fades to its mean colour over this distance
_SHADE = 0.55


@dataclass(frozen=True, slots=True)
class Backdrop:
    """Textures, RGB in [0, 1], and their sizes.

    Attributes:
        floor_PP3: one tile of the floor.
        tile_m: edge of a tile in metres.
        wall_PP3: one stretch of the wall, its first row at the top.
        wall_m: width of the stretch and height of the wall in metres.
        behind_m: how far behind the figure the wall stands.
        sky: colours at the top of the wall and overhead.
    """

    floor_PP3: Float32[np.ndarray, "p p 3"]
    tile_m: float
    wall_PP3: Float32[np.ndarray, "p p 3"]
    wall_m: tuple[float, float]
    behind_m: float
    sky: tuple[Colour, Colour]

    def draw(self, camera: Camera) -> Float32[np.ndarray, "h w 3"]:
        """The picture without the figure."""
        rays = camera.rays()
        eye = camera.eye_3.astype(np.float32)
        picture = self._sky(rays)
        # The wall is square to the camera, so its depth along the view is one number.
        level = camera.forward_3 * np.array([1.0, 1.0, 0.0])
        reach = np.float32(self._depth_m(camera)) / (
            rays @ (level / np.linalg.norm(level)).astype(np.float32)
        )
        height = eye[2] + reach * rays[..., 2]
        along = (eye @ camera.right_3.astype(np.float32)) + reach * (rays @ camera.right_3.astype(np.float32))
        # Up to the last row: past it the texture would begin again with its first.
        down = np.clip(1 - height / np.float32(self.wall_m[1]), 0, 1 - np.float32(1 / _TEXTURE_PX))
        wall = _sample(self.wall_PP3, along / np.float32(self.wall_m[0]), down)
        picture = np.where(((height >= 0) & (height < self.wall_m[1]))[..., None], wall, picture)
        return np.where((height < 0)[..., None], self._floor(eye, rays), picture)

    def _depth_m(self, camera: Camera) -> float:
        """Distance from the camera to the wall, level."""
        away = camera.eye_3[2] / max(-camera.forward_3[2], 0.05)
        return self.behind_m + min(float(away), 4.0)

    def _sky(self, rays: Float32[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w 3"]:
        rise = np.clip(rays[..., 2:] / 0.6, 0.0, 1.0).astype(np.float32)
        low, high = (np.array(colour, dtype=np.float32) for colour in self.sky)
        return low + rise * (high - low)

    def _floor(
        self, eye: Float32[np.ndarray, "3"], rays: Float32[np.ndarray, "h w 3"]
    ) -> Float32[np.ndarray, "h w 3"]:
        away_m = eye[2] / np.maximum(-rays[..., 2], np.float32(1e-3))
        x = (eye[0] + away_m * rays[..., 0]) / np.float32(self.tile_m)
        y = (eye[1] + away_m * rays[..., 1]) / np.float32(self.tile_m)
        mean = self.floor_PP3.mean(axis=(0, 1))
        sharp = np.exp(-away_m / np.float32(_HAZE_M))[..., None]
        return np.asarray(mean + sharp * (_sample(self.floor_PP3, x, y) - mean))


def shadow(
    camera: Camera, shapes: list[Float64[np.ndarray, "v 3"]], sun: tuple[float, float, float]
) -> Float32[np.ndarray, "h w 1"]:
    """How much light the floor gets in each pixel, in [0, 1]; each shape shades its convex hull.

    Args:
        camera: the view.
        shapes: points of each part of the figure, metres.
        sun: direction towards the light, upwards.
    """
    shade = np.zeros((camera.height, camera.width), dtype=np.float32)
    slope = np.array([sun[0] / sun[2], sun[1] / sun[2], 1.0])
    for points in shapes:
        spots = points - np.maximum(points[:, 2:], 0.0) * slope
        pixels = np.clip(camera.project(spots), -4096, 4096).astype(np.float32)
        cv2.fillConvexPoly(shade, cv2.convexHull(pixels).astype(np.int32), 1.0)
    soft = cv2.GaussianBlur(shade, (0, 0), camera.height / 250)
    return np.asarray(1.0 - (1.0 - _SHADE) * soft, dtype=np.float32)[..., None]


def _sample(
    texture: Float32[np.ndarray, "p p 3"], u: Float32[np.ndarray, "h w"], v: Float32[np.ndarray, "h w"]
) -> Float32[np.ndarray, "h w 3"]:
    """Look up a texture that repeats; u and v count textures, u to the right, v down."""
    x = (u - np.floor(u)) * np.float32(_TEXTURE_PX)
    y = (v - np.floor(v)) * np.float32(_TEXTURE_PX)
    return np.asarray(cv2.remap(texture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP))


def _noise(rng: np.random.Generator, cells: int) -> Float32[np.ndarray, "p p"]:
    """Smooth noise in [0, 1] that repeats without a seam."""
    scale = _TEXTURE_PX // cells
    coarse = np.pad(rng.random((cells, cells), dtype=np.float32), 3, mode="wrap")
    fine = cv2.resize(coarse, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(fine[3 * scale : -3 * scale, 3 * scale : -3 * scale], 0.0, 1.0))


def _mix(weight: Float32[np.ndarray, "p p"], colours: tuple[Colour, Colour]) -> Float32[np.ndarray, "p p 3"]:
    low, high = (np.array(colour, dtype=np.float32) for colour in colours)
    return np.asarray(low + np.clip(weight, 0.0, 1.0)[..., None].astype(np.float32) * (high - low))


def _grid(cells: int, line_px: int) -> Bool[np.ndarray, "p p"]:
    """Lines around cells."""
    return np.asarray((np.indices((_TEXTURE_PX, _TEXTURE_PX)) % (_TEXTURE_PX // cells) < line_px).any(axis=0))


def lawn(rng: np.random.Generator, colours: tuple[Colour, Colour]) -> Float32[np.ndarray, "p p 3"]:
    """Grass, sand or asphalt: grain of several sizes."""
    return _mix(0.3 * _noise(rng, 8) + 0.35 * _noise(rng, 64) + 0.35 * _noise(rng, 256), colours)


def mats(rng: np.random.Generator, colours: tuple[Colour, Colour]) -> Float32[np.ndarray, "p p 3"]:
    """Gym mats: squares in two colours with seams."""
    cell = np.indices((_TEXTURE_PX, _TEXTURE_PX)) // (_TEXTURE_PX // 2)
    tone = (cell.sum(axis=0) % 2).astype(np.float32)
    return _mix(0.1 + 0.75 * tone + 0.15 * _noise(rng, 64) - 0.5 * _grid(2, 5), colours)


def boards(rng: np.random.Generator, colours: tuple[Colour, Colour]) -> Float32[np.ndarray, "p p 3"]:
    """A wooden floor."""
    row = np.arange(_TEXTURE_PX) // (_TEXTURE_PX // 16)
    tone = rng.random(16, dtype=np.float32)[row][:, None]
    grain = np.repeat(_noise(rng, 128)[:, :1], _TEXTURE_PX, axis=1)
    gap = (np.arange(_TEXTURE_PX) % (_TEXTURE_PX // 16) < 2)[:, None]
    return _mix(0.2 + 0.45 * tone + 0.2 * grain + 0.15 * _noise(rng, 16) - 0.5 * gap, colours)


def trees(rng: np.random.Generator, sky: Colour) -> Float32[np.ndarray, "p p 3"]:
    """A row of trees before the sky."""
    leaves = 0.4 * _noise(rng, 16) + 0.4 * _noise(rng, 64) + 0.2 * _noise(rng, 128)
    picture = _mix(leaves, ((0.05, 0.12, 0.04), (0.25, 0.38, 0.14)))
    row = np.arange(_TEXTURE_PX)[:, None] / _TEXTURE_PX
    crown = 0.05 + 0.4 * _noise(rng, 8)[:1] + 0.15 * _noise(rng, 32)[:1]
    picture[row < crown + 0.08 * (_noise(rng, 64) - 0.5)] = sky
    return picture


def hall(rng: np.random.Generator, colours: tuple[Colour, Colour]) -> Float32[np.ndarray, "p p 3"]:
    """The wall of a sports hall: panels above a band of the second colour."""
    band = (np.arange(_TEXTURE_PX)[:, None] > 0.7 * _TEXTURE_PX) * np.ones((1, _TEXTURE_PX), dtype=np.float32)
    picture = _mix(band + 0.1 * _noise(rng, 8), colours)
    return np.asarray(picture * (1.0 - 0.12 * _grid(4, 4)[..., None].astype(np.float32)))


def to_bytes(picture: Float32[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """From [0, 1] to bytes."""
    return np.asarray(np.round(np.clip(picture, 0.0, 1.0) * 255), dtype=np.uint8)
