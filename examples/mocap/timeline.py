"""What the figure does and when: a list of acts, joined so that the body stays whole.

Each act starts where the one before it left the figure, facing as it faces (or as the act asks). What
differs at the joint (angles, height, speed over the floor) is carried into the new act as an offset that
fades within a fraction of a second, which game animators call inertialisation
(Bollo 2018, "Inertialization: High-Performance Animation Transitions in Gears of War", GDC).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from . import rotations
from .motions import Motion, Poses

FPS = 25
_BLEND_S = 0.4
_STEP_S = 1e-3  # for speeds by differences
_MAX_CARRY_RAD = 1.5  # a fast limb swings on by at most this times a quarter of the blend


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that the figure does.

    Attributes:
        motion: name of the clip, or "stand".
        repeats: how often, one after the other.
        label: class name in the ground truth; None is unlabelled background.
        facing_deg: direction on the floor to face as each repeat begins; None goes on as before.
        speed: 1 is as recorded.
        mirrored: left and right exchanged.
        part: only this stretch of the clip, in its own seconds; None is all of it.
        backwards: from the end of the clip to its beginning.

    Raises:
        ValueError: no repeats, or a speed that is not positive.
    """

    motion: str
    repeats: int = 1
    label: str | None = None
    facing_deg: float | None = None
    speed: float = 1.0
    mirrored: bool = False
    part: tuple[float, float] | None = None
    backwards: bool = False

    def __post_init__(self) -> None:
        if self.repeats < 1 or not self.speed > 0:
            raise ValueError(f"act {self.motion!r}: {self.repeats} repeats at speed {self.speed}")


@dataclass(frozen=True, slots=True)
class Labelled:
    """An interval of the ground truth, in seconds."""

    label: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Performance:
    """A staged timeline.

    Attributes:
        poses: one for each frame, `FPS` a second.
        truth: the labelled acts, neighbours of one label joined.
    """

    poses: Poses
    truth: tuple[Labelled, ...]

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.poses) / FPS


@dataclass(frozen=True, slots=True)
class _Take:
    """One pass of a motion, set on the floor, with the offsets that it inherits.

    Attributes:
        motion: what is played.
        speed: how fast.
        yaw_rad: turn of the clip on the floor.
        origin_3: where the clip's first root position comes to lie on the floor (z is not moved).
        drift_3: inherited speed of the root beyond the clip's own, metres a second.
        height_m: inherited height of the root above the clip's own.
        turn_3, ball_J3, hinge_K: inherited angles; their speeds follow with `_speed`.
    """

    motion: Motion
    speed: float
    yaw_rad: float
    origin_3: Float64[np.ndarray, "3"]
    drift_3: Float64[np.ndarray, "3"]
    height_m: float
    turn_3: Float64[np.ndarray, "3"]
    turn_speed_3: Float64[np.ndarray, "3"]
    ball_J3: Float64[np.ndarray, "8 3"]
    ball_speed_J3: Float64[np.ndarray, "8 3"]
    hinge_K: Float64[np.ndarray, "4"]
    hinge_speed_K: Float64[np.ndarray, "4"]
    blend_s: float

    @property
    def duration_s(self) -> float:
        return self.motion.duration_s / self.speed

    def at(self, time_s: Float64[np.ndarray, "n"]) -> Poses:
        """The poses at some times of this take."""
        clip = _placed(self.motion.at(time_s * self.speed), self.yaw_rad, self.origin_3)
        s = np.clip(time_s / self.blend_s, 0.0, 1.0)
        place, speed = _fading(s, self.blend_s)
        root = clip.root_T3 + self.drift_3 * (self.blend_s * (s - s**3 + s**4 / 2))[:, None]
        root[:, 2] = clip.root_T3[:, 2] + self.height_m * place + self.drift_3[2] * speed
        turn = self.turn_3 * place[:, None] + self.turn_speed_3 * speed[:, None]
        ball = self.ball_J3 * place[:, None, None] + self.ball_speed_J3 * speed[:, None, None]
        return Poses(
            root,
            rotations.multiply(rotations.from_vector(turn), clip.turn_T4),
            rotations.multiply(rotations.from_vector(ball), clip.ball_TJ4),
            clip.hinge_TK + self.hinge_K * place[:, None] + self.hinge_speed_K * speed[:, None],
        )


