"""Antialiased resizing to the working resolution: every source pixel counts, none is skipped."""

import math
from typing import Literal

import numpy as np
from PIL import Image

Fit = Literal["stretch", "pad"]
FITS: tuple[Fit, ...] = ("stretch", "pad")


def fit_to(
    array: np.ndarray,
    size: tuple[int, int],
    *,
    fit: Fit = "stretch",
    spacing: tuple[float | None, float | None] = (None, None),
    fill: float = 0.0,
) -> np.ndarray:
    """Bring (C, Y, X) to (C, *size) in the same dtype.

    "stretch" ignores the aspect; "pad" keeps the physical one (`spacing`, mm) and fills the rest.
    """
    if fit == "stretch":
        return resize(array, size)
    inner = _inside(array.shape[1:], spacing, size)
    canvas = np.full((array.shape[0], *size), fill, dtype=array.dtype)
    top, left = ((outer - used) // 2 for outer, used in zip(size, inner, strict=True))
    canvas[:, top : top + inner[0], left : left + inner[1]] = resize(array, inner)
    return canvas


def resize(array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize (C, Y, X) to (C, *size): by area where it shrinks, linearly where it grows."""
    if array.shape[1:] == size:
        return array
    shrinks = array.shape[1] >= size[0] and array.shape[2] >= size[1]
    # Pillow widens the linear filter when shrinking, so mixed cases are antialiased too.
    method = Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR
    box = (size[1], size[0])
    if array.dtype == np.uint8 and array.shape[0] == 3:
        colour = Image.fromarray(np.ascontiguousarray(np.moveaxis(array, 0, 2)))
        return np.moveaxis(np.asarray(colour.resize(box, method)), 2, 0)
    working = array.dtype if array.dtype == np.uint8 else np.float32
    planes = [
        np.asarray(Image.fromarray(np.ascontiguousarray(p, dtype=working)).resize(box, method))
        for p in array
    ]
    stacked = np.stack(planes)
    return stacked if array.dtype.kind == "f" else _rounded(stacked, array.dtype)


def resize_volume(volume: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Resize an array of three axes to `size`, antialiased, one pair of axes after the other."""
    planes = resize(volume, (size[1], size[2]))
    # The first axis last: its neighbours are the rows of the planes that Pillow resizes.
    turned = resize(np.moveaxis(planes, 0, 1), (size[0], size[2]))
    return np.ascontiguousarray(np.moveaxis(turned, 1, 0))


def _rounded(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if values.dtype == dtype:
        return values
    info = np.iinfo(dtype)
    rounded: np.ndarray = np.clip(np.rint(values), info.min, info.max).astype(dtype)
    return rounded


def _inside(
    shape: tuple[int, ...], spacing: tuple[float | None, float | None], size: tuple[int, int]
) -> tuple[int, int]:
    """The largest box in `size` with the physical aspect of the image."""
    steps = [s if s else math.nan for s in spacing]
    if any(math.isnan(s) for s in steps):
        steps = [1.0, 1.0]
    height, width = shape[0] * steps[0], shape[1] * steps[1]
    scale = min(size[0] / height, size[1] / width)
    return (
        min(size[0], max(1, round(height * scale))),
        min(size[1], max(1, round(width * scale))),
    )
