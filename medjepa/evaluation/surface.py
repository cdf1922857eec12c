"""Distance between the surfaces of two masks in mm, for any number of axes.

Definitions as in Maier-Hein, Reinke et al., "Metrics reloaded", Nature Methods 21 (2024).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool
from numpy.typing import NDArray
from scipy import ndimage, spatial

POINTS_AT_ONCE = 2_000_000

Mask = Bool[np.ndarray, "..."]


@dataclass(frozen=True)
class Distances:
    """How far two surfaces lie apart, in the unit of the spacing.

    NaN where neither mask holds a voxel (not counted). Where only one does no distance exists: it
    counts as the image's diagonal, so that what is not found at all is never left out.

    Attributes:
        hd95: the greater of the two directed 95th percentiles (Hausdorff distance, robust form).
        mean: of all distances from each surface to the other, both pooled (ASSD).
    """

    hd95: float
    mean: float


def surface_distances(truth: Mask, prediction: Mask, spacing: Sequence[float]) -> Distances:
    """Measure between the centres of the outermost voxels of both masks.

    A voxel is outermost if one of its direct neighbours is not of the mask or not in the image.

    Args:
        truth: (*spatial).
        prediction: likewise.
        spacing: step of each axis, in mm.

    Raises:
        ValueError: the shapes differ, or the spacing is not one positive number for each axis.
    """
    if truth.shape != prediction.shape:
        raise ValueError(
            f"truth {truth.shape} and prediction {prediction.shape} are not on one grid"
        )
    if len(spacing) != truth.ndim or not all(0 < step < math.inf for step in spacing):
        raise ValueError(f"spacing: {truth.ndim} positive lengths, got {tuple(spacing)}")
    is_there, is_found = bool(truth.any()), bool(prediction.any())
    if not is_there and not is_found:
        return Distances(math.nan, math.nan)
    if not is_there or not is_found:
        diagonal = math.hypot(*(n * step for n, step in zip(truth.shape, spacing, strict=True)))
        return Distances(diagonal, diagonal)
    first, second = (np.flatnonzero(outline(mask)) for mask in (truth, prediction))
    steps = np.asarray(spacing)
    there = _nearest(first, second, truth.shape, steps)
    back = _nearest(second, first, truth.shape, steps)
    hd95 = max(float(np.percentile(there, 95)), float(np.percentile(back, 95)))
    mean = (there.sum() + back.sum()) / (len(there) + len(back))
    return Distances(hd95, float(mean))


def outline(mask: Mask) -> NDArray[Any]:
    """Return a mask's outermost voxels, (*spatial) bool."""
    found = np.zeros(mask.shape, bool)
    box = _bounding_box(mask)
    if box is not None:
        inside = mask[box]
        neighbours = ndimage.generate_binary_structure(mask.ndim, 1)
        # Outside of its box there is nothing of the mask, which is what border_value 0 says.
        found[box] = inside & ~ndimage.binary_erosion(inside, neighbours, border_value=0)
    return found


def _nearest(
    points: NDArray[Any], surface: NDArray[Any], shape: tuple[int, ...], steps: NDArray[Any]
) -> NDArray[Any]:
    """Distance of each point to the nearest one of a surface, (N,); both as flat indices.

    By trees of the surface's points, some millions at a time: a distance transform needs some
    twenty bytes for every voxel of the box around both masks, and what an untrained network says
    of a scan is nearly all surface.
    """
    nearest = np.full(len(points), np.inf)
    for begin in range(0, len(surface), POINTS_AT_ONCE):
        tree = spatial.KDTree(_places(surface[begin : begin + POINTS_AT_ONCE], shape, steps))
        for at in range(0, len(points), POINTS_AT_ONCE):
            some = slice(at, at + POINTS_AT_ONCE)
            found = np.asarray(tree.query(_places(points[some], shape, steps))[0])
            np.minimum(nearest[some], found, out=nearest[some])
    return nearest


def _places(indices: NDArray[Any], shape: tuple[int, ...], steps: NDArray[Any]) -> NDArray[Any]:
    """Voxel centres in mm, (N, axes)."""
    return np.asarray(np.stack(np.unravel_index(indices, shape), axis=1) * steps)


def _bounding_box(mask: NDArray[Any]) -> tuple[slice, ...] | None:
    """The smallest box around a mask's voxels; None if it holds none."""
    box = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        along = np.flatnonzero(mask.any(axis=others))
        if not len(along):
            return None
        box.append(slice(int(along[0]), int(along[-1]) + 1))
    return tuple(box)