def _fading(
    s: Float64[np.ndarray, "n"], blend_s: float
) -> tuple[Float64[np.ndarray, "n"], Float64[np.ndarray, "n"]]:
    """Cubic Hermite weights by which an offset and its speed fade to nothing as s goes from 0 to 1."""
    return 2 * s**3 - 3 * s**2 + 1, blend_s * (s**3 - 2 * s**2 + s)


def _placed(poses: Poses, yaw_rad: float, origin_3: Float64[np.ndarray, "3"]) -> Poses:
    """Poses turned about the vertical and moved on the floor."""
    yaw = rotations.about_z(yaw_rad)
    root = rotations.rotate(yaw, poses.root_T3) + origin_3
    return Poses(root, rotations.multiply(yaw, poses.turn_T4), poses.ball_TJ4, poses.hinge_TK)


def _speeds(poses: Poses) -> tuple[Float64[np.ndarray, "3"], ...]:
    """Root, turn, joint and hinge speeds from two poses `_STEP_S` apart."""
    turn = rotations.to_vector(rotations.multiply(poses.turn_T4[1], rotations.inverse(poses.turn_T4[0])))
    ball = rotations.to_vector(rotations.multiply(poses.ball_TJ4[1], rotations.inverse(poses.ball_TJ4[0])))
    steps = (poses.root_T3[1] - poses.root_T3[0], turn, ball, poses.hinge_TK[1] - poses.hinge_TK[0])
    return tuple(step / _STEP_S for step in steps)


def _first_take(motion: Motion, speed: float, facing_rad: float) -> _Take:
    start = motion.at(np.zeros(1))
    yaw = facing_rad - rotations.heading_rad(start.turn_T4[0])
    origin = -rotations.rotate(rotations.about_z(yaw), start.root_T3[0]) * np.array([1.0, 1.0, 0.0])
    zero_3, zero_J3, zero_K = np.zeros(3), np.zeros((8, 3)), np.zeros(4)
    return _Take(
        motion, speed, yaw, origin, zero_3, 0.0, zero_3, zero_3, zero_J3, zero_J3, zero_K, zero_K, _BLEND_S
    )


def _next_take(before: _Take, motion: Motion, speed: float, facing_rad: float | None) -> _Take:
    """The take that follows another without a jump."""
    end = before.at(np.array([before.duration_s - _STEP_S, before.duration_s]))
    clip = motion.at(np.array([0.0, _STEP_S * speed]))
    was_rad = rotations.heading_rad(end.turn_T4[1])
    yaw = (was_rad if facing_rad is None else facing_rad) - rotations.heading_rad(clip.turn_T4[0])
    clip = _placed(clip, yaw, np.zeros(3))
    origin = (end.root_T3[1] - clip.root_T3[0]) * np.array([1.0, 1.0, 0.0])
    root, turn, ball, hinge = (a - b for a, b in zip(_speeds(end), _speeds(clip), strict=True))
    turn_3 = rotations.to_vector(rotations.multiply(end.turn_T4[1], rotations.inverse(clip.turn_T4[0])))
    ball_J3 = rotations.to_vector(rotations.multiply(end.ball_TJ4[1], rotations.inverse(clip.ball_TJ4[0])))
    # A turn on the spot takes its time: half a second more for half a circle.
    blend_s = _BLEND_S + 0.5 * float(np.linalg.norm(turn_3)) / np.pi
    limit = _MAX_CARRY_RAD / blend_s
    return _Take(
        motion=motion,
        speed=speed,
        yaw_rad=yaw,
        origin_3=origin,
        drift_3=root,
        height_m=float(end.root_T3[1, 2] - clip.root_T3[0, 2]),
        turn_3=turn_3,
        turn_speed_3=np.clip(turn, -limit, limit),
        ball_J3=ball_J3,
        ball_speed_J3=np.clip(ball, -limit, limit),
        hinge_K=end.hinge_TK[1] - clip.hinge_TK[0],
        hinge_speed_K=np.clip(hinge, -limit, limit),
        blend_s=min(blend_s, motion.duration_s / speed),
    )


