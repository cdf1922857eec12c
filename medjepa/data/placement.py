"""Where the voxels of a volume lie in the patient, and how far two grids lie apart."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medjepa.data.volume_store import VolumeItem
from medjepa.types import MedicalImage

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Placement:
    """The grid of a volume.

    Attributes:
        shape: (Z, Y, X).
        spacing: of z, y, x in mm, None where the file does not say.
        directions: unit vectors of z, y, x in patient coordinates, None if unknown.
        position: of the first voxel's centre in mm, None if unknown.
    """

    shape: tuple[int, ...]
    spacing: tuple[float | None, ...]
    directions: Sequence[Vector] | None
    position: Vector | None

    @classmethod
    def of(cls, volume: MedicalImage | VolumeItem) -> "Placement":
        """The grid of an image or of a store's item; of one through time that of each moment."""
        shape = volume.array.shape if isinstance(volume, MedicalImage) else volume.shape
        return cls(shape[-3:], volume.spacing[-3:], volume.directions, volume.position)

    @property
    def affine(self) -> np.ndarray | None:
        """(3, 4) from voxel (z, y, x, 1) to mm (x, y, z); None where something is unknown."""
        if self.directions is None or self.position is None or None in self.spacing:
            return None
        steps = np.asarray(self.spacing, dtype=np.float64)
        columns = np.asarray(self.directions, dtype=np.float64) * steps[:, None]
        return np.column_stack([columns.T, np.asarray(self.position, dtype=np.float64)])


def distance_mm(one: Placement, other: Placement) -> float | None:
    """The greatest distance between the same corners of two grids of one shape.

    None where either does not say where it lies.
    """
    first, second = one.affine, other.affine
    if first is None or second is None:
        return None
    ends = [(0, n - 1) for n in one.shape]
    corners = np.array([(*corner, 1) for corner in itertools.product(*ends)], dtype=np.float64)
    return float(np.linalg.norm(corners @ (first - second).T, axis=1).max())
