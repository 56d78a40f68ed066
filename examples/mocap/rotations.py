"""Unit quaternions as arrays, in the order (w, x, y, z), and the few operations that staging needs."""

import numpy as np
from jaxtyping import Float64

_TINY = 1e-12


def multiply(
    left: Float64[np.ndarray, "*l 4"], right: Float64[np.ndarray, "*r 4"]
) -> Float64[np.ndarray, "*o 4"]:
    """Hamilton product: the rotation `right`, then the rotation `left`. Leading axes broadcast."""
    lw, lx, ly, lz = np.moveaxis(left, -1, 0)
    rw, rx, ry, rz = np.moveaxis(right, -1, 0)
    product = (
        lw * rw - lx * rx - ly * ry - lz * rz,
        lw * rx + lx * rw + ly * rz - lz * ry,
        lw * ry - lx * rz + ly * rw + lz * rx,
        lw * rz + lx * ry - ly * rx + lz * rw,
    )
    return np.stack(product, axis=-1)


def inverse(quat: Float64[np.ndarray, "*b 4"]) -> Float64[np.ndarray, "*b 4"]:
    """The opposite rotation."""
    return np.asarray(quat * np.array([1.0, -1.0, -1.0, -1.0]))


def rotate(
    quat: Float64[np.ndarray, "*q 4"], vector: Float64[np.ndarray, "*v 3"]
) -> Float64[np.ndarray, "*o 3"]:
    """Turn vectors; leading axes broadcast."""
    pure = np.concatenate([np.zeros((*vector.shape[:-1], 1)), vector], axis=-1)
    return multiply(multiply(quat, pure), inverse(quat))[..., 1:]


def from_vector(vector: Float64[np.ndarray, "*b 3"]) -> Float64[np.ndarray, "*b 4"]:
    """Rotation vector (axis times angle in radians) to quaternion."""
    half = np.linalg.norm(vector, axis=-1, keepdims=True) / 2
    # sin(h) / h, finite at 0; numpy's sinc is sin(pi x) / (pi x)
    return np.concatenate([np.cos(half), np.sinc(half / np.pi) * vector / 2], axis=-1)


def to_vector(quat: Float64[np.ndarray, "*b 4"]) -> Float64[np.ndarray, "*b 3"]:
    """Quaternion to the shortest rotation vector, of length at most pi."""
    short = np.where(quat[..., :1] < 0, -quat, quat)
    sine = np.linalg.norm(short[..., 1:], axis=-1, keepdims=True)
    angle = 2 * np.arctan2(sine, short[..., :1])
    return np.where(sine > _TINY, angle / np.maximum(sine, _TINY), 2.0) * short[..., 1:]


def slerp(
    start: Float64[np.ndarray, "*b 4"], end: Float64[np.ndarray, "*b 4"], fraction: Float64[np.ndarray, "*f"]
) -> Float64[np.ndarray, "*b 4"]:
    """Spherical interpolation along the shorter way; `fraction` in [0, 1] broadcasts against `*b`."""
    step = to_vector(multiply(end, inverse(start)))
    return multiply(from_vector(step * fraction[..., None]), start)


def about_z(angle_rad: float) -> Float64[np.ndarray, "4"]:
    """A turn about the vertical."""
    return np.array([np.cos(angle_rad / 2), 0.0, 0.0, np.sin(angle_rad / 2)])


def heading_rad(quat: Float64[np.ndarray, "4"]) -> float:
    """The direction on the floor that a body with this orientation faces (its own x axis)."""
    forward = rotate(quat, np.array([1.0, 0.0, 0.0]))
    return float(np.arctan2(forward[1], forward[0]))