def perform(timeline: Sequence[Act], motion_of: Callable[[str], Motion]) -> Performance:
    """Join acts into one continuous performance.

    Args:
        timeline: the acts in order.
        motion_of: from a clip's name to the clip.

    Raises:
        ValueError: the timeline is empty.
    """
    if not timeline:
        raise ValueError("a timeline needs at least one act")
    parts: list[Poses] = []
    truth: list[Labelled] = []
    take: _Take | None = None
    start_s = 0.0
    n_frames = 0
    for act in timeline:
        motion = motion_of(act.motion)
        motion = motion.part(*act.part) if act.part else motion
        motion = motion.mirrored() if act.mirrored else motion
        motion = motion.backwards() if act.backwards else motion
        facing_rad = None if act.facing_deg is None else float(np.radians(act.facing_deg))
        act_start_s = start_s
        for _ in range(act.repeats):
            if take is None:
                take = _first_take(motion, act.speed, facing_rad or 0.0)
            else:
                take = _next_take(take, motion, act.speed, facing_rad)
            end_s = start_s + take.duration_s
            frames = np.arange(n_frames, int(np.ceil(end_s * FPS - 1e-6)))
            parts.append(take.at(frames / FPS - start_s))
            n_frames += len(frames)
            start_s = end_s
        if act.label is not None:
            _add(truth, Labelled(act.label, act_start_s, start_s))
    return Performance(Poses.joined(parts), tuple(truth))


def _add(truth: list[Labelled], new: Labelled) -> None:
    """Append an interval, or lengthen the last one where it has the same label and touches."""
    if truth and truth[-1].label == new.label and abs(truth[-1].end_s - new.start_s) < 1e-6:
        new = Labelled(new.label, truth.pop().start_s, new.end_s)
    truth.append(new)


def random_timeline(seed: int, actions: Sequence[Act], n_actions: int = 6) -> tuple[Act, ...]:
    """Actions at random, with walking and standing between them, the same for the same seed.

    Args:
        seed: any number.
        actions: what to choose from; repeats, speed, facing and mirroring are varied.
        n_actions: how many are chosen.

    Raises:
        ValueError: there is nothing to choose from.
    """
    if not actions:
        raise ValueError("a random timeline needs actions to choose from")
    rng = np.random.default_rng([seed, 0])
    acts = [_interlude(rng)]
    for _ in range(n_actions):
        action = actions[int(rng.integers(len(actions)))]
        facing = (
            rng.uniform(-180, 180) if action.facing_deg is None else action.facing_deg + rng.normal(0, 12)
        )
        acts.append(
            replace(
                action,
                repeats=max(1, action.repeats + int(rng.integers(-1, 2))),
                facing_deg=float(facing),
                speed=action.speed * float(rng.uniform(0.88, 1.12)),
                mirrored=bool(rng.random() < 0.5),
            )
        )
        acts.append(_interlude(rng))
    return tuple(acts)


def _interlude(rng: np.random.Generator) -> Act:
    """Some walking or standing, unlabelled."""
    motion = "walk" if rng.random() < 0.7 else "stand"
    return Act(
        motion,
        repeats=int(rng.integers(1, 4)),
        facing_deg=float(rng.uniform(-180, 180)),
        speed=float(rng.uniform(0.85, 1.1)),
        mirrored=bool(rng.random() < 0.5),
    )
