"""How a video looks: clothes, place and camera; chosen by hand or by a seed."""

from dataclasses import dataclass

import numpy as np

from . import backdrop
from .backdrop import Backdrop, Colour

PLACES = ("park", "gym", "studio", "street", "track")


@dataclass(frozen=True, slots=True)
class Look:
    """Everything about the picture that is not the motion. Colours are RGB in [0, 1].

    Attributes:
        skin, hair, shirt, trousers, shoes: colours of the figure.
        bare_arms, bare_legs: short sleeves, short trousers.
        place: the surroundings, one of `PLACES`.
        texture_seed: of the noise in their textures.
        camera_deg: where the camera stands; at 0 a figure that faces 0 degrees is seen from its right
            side and moves to the right.
        orbit_deg_s: how fast the camera goes around the figure.
        tilt_deg: how far it looks down.
        distance_m: from the figure.
        aim_m: the height that it looks at.
        lens_deg: vertical field of view.
        softness_s: how softly the camera follows.
        sun: direction towards the light.

    Raises:
        ValueError: an unknown place, or a camera without distance.
    """

    skin: Colour = (0.80, 0.58, 0.46)
    hair: Colour = (0.16, 0.11, 0.08)
    shirt: Colour = (0.72, 0.12, 0.12)
    trousers: Colour = (0.12, 0.16, 0.32)
    shoes: Colour = (0.9, 0.9, 0.9)
    bare_arms: bool = True
    bare_legs: bool = False
    place: str = "park"
    texture_seed: int = 0
    camera_deg: float = 0.0
    orbit_deg_s: float = 0.0
    tilt_deg: float = 8.0
    distance_m: float = 3.0
    aim_m: float = 0.85
    lens_deg: float = 45.0
    softness_s: float = 0.4
    sun: tuple[float, float, float] = (-3.0, -3.0, 8.0)

    def __post_init__(self) -> None:
        if self.place not in PLACES:
            raise ValueError(f"no place {self.place!r}; there are {', '.join(PLACES)}")
        if not self.distance_m > 0:
            raise ValueError(f"the camera must be away from the figure, not {self.distance_m} m")


def surroundings(look: Look) -> Backdrop:
    """The textures of a place."""
    rng = np.random.default_rng(look.texture_seed)
    if look.place == "park":
        sky: tuple[Colour, Colour] = ((0.80, 0.87, 0.93), (0.45, 0.62, 0.86))
        floor = backdrop.lawn(rng, ((0.18, 0.30, 0.09), (0.45, 0.58, 0.26)))
        return Backdrop(floor, 4.0, backdrop.trees(rng, sky[0]), (14.0, 6.0), 10.0, sky)
    if look.place == "track":
        sky = ((0.82, 0.87, 0.92), (0.50, 0.66, 0.86))
        floor = backdrop.lawn(rng, ((0.40, 0.20, 0.15), (0.62, 0.36, 0.28)))
        return Backdrop(floor, 3.0, backdrop.trees(rng, sky[0]), (14.0, 6.0), 10.0, sky)
    if look.place == "gym":
        sky = ((0.75, 0.74, 0.72), (0.55, 0.54, 0.52))
        floor = backdrop.mats(rng, ((0.10, 0.22, 0.45), (0.16, 0.34, 0.62)))
        wall = backdrop.hall(rng, ((0.80, 0.78, 0.72), (0.55, 0.42, 0.30)))
        return Backdrop(floor, 4.0, wall, (8.0, 5.0), 5.0, sky)
    if look.place == "studio":
        sky = ((0.90, 0.89, 0.87), (0.85, 0.84, 0.82))
        floor = backdrop.boards(rng, ((0.42, 0.27, 0.14), (0.72, 0.52, 0.32)))
        wall = backdrop.hall(rng, ((0.86, 0.84, 0.80), (0.70, 0.68, 0.66)))
        return Backdrop(floor, 3.0, wall, (6.0, 4.0), 2.5, sky)
    sky = ((0.82, 0.85, 0.88), (0.55, 0.66, 0.80))
    floor = backdrop.lawn(rng, ((0.30, 0.30, 0.31), (0.48, 0.47, 0.46)))
    wall = backdrop.hall(rng, ((0.58, 0.36, 0.27), (0.45, 0.44, 0.43)))
    return Backdrop(floor, 3.0, wall, (5.0, 5.0), 7.0, sky)


def random_look(seed: int) -> Look:
    """Clothes, place, light and camera at random, the same for the same seed.

    Args:
        seed: any number; timelines use the same numbers without any connection.
    """
    rng = np.random.default_rng([seed, 1])
    tone = rng.uniform(0.3, 1.0)

    def colour(low: float, high: float) -> Colour:
        red, green, blue = rng.uniform(low, high, 3)
        return (float(red), float(green), float(blue))

    return Look(
        skin=(float(0.92 * tone), float(0.72 * tone), float(0.58 * tone)),
        hair=colour(0.05, 0.3),
        shirt=colour(0.05, 0.95),
        trousers=colour(0.05, 0.7),
        shoes=colour(0.1, 0.95),
        bare_arms=bool(rng.random() < 0.6),
        bare_legs=bool(rng.random() < 0.4),
        place=str(rng.choice(PLACES)),
        texture_seed=int(rng.integers(2**31)),
        camera_deg=float(rng.uniform(-180, 180)),
        orbit_deg_s=float(rng.uniform(-2, 2)),
        tilt_deg=float(rng.uniform(2, 16)),
        distance_m=float(rng.uniform(2.7, 4.0)),
        sun=(float(rng.uniform(-6, 6)), float(rng.uniform(-6, 6)), 8.0),
    )
