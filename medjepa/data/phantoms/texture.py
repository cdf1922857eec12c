"""Smooth random textures that are anchored to coordinates, not to pixels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]


def lattice(rng: np.random.Generator, size: int = 32) -> FloatArray:
    """Random values (size, size) on a periodic lattice: what `noise` interpolates."""
    return rng.standard_normal((size, size), dtype=np.float32)


def noise(values: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    """Value noise at `x`, `y` (lattice units, any shape): smooth, periodic, about unit variance.

    The same coordinates give the same value at every resolution, so that a phantom drawn at 64 and
    at 224 px shows the same patient.
    """
    size, last = len(values), len(values) - 1
    assert size & last == 0, "a lattice's size is a power of two"
    column, row = np.floor(x), np.floor(y)
    right, below = _smoothstep(x - column), _smoothstep(y - row)
    left_index = column.astype(np.int32) & last
    top_index = (row.astype(np.int32) & last) * size
    right_index = (left_index + 1) & last
    below_index = (top_index + size) & (size * size - 1)
    flat = values.ravel()
    top = _mix(flat[top_index + left_index], flat[top_index + right_index], right)
    bottom = _mix(flat[below_index + left_index], flat[below_index + right_index], right)
    # Interpolation averages neighbours: 1.5 restores the variance that it takes away.
    return 1.5 * _mix(top, bottom, below)


def ridges(
    values: FloatArray, x: FloatArray, y: FloatArray, width: FloatArray | float
) -> FloatArray:
    """Thin lines (0..1) where the noise crosses zero: vessels, septa; `width` in noise units."""
    line: FloatArray = np.exp(-np.square(noise(values, x, y) / width))
    return line


def edge(distance: FloatArray, softness: FloatArray | float) -> FloatArray:
    """A soft step: 0 outside (distance < 0), 1/2 on the edge, 1 inside; 4 `softness` wide."""
    # A cubic and not a sigmoid: most of the time of a phantom goes into its edges.
    return _smoothstep(np.clip(distance / (4 * softness) + 0.5, 0, 1))


def bump(value: FloatArray, centre: float, width: float) -> FloatArray:
    """A Gaussian bump of height 1."""
    height: FloatArray = np.exp(-0.5 * np.square((value - centre) / width))
    return height


def area_reduce(image: FloatArray, factor: int) -> FloatArray:
    """(H * factor, W * factor) -> (H, W) by the mean over each block of pixels."""
    height, width = image.shape[0] // factor, image.shape[1] // factor
    reduced: FloatArray = image.reshape(height, factor, width, factor).mean((1, 3))
    return reduced


def _smoothstep(fraction: FloatArray) -> FloatArray:
    return fraction * fraction * (3 - 2 * fraction)


def _mix(first: FloatArray, second: FloatArray, weight: FloatArray) -> FloatArray:
    return first + (second - first) * weight
