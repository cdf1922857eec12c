"""Four findings in three dimensions that no single axial plane tells apart: how thick layers are.

Each is a ball of level layers, bright and dark by turns from plane to plane. The class is the
distance after which they repeat. Where in this cycle the ball's middle lies is uniform in every
class, so at each height the phase of a plane is uniform whatever the class, and a plane is a
function of its phase: only several planes together tell. See `beat.py`, which does so in time.
"""

import math
from dataclasses import dataclass

import numpy as np

from medjepa.data.phantoms.solid import cloud, cube
from medjepa.data.phantoms.texture import FloatArray, edge

PERIODS_MM = {"broad": 80.0, "even": math.inf, "thick": 40.0, "thin": 20.0}
"""After how many mm of height a class's layers repeat; "even" has none."""
LESIONS = tuple(PERIODS_MM)
"""The findings, in the order of their class index."""
CONTRAST = 0.42
SIZES_MM = (40.0, 46.0)
"""Least and greatest radius."""


@dataclass(frozen=True, kw_only=True)
class Lesion:
    """One patient's finding; lengths in mm, in the head's coordinates (z, y, x).

    `phase` says where in their cycle the layers are at the middle, in cycles.
    """

    name: str
    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    phase: float
    texture: FloatArray


@dataclass(frozen=True)
class Painted:
    """What a finding does to the tissue; both broadcast to (Z, Y, X).

    Attributes:
        weight: 0..1, how much of a voxel it fills.
        change: what is added to the signal there, the same all over a plane.
    """

    weight: FloatArray
    change: FloatArray


def draw_lesion(rng: np.random.Generator, name: str) -> Lesion:
    """Draw where a patient's finding sits, how large it is and how its layers lie."""
    u = rng.uniform
    side = 1.0 if rng.random() < 0.5 else -1.0
    size = u(*SIZES_MM)
    radii = size * (1 + rng.normal(0, 0.06, 3))
    return Lesion(
        name=name,
        centre=(u(-8, 7), u(-10, 10), side * u(5, 8)),
        radii=(radii[0], radii[1], radii[2]),
        phase=u(0, 1),
        texture=cube(rng),
    )


def phases(lesion: Lesion, heights: FloatArray) -> FloatArray:
    """Where in their cycle the layers are at heights (Z,) above the middle, 0 to 1."""
    cycles: FloatArray = (heights / PERIODS_MM[lesion.name] + lesion.phase) % 1
    return cycles


def paint(
    lesion: Lesion,
    places: tuple[FloatArray, FloatArray, FloatArray],
    *,
    growth: float,
    moved: tuple[float, float, float],
) -> Painted:
    """Draw a finding at voxels whose places are (Z,), (Y,), (X,) mm."""
    z, y, x = (
        place - centre - step
        for place, centre, step in zip(places, lesion.centre, moved, strict=True)
    )
    tall, long, wide = (growth * radius for radius in lesion.radii)
    up, front, right = z[:, None, None], y[:, None], x[None, None, :]
    radius = np.sqrt(np.square(up / tall) + np.square(front / long) + np.square(right / wide))
    radius = radius * (1 + 0.05 * cloud(lesion.texture, z / 9, y / 9, x / 9))
    weight = edge((1 - radius) * lesion.radii[0], 0.8)
    layers = np.sin(2 * np.pi * phases(lesion, z))
    return Painted(weight, CONTRAST * layers[:, None, None])
