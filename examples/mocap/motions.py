"""Motion-capture clips: reading them, and the pose at any time.

The clips are the `humanoid3d_*.txt` files that the PyPI package `pybullet` ships (MIT). Their format is
that of DeepMimic (Peng et al. 2018, https://github.com/xbpeng/DeepMimic, "Motion Data"): JSON whose
`Frames` are rows of 44 numbers, a duration in seconds, the root's position (metres, y up) and
quaternion, then the joints in the order of `BALL_JOINTS` and `HINGE_JOINTS` below; ball joints have a
quaternion (w, x, y, z), hinges an angle in radians.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from jaxtyping import Float64

from . import rotations

BALL_JOINTS = (
    "chest", "neck", "right_hip", "right_ankle", "right_shoulder", "left_hip", "left_ankle", "left_shoulder",
)  # fmt: skip
HINGE_JOINTS = ("right_knee", "right_elbow", "left_knee", "left_elbow")

_LEG_M = 0.88  # height of the pelvis over straight legs
_FRAME_NUMBERS = 44
_BALL_COLUMNS = (8, 12, 16, 21, 25, 30, 35, 39)
_HINGE_COLUMNS = (20, 29, 34, 43)
_Y_UP_TO_Z_UP = np.array([np.sqrt(0.5), np.sqrt(0.5), 0.0, 0.0])
_MIRROR = np.array([1.0, -1.0, -1.0, 1.0])  # a rotation seen in a mirror across the body's z axis
_SWAP_BALL = [0, 1, 5, 6, 7, 2, 3, 4]
_SWAP_HINGE = [2, 3, 0, 1]


@dataclass(frozen=True, slots=True)
class Poses:
    """T poses of the figure; metres, z up, quaternions (w, x, y, z).

    Attributes:
        root_T3: where the pelvis is.
        turn_T4: how the pelvis is turned; the figure's own axes are x forward, y up, z to its right.
        ball_TJ4: rotations of `BALL_JOINTS`.
        hinge_TK: angles of `HINGE_JOINTS`, radians.
    """

    root_T3: Float64[np.ndarray, "t 3"]
    turn_T4: Float64[np.ndarray, "t 4"]
    ball_TJ4: Float64[np.ndarray, "t 8 4"]
    hinge_TK: Float64[np.ndarray, "t 4"]

    def __len__(self) -> int:
        return len(self.root_T3)

    def __getitem__(self, rows: slice) -> Self:
        return type(self)(self.root_T3[rows], self.turn_T4[rows], self.ball_TJ4[rows], self.hinge_TK[rows])

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Poses one after the other."""
        return cls(
            np.concatenate([part.root_T3 for part in parts]),
            np.concatenate([part.turn_T4 for part in parts]),
            np.concatenate([part.ball_TJ4 for part in parts]),
            np.concatenate([part.hinge_TK for part in parts]),
        )


@dataclass(frozen=True, slots=True)
class Motion:
    """One recorded clip.

    Attributes:
        name: as in the file name.
        time_T: seconds of each key pose, from 0, rising.
        poses: the key poses.

    Raises:
        ValueError: fewer than two key poses, or times that do not rise.
    """

    name: str
    time_T: Float64[np.ndarray, "t"]
    poses: Poses

    def __post_init__(self) -> None:
        if len(self.time_T) < 2 or len(self.time_T) != len(self.poses):
            raise ValueError(f"motion {self.name!r} has {len(self.time_T)} times, {len(self.poses)} poses")
        if np.any(np.diff(self.time_T) <= 0):
            raise ValueError(f"motion {self.name!r} has key poses whose times do not rise")

    @property
    def duration_s(self) -> float:
        """Seconds from the first key pose to the last."""
        return float(self.time_T[-1])

    def at(self, time_s: Float64[np.ndarray, "n"]) -> Poses:
        """The poses at some times, interpolated; times outside the clip get its first or last pose."""
        time_s = np.clip(time_s, 0.0, self.duration_s)
        right = np.clip(np.searchsorted(self.time_T, time_s, side="right"), 1, len(self.time_T) - 1)
        left = right - 1
        fraction = (time_s - self.time_T[left]) / (self.time_T[right] - self.time_T[left])
        poses, column = self.poses, fraction[:, None]
        return Poses(
            poses.root_T3[left] + column * (poses.root_T3[right] - poses.root_T3[left]),
            rotations.slerp(poses.turn_T4[left], poses.turn_T4[right], fraction),
            rotations.slerp(poses.ball_TJ4[left], poses.ball_TJ4[right], column),
            poses.hinge_TK[left] + column * (poses.hinge_TK[right] - poses.hinge_TK[left]),
        )

    def mirrored(self) -> Self:
        """The same motion with left and right exchanged."""
        flip = self.poses
        # In the clip's own frame (y up) a mirror negates z, which is -y once z is up.
        untilted = rotations.multiply(rotations.inverse(_Y_UP_TO_Z_UP), flip.turn_T4)
        poses = Poses(
            flip.root_T3 * np.array([1.0, -1.0, 1.0]),
            rotations.multiply(_Y_UP_TO_Z_UP, untilted * _MIRROR),
            flip.ball_TJ4[:, _SWAP_BALL] * _MIRROR,
            flip.hinge_TK[:, _SWAP_HINGE],
        )
        return type(self)(self.name, self.time_T, poses)

    def backwards(self) -> Self:
        """The same motion from its end to its beginning: getting up becomes lying down."""
        return type(self)(self.name, self.duration_s - self.time_T[::-1], self.poses[::-1])

    def part(self, start_s: float, end_s: float) -> Self:
        """The stretch between two times, counted from 0 again.

        Raises:
            ValueError: the stretch is empty or reaches outside the clip.
        """
        if not 0.0 <= start_s < end_s <= self.duration_s + 1e-9:
            raise ValueError(f"motion {self.name!r} lasts {self.duration_s:.3f} s: no part {start_s}-{end_s}")
        inner = self.time_T[(self.time_T > start_s) & (self.time_T < end_s)]
        time_T = np.concatenate([[start_s], inner, [end_s]])
        return type(self)(self.name, time_T - start_s, self.at(time_T))


