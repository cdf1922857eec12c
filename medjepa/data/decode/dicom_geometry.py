"""Where an image lies in the patient: directions of its axes, positions along the normal."""

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pydicom import Dataset
else:  # pydicom is imported guarded, on first use
    Dataset = object

Vector = tuple[float, float, float]


def vector(values: np.ndarray) -> Vector:
    """Three plain numbers."""
    return float(values[0]), float(values[1]), float(values[2])


def plane_of(dataset: Dataset) -> tuple[np.ndarray, np.ndarray] | None:
    """Unit vectors along y (down a column) and x (along a row), patient coordinates, or None.

    PS3.3 section C.7.6.2: ImageOrientationPatient gives first the row's direction, that of x.
    """
    value = dataset.get("ImageOrientationPatient")
    if not value or len(value) != 6:
        return None
    numbers = np.array([float(v) for v in value])
    return numbers[3:], numbers[:3]


def normal_of(plane: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """The direction in which slices are stacked: x cross y."""
    down, across = plane
    return np.cross(across, down)


def position_of(dataset: Dataset) -> np.ndarray | None:
    """ImagePositionPatient, the centre of the first voxel in mm, or None."""
    value = dataset.get("ImagePositionPatient")
    if not value or len(value) != 3:
        return None
    numbers = np.array([float(v) for v in value])
    return numbers if np.isfinite(numbers).all() else None


def positive(value: object) -> float | None:
    """A length in mm, None where it is missing or none."""
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if math.isfinite(number) and number > 0 else None
