"""Four findings in three dimensions that differ in their inside, not in place or size."""

from dataclasses import dataclass

import numpy as np

from medjepa.data.phantoms.solid import cloud, cube
from medjepa.data.phantoms.texture import FloatArray, edge

LESIONS = ("cluster", "layered", "ring", "solid")
"""The findings, in the order of their class index."""
CONTRAST = 0.34
SIZES_MM = (25.0, 34.0)
"""Least and greatest radius."""


@dataclass(frozen=True, kw_only=True)
class Lesion:
    """One patient's finding; lengths in mm, in the head's coordinates (z, y, x)."""

    name: str
    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    normal: tuple[float, float, float]  # across the layers, of length 1
    phase: float
    texture: FloatArray


@dataclass(frozen=True)
class Painted:
    """What a finding does to the tissue; both (Z, Y, X).

    Attributes:
        weight: 0..1, how much of a voxel it fills.
        change: what is added to the signal there.
    """

    weight: FloatArray
    change: FloatArray


def draw_lesion(rng: np.random.Generator, name: str) -> Lesion:
    """Draw where a patient's finding sits, how large it is and how it is turned."""
    u = rng.uniform
    side = 1.0 if rng.random() < 0.5 else -1.0
    normal = rng.normal(0, 1, 3)
    normal /= np.linalg.norm(normal)
    size = u(*SIZES_MM)
    radii = size * (1 + rng.normal(0, 0.06, 3))
    return Lesion(
        name=name,
        centre=(u(-14, 22), u(-26, 26), side * u(16, 26)),
        radii=(radii[0], radii[1], radii[2]),
        normal=(normal[0], normal[1], normal[2]),
        phase=u(0, 2 * np.pi),
        texture=cube(rng),
    )


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
    if lesion.name == "solid":
        change = 0.62 + 0 * radius
    elif lesion.name == "ring":
        change = 2 * edge(radius - 0.66, 0.03) - 1
    elif lesion.name == "layered":
        along = up * lesion.normal[0] + front * lesion.normal[1] + right * lesion.normal[2]
        change = 1.2 * np.sin(2 * np.pi * along / 14 + lesion.phase)
    else:
        blobs = cloud(lesion.texture, z / 8 + 5, y / 8 + 5, x / 8 + 5)
        change = 2.2 * edge(blobs - 0.4, 0.1) - 1
    return Painted(weight, CONTRAST * change)
