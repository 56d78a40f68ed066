"""The figure: shapes of a dressed person on the skeleton of pybullet's `humanoid.urdf`, as meshes.

The URDF's own shapes are a sphere or a capsule a bone, with gaps between them. Each bone gets a tapered
tube here, which encloses the URDF's shape; lengths and joints are the URDF's, at a quarter of its size
(one unit is then about a metre and the figure 1.6 m tall).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

URDF = "humanoid/humanoid.urdf"
URDF_SCALE = 0.25

_AROUND = 16

Profile = tuple[tuple[float, float, float, float], ...]


@dataclass(frozen=True, slots=True)
class Part:
    """One shape on one bone.

    Attributes:
        link: the URDF link that carries it.
        cloth: which colour of the look it takes: "skin", "shirt", "trousers", "shoes" or "hair".
        profile: cross-sections from one end to the other as (y, half width in x, half width in z, shift
            in x), metres in the link's own axes (y along the bone, x forward, z to the figure's right).
    """

    link: str
    cloth: str
    profile: Profile


@dataclass(frozen=True, slots=True)
class Mesh:
    """A closed surface.

    Attributes:
        vertices: metres.
        normals: outward, of unit length.
        indices: the vertex numbers of the triangles, three by three, counter-clockwise from outside.
    """

    vertices: Float64[np.ndarray, "v 3"]
    normals: Float64[np.ndarray, "v 3"]
    indices: Int64[np.ndarray, "i"]


def _limb(link: str, cloth: str, top_m: float, bottom_m: float, thick_m: float, thin_m: float) -> Part:
    """A tapered limb with round ends."""
    return Part(
        link,
        cloth,
        (
            (top_m + thick_m * 0.8, 0.02, 0.02, 0.0),
            (top_m + thick_m * 0.5, thick_m * 0.85, thick_m * 0.85, 0.0),
            (top_m, thick_m, thick_m, 0.0),
            (top_m + 0.3 * (bottom_m - top_m), thick_m * 0.98, thick_m * 0.98, 0.0),
            (bottom_m, thin_m, thin_m, 0.0),
            (bottom_m - thin_m * 0.6, thin_m * 0.75, thin_m * 0.75, 0.0),
            (bottom_m - thin_m * 0.95, 0.01, 0.01, 0.0),
        ),
    )


_TORSO: Profile = (
    (-0.14, 0.05, 0.08, 0.0),
    (-0.12, 0.095, 0.13, 0.0),
    (0.0, 0.1, 0.13, 0.0),
    (0.12, 0.118, 0.16, 0.0),
    (0.21, 0.1, 0.175, -0.01),
    (0.26, 0.07, 0.13, -0.015),
    (0.285, 0.03, 0.05, -0.015),
)
_HIPS: Profile = (
    (-0.1, 0.04, 0.06, 0.0),
    (-0.07, 0.09, 0.13, 0.0),
    (0.02, 0.108, 0.155, 0.0),
    (0.1, 0.1, 0.14, 0.0),
    (0.16, 0.07, 0.1, 0.0),
)
_NECK: Profile = ((-0.04, 0.06, 0.07, 0.0), (0.02, 0.052, 0.055, 0.0), (0.1, 0.05, 0.05, 0.01))
_HEAD: Profile = (
    (0.05, 0.02, 0.02, 0.03),
    (0.065, 0.07, 0.055, 0.02),
    (0.12, 0.105, 0.085, 0.005),
    (0.18, 0.108, 0.105, 0.0),
    (0.25, 0.085, 0.08, 0.0),
    (0.28, 0.03, 0.03, 0.0),
)
_HAIR: Profile = (
    (0.09, 0.05, 0.06, -0.06),
    (0.14, 0.085, 0.1, -0.035),
    (0.2, 0.105, 0.11, -0.02),
    (0.26, 0.1, 0.095, -0.01),
    (0.3, 0.05, 0.05, -0.005),
    (0.305, 0.01, 0.01, 0.0),
)
_FOOT: Profile = (
    (0.03, 0.04, 0.03, -0.01),
    (0.0, 0.06, 0.042, 0.0),
    (-0.03, 0.11, 0.047, 0.035),
    (-0.05, 0.12, 0.048, 0.04),
    (-0.051, 0.02, 0.02, 0.04),
)


def parts(bare_arms: bool, bare_legs: bool) -> tuple[Part, ...]:
    """All shapes of the figure.

    Args:
        bare_arms: a T-shirt: skin from the elbow down.
        bare_legs: shorts: skin from the knee down.
    """
    body = [
        Part("root", "trousers", _HIPS),
        Part("chest", "shirt", _TORSO),
        Part("neck", "skin", _NECK),
        Part("neck", "skin", _HEAD),
        Part("neck", "hair", _HAIR),
    ]
    for side in ("right", "left"):
        body += [
            _limb(f"{side}_hip", "trousers", 0.0, -0.41, 0.085, 0.06),
            _limb(f"{side}_knee", "skin" if bare_legs else "trousers", 0.0, -0.39, 0.062, 0.052),
            Part(f"{side}_ankle", "shoes", _FOOT),
            _limb(f"{side}_shoulder", "shirt", -0.02, -0.26, 0.062, 0.05),
            _limb(f"{side}_elbow", "skin" if bare_arms else "shirt", 0.0, -0.22, 0.048, 0.042),
            _limb(f"{side}_wrist", "skin", 0.03, -0.04, 0.042, 0.042),
        ]
    return tuple(body)


def mesh(profile: Profile) -> Mesh:
    """A closed tube through elliptical cross-sections."""
    y_R, half_x_R, half_z_R, shift_R = np.array(profile).T
    angle_A = np.arange(_AROUND) * (2 * np.pi / _AROUND)
    cos_A, sin_A = np.cos(angle_A), np.sin(angle_A)
    rings_RA3 = np.stack(
        [
            half_x_R[:, None] * cos_A + shift_R[:, None],
            np.broadcast_to(y_R[:, None], (len(y_R), _AROUND)),
            half_z_R[:, None] * sin_A,
        ],
        axis=-1,
    )
    along = np.gradient(rings_RA3, axis=0)
    around = np.roll(rings_RA3, -1, axis=1) - np.roll(rings_RA3, 1, axis=1)
    normal = np.cross(along, around)
    inward = np.sum(normal * (rings_RA3 - rings_RA3.mean(axis=(0, 1))), axis=-1, keepdims=True) < 0
    normal = np.where(inward, -normal, normal)
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-9)
    ends = rings_RA3[[0, -1]].mean(axis=1)
    end_normals = np.array([[0.0, np.sign(y_R[0] - y_R[-1]), 0.0], [0.0, np.sign(y_R[-1] - y_R[0]), 0.0]])
    vertices = np.concatenate([rings_RA3.reshape(-1, 3), ends])
    normals = np.concatenate([normal.reshape(-1, 3), end_normals])
    return Mesh(vertices, normals, _outward(vertices, normals, _triangles(len(y_R))))


def _triangles(n_rings: int) -> Int64[np.ndarray, "n 3"]:
    """Triangles between neighbouring rings, and the two caps."""
    here = np.arange(_AROUND)
    there = (here + 1) % _AROUND
    faces = []
    for ring in range(n_rings - 1):
        low, high = ring * _AROUND, (ring + 1) * _AROUND
        faces.append(np.stack([low + here, high + here, high + there], axis=1))
        faces.append(np.stack([low + here, high + there, low + there], axis=1))
    first, last, top = n_rings * _AROUND, n_rings * _AROUND + 1, (n_rings - 1) * _AROUND
    faces.append(np.stack([np.full(_AROUND, first), here, there], axis=1))
    faces.append(np.stack([np.full(_AROUND, last), top + there, top + here], axis=1))
    return np.concatenate(faces)


def _outward(
    vertices: Float64[np.ndarray, "v 3"],
    normals: Float64[np.ndarray, "v 3"],
    faces: Int64[np.ndarray, "n 3"],
) -> Int64[np.ndarray, "i"]:
    """Order each triangle's corners counter-clockwise as seen from outside."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    turned = np.sum(np.cross(b - a, c - a) * normals[faces].sum(axis=1), axis=1) < 0
    faces = np.where(turned[:, None], faces[:, [0, 2, 1]], faces)
    return faces.reshape(-1)
