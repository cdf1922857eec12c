"""What a reader of a study is shown of a case: the planes where most of the truth is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray

MARGIN = 0.35
"""Around the structures on each side, as a share of their extent."""

MIN_SIDE = 24
"""Voxels that a plane shows at least, where the image has so many."""


Read = Callable[[Sequence[int], Sequence[int]], NDArray[np.float32]]
"""`read(start, shape)`: a part of the image, (C, *shape) in [0, 1]."""


@dataclass(frozen=True, kw_only=True)
class Plane:
    """One plane through a case, cut around its structures.

    Attributes:
        axis: number of the axis that it is perpendicular to; -1 for an image.
        place: index along that axis.
        image: (H, W) grey levels.
        truth: (H, W) labels, or (R, H, W) regions.
        prediction: likewise.
        spacing: step down and to the right in mm.
    """

    axis: int
    place: int
    image: UInt8[np.ndarray, "h w"]
    truth: UInt8[np.ndarray, "..."]
    prediction: UInt8[np.ndarray, "..."]
    spacing: tuple[float, float]


def planes_of(
    read: Read,
    truth: UInt8[np.ndarray, "..."],
    prediction: UInt8[np.ndarray, "..."],
    spacing: Sequence[float],
    *,
    turned: bool = False,
) -> tuple[Plane, ...]:
    """Cut one plane across each axis, where the truth has most voxels (else the prediction).

    Args:
        read: parts of the image; only the planes are read, and the first channel is shown.
        truth: label map (*spatial) or regions (R, *spatial), of two or three axes.
        prediction: likewise.
        spacing: step of each axis in mm.
        turned: whether the axes z, y, x grow to the patient's head, front and right; then the
            planes are shown as radiologists look at them: head or front up, right on the left.
    """
    num_axes = len(spacing)
    there, found = _any_region(truth, num_axes), _any_region(prediction, num_axes)
    shown = there if there.any() else found
    boxes = _boxes(there | found)
    planes = []
    for axis in range(num_axes) if num_axes == 3 else (-1,):
        rest = [a for a in range(num_axes) if a != axis]
        box = [*boxes]
        if axis >= 0:
            counts = shown.sum(axis=tuple(rest))
            place = int(counts.argmax()) if counts.any() else len(counts) // 2
            box[axis] = slice(place, place + 1)
        image = np.asarray(read([b.start for b in box], [b.stop - b.start for b in box]))[0]
        cut: tuple[Any, ...] = (..., *box)
        drop: tuple[Any, ...] = (
            ...,
            *(0 if a == axis else slice(None, None, -1 if turned else 1) for a in range(num_axes)),
        )
        planes.append(
            Plane(
                axis=axis,
                place=box[axis].start if axis >= 0 else 0,
                image=np.rint(255 * np.clip(image[drop], 0, 1)).astype(np.uint8),
                truth=truth[cut][drop],
                prediction=prediction[cut][drop],
                spacing=(spacing[rest[0]], spacing[rest[1]]),
            )
        )
    return tuple(planes)


def _any_region(labels: NDArray[Any], num_axes: int) -> NDArray[np.bool_]:
    """Where anything is, (*spatial)."""
    return np.asarray(labels.any(axis=0) if labels.ndim > num_axes else labels > 0)


def _boxes(mask: NDArray[np.bool_]) -> list[slice]:
    """What is shown of each axis: the structures with a margin, all of it if there are none."""
    result = []
    for axis, length in enumerate(mask.shape):
        others = tuple(a for a in range(mask.ndim) if a != axis)
        along = np.flatnonzero(mask.any(axis=others))
        if not len(along):
            result.append(slice(0, length))
            continue
        extent = int(along[-1] - along[0] + 1)
        margin = max(round(MARGIN * extent), (MIN_SIDE - extent + 1) // 2, 2)
        end = min(length, int(along[-1]) + 1 + margin)
        result.append(slice(max(0, int(along[0]) - margin), end))
    return result