def from_rows(name: str, rows: Float64[np.ndarray, "t 44"]) -> Motion:
    """A motion from the rows of a DeepMimic file."""
    root = rows[:, 1:4]
    ball_TJ4 = np.stack([rows[:, column : column + 4] for column in _BALL_COLUMNS], axis=1)
    turn_T4 = rotations.multiply(_Y_UP_TO_Z_UP, rows[:, 4:8])
    poses = Poses(
        np.stack([root[:, 0], -root[:, 2], root[:, 1]], axis=1),
        turn_T4 / np.linalg.norm(turn_T4, axis=-1, keepdims=True),
        ball_TJ4 / np.linalg.norm(ball_TJ4, axis=-1, keepdims=True),
        rows[:, list(_HINGE_COLUMNS)],
    )
    return Motion(name, np.concatenate([[0.0], np.cumsum(rows[:-1, 0])]), poses)


def load(name: str, folder: Path) -> Motion:
    """Read `humanoid3d_<name>.txt`.

    Args:
        name: for example "run".
        folder: where the package keeps its motions, `pybullet_data/data/motions`.

    Raises:
        ValueError: there is no such motion, or the file is not one.
    """
    path = folder / f"humanoid3d_{name}.txt"
    if not path.is_file():
        known = sorted(file.stem.removeprefix("humanoid3d_") for file in folder.glob("humanoid3d_*.txt"))
        raise ValueError(f"no motion {name!r} in {folder}; there are {', '.join(known) or 'none'}")
    rows = np.asarray(json.loads(path.read_text(encoding="utf-8"))["Frames"], dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != _FRAME_NUMBERS:
        raise ValueError(f"{path}: frames of {_FRAME_NUMBERS} numbers expected, found {rows.shape}")
    return from_rows(name, rows)


def standing(duration_s: float) -> Motion:
    """Standing at ease: arms down, weight moving from one leg to the other, the head looking around.

    Args:
        duration_s: seconds.
    """
    time_T = np.linspace(0.0, duration_s, max(2, round(duration_s * 25) + 1))
    phase_T = 2 * np.pi * time_T / duration_s
    sway_TJ3 = np.zeros((len(time_T), len(BALL_JOINTS), 3))
    sway_TJ3[:, 0, 2] = -0.03 - 0.02 * np.sin(phase_T)  # the chest breathes
    sway_TJ3[:, 1, 1] = 0.35 * np.sin(phase_T)  # the head turns
    lean_T = 0.03 * (1 - np.cos(phase_T))  # the hips move aside, the feet stay
    for hip, ankle in ((2, 3), (5, 6)):
        sway_TJ3[:, hip, 0] = lean_T
        sway_TJ3[:, ankle, 0] = -lean_T
    sway_TJ3[:, 4, 0], sway_TJ3[:, 7, 0] = -0.12, 0.12  # the arms hang clear of the hips
    hinge_TK = np.tile([-0.05, 0.25, -0.05, 0.25], (len(time_T), 1))
    root_T3 = np.stack([0 * time_T, 0.8 * lean_T, np.full(len(time_T), _LEG_M)], axis=1)
    turn_T4 = np.tile(_Y_UP_TO_Z_UP, (len(time_T), 1))
    return Motion("stand", time_T, Poses(root_T3, turn_T4, rotations.from_vector(sway_TJ3), hinge_TK))
