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
from scipy import ndimage

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
    box = _bounding_box(truth | prediction)
    if box is None:
        return Distances(math.nan, math.nan)
    if not truth.any() or not prediction.any():
        diagonal = math.hypot(*(n * step for n, step in zip(truth.shape, spacing, strict=True)))
        return Distances(diagonal, diagonal)
    # The rest of a scan is far larger than any structure, and no distance needs it: within the box
    # of both masks a voxel at the box's side is outermost as it was in the image.
    first, second = outline(truth)[box], outline(prediction)[box]
    there, back = _to(second, spacing)[first], _to(first, spacing)[second]
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


def _to(surface: NDArray[Any], spacing: Sequence[float]) -> NDArray[Any]:
    """Distance of every voxel to the nearest one of a surface."""
    distances: NDArray[Any] = ndimage.distance_transform_edt(~surface, sampling=tuple(spacing))
    return distances


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
