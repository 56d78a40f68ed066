"""The stage: the dressed figure before its backdrop, seen by a camera that follows it.

The figure is drawn on the CPU by pybullet's TinyRenderer; no display and no GPU are needed.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import cv2
import numpy as np
import pybullet
import pybullet_data
from jaxtyping import Float64, UInt8
from numpy.lib.stride_tricks import sliding_window_view

from . import backdrop, figure, rotations
from .backdrop import Colour
from .camera import Camera, follow, looking
from .look import Look, surroundings
from .motions import BALL_JOINTS, HINGE_JOINTS, Poses
from .timeline import FPS

_OVERSAMPLE = 2  # the renderer does not smooth edges
_NEAR_M, _FAR_M = 0.2, 60.0
_LIFT_REACH = 2  # frames to each side over which the figure is raised early and let down late
_DATA = Path(pybullet_data.getDataPath())

MOTIONS = _DATA / "data" / "motions"


class Stage:
    """A pybullet world with the figure in it; use as a context manager.

    Args:
        look: how it looks.
        width: of the frames, pixels.
        height: of the frames, pixels.
    """

    def __init__(self, look: Look, width: int, height: int) -> None:
        self._look = look
        self._size = (width, height)
        self._backdrop = surroundings(look)
        self._parts = figure.parts(look.bare_arms, look.bare_legs)
        self._meshes = [figure.mesh(part.profile) for part in self._parts]

    def __enter__(self) -> Self:
        self._client: int = pybullet.connect(pybullet.DIRECT)
        self._skeleton: int = pybullet.loadURDF(
            str(_DATA / figure.URDF),
            globalScaling=figure.URDF_SCALE,
            useFixedBase=True,
            physicsClientId=self._client,
        )
        n_links = pybullet.getNumJoints(self._skeleton, physicsClientId=self._client)
        infos = [
            pybullet.getJointInfo(self._skeleton, link, physicsClientId=self._client)
            for link in range(n_links)
        ]
        self._link_of: dict[str, int] = {info[12].decode(): info[0] for info in infos}
        self._bodies = [self._dress(part, mesh) for part, mesh in zip(self._parts, self._meshes, strict=True)]
        for link in range(-1, n_links):
            pybullet.changeVisualShape(
                self._skeleton, link, rgbaColor=[0, 0, 0, 0], physicsClientId=self._client
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pybullet.disconnect(physicsClientId=self._client)

    def _dress(self, part: figure.Part, mesh: figure.Mesh) -> int:
        """Make the body of one part."""
        colours: dict[str, Colour] = {
            "skin": self._look.skin,
            "hair": self._look.hair,
            "shirt": self._look.shirt,
            "trousers": self._look.trousers,
            "shoes": self._look.shoes,
        }
        shape = pybullet.createVisualShape(
            pybullet.GEOM_MESH,
            vertices=mesh.vertices.tolist(),
            normals=mesh.normals.tolist(),
            uvs=[[0.0, 0.0]] * len(mesh.vertices),
            indices=mesh.indices.tolist(),
            rgbaColor=[*colours[part.cloth], 1.0],
            physicsClientId=self._client,
        )
        return int(pybullet.createMultiBody(baseVisualShapeIndex=shape, physicsClientId=self._client))

    def lowest(self, poses: Poses) -> Float64[np.ndarray, "t"]:
        """Height of each pose's lowest point above the floor, metres."""
        heights = [
            min(float(points[:, 2].min()) for points in self._strike(poses[index : index + 1]))
            for index in range(len(poses))
        ]
        return np.array(heights)

    def grounded(self, poses: Poses) -> Poses:
        """Raise the figure, smoothly, wherever a part of it would sink into the floor.

        The recorded person's feet bend and the figure's do not, and blends between acts can dip.
        """
        lowest_T = self.lowest(poses)
        # The mean of a running maximum is nowhere below what it covers, over the same window.
        padded = np.pad(np.maximum(-lowest_T, 0.0), 2 * _LIFT_REACH, mode="edge")
        window = 2 * _LIFT_REACH + 1
        lift_T = sliding_window_view(sliding_window_view(padded, window).max(axis=1), window).mean(axis=1)
        return replace(poses, root_T3=poses.root_T3 + lift_T[:, None] * np.array([0.0, 0.0, 1.0]))

    def frames(self, poses: Poses) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        """Draw poses one by one, RGB, none of them sunk into the floor."""
        look = self._look
        poses = self.grounded(poses)
        aim_T3 = follow(poses.root_T3, look.aim_m, look.softness_s)
        width, height = (_OVERSAMPLE * size for size in self._size)
        for index, aim_3 in enumerate(aim_T3):
            shapes = self._strike(poses[index : index + 1])
            angle_deg = look.camera_deg + look.orbit_deg_s * index / FPS
            camera = looking(aim_3, angle_deg, look.tilt_deg, look.distance_m, look.lens_deg, width, height)
            yield self._draw(camera, shapes)

    def _strike(self, pose: Poses) -> list[Float64[np.ndarray, "v 3"]]:
        """Bring the figure into one pose.

        Returns:
            The points of each part, metres.
        """
        client, body = self._client, self._skeleton
        pybullet.resetBasePositionAndOrientation(
            body, pose.root_T3[0].tolist(), np.roll(pose.turn_T4[0], -1).tolist(), physicsClientId=client
        )
        for name, quat in zip(BALL_JOINTS, pose.ball_TJ4[0], strict=True):
            pybullet.resetJointStateMultiDof(
                body, self._link_of[name], np.roll(quat, -1).tolist(), physicsClientId=client
            )
        for name, angle in zip(HINGE_JOINTS, pose.hinge_TK[0], strict=True):
            pybullet.resetJointState(body, self._link_of[name], float(angle), physicsClientId=client)
        states: Any = pybullet.getLinkStates(
            body, list(range(len(self._link_of))), computeForwardKinematics=True, physicsClientId=client
        )
        shapes = []
        for part, mesh, dress in zip(self._parts, self._meshes, self._bodies, strict=True):
            # Entries 4 and 5 are the link's own frame; 0 and 1 would be its centre of mass.
            place, turn = states[self._link_of[part.link]][4:6]
            pybullet.resetBasePositionAndOrientation(dress, place, turn, physicsClientId=client)
            shapes.append(rotations.rotate(np.roll(turn, 1), mesh.vertices) + np.array(place))
        return shapes

    def _draw(self, camera: Camera, shapes: list[Float64[np.ndarray, "v 3"]]) -> UInt8[np.ndarray, "h w 3"]:
        """One frame."""
        view = pybullet.computeViewMatrix(
            camera.eye_3.tolist(), (camera.eye_3 + camera.forward_3).tolist(), camera.up_3.tolist()
        )
        lens = pybullet.computeProjectionMatrixFOV(
            self._look.lens_deg, camera.width / camera.height, _NEAR_M, _FAR_M
        )
        _, _, rgba, _, mask = pybullet.getCameraImage(
            camera.width, camera.height, view, lens, shadow=0, lightDirection=self._look.sun,
            lightAmbientCoeff=0.55, lightDiffuseCoeff=0.5, lightSpecularCoeff=0.0,
            renderer=pybullet.ER_TINY_RENDERER, physicsClientId=self._client,
        )  # fmt: skip
        size = (camera.height, camera.width)
        seen = (np.reshape(mask, size) >= 0)[..., None].astype(np.float32)
        person = np.reshape(rgba, (*size, 4))[..., :3].astype(np.float32) * (seen / np.float32(255))
        cover = cv2.resize(seen, self._size, interpolation=cv2.INTER_AREA)[..., None]
        person = cv2.resize(person, self._size, interpolation=cv2.INTER_AREA)
        small = camera.scaled(1 / _OVERSAMPLE)
        behind = self._backdrop.draw(small) * backdrop.shadow(small, shapes, self._look.sun)
        return backdrop.to_bytes(person + (1 - cover) * behind)
