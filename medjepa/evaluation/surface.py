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
    first, second = (
        np.argwhere(outline(mask)) * np.asarray(spacing) for mask in (truth, prediction)
    )
    there, back = _nearest(first, second), _nearest(second, first)
    hd95 = max(float(np.percentile(there, 95)), float(np.percentile(back, 95)))
    return Distances(hd95, float(np.concatenate([there, back]).mean()))


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


def _nearest(points: NDArray[Any], surface: NDArray[Any]) -> NDArray[Any]:
    """Distance of each point to the nearest one of a surface, (N,).

    By a tree of the surface's points: a distance transform needs some twenty bytes for every voxel
    of the box around both masks, which is too much where organs fill a scan.
    """
    return np.asarray(spatial.KDTree(surface).query(points)[0])


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
