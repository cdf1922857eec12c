"""Smooth random fields in three dimensions, anchored to coordinates, and cheap to draw.

A field is a lattice of random values that is interpolated along each axis by itself: three small
matrix products. So its axes are the volume's; a field cannot be turned.
"""

import numpy as np

from medjepa.data.phantoms.texture import FloatArray

SIDE = 16


def cube(rng: np.random.Generator) -> FloatArray:
    """Random values (16, 16, 16) on a periodic lattice: what `cloud` interpolates."""
    return rng.standard_normal((SIDE, SIDE, SIDE), dtype=np.float32)


def cloud(values: FloatArray, z: FloatArray, y: FloatArray, x: FloatArray) -> FloatArray:
    """Noise at the places (Z,), (Y,), (X,) in lattice units: smooth, of about unit variance.

    The same coordinates give the same value on every grid.
    """
    rows, columns, depths = (_weights(place) for place in (y, x, z))
    planes = np.tensordot(depths, values, 1)  # (Z, 16, 16)
    # Interpolation averages neighbours: this restores the variance that it takes away.
    field: FloatArray = 1.8 * (rows @ (planes @ columns.T))
    return field


def sheets(field: FloatArray, width: float) -> FloatArray:
    """Thin walls (0..1) where a field crosses zero: folds, septa; `width` in the field's units."""
    wall: FloatArray = np.exp(-np.square(field / width))
    return wall


def _weights(place: FloatArray) -> FloatArray:
    """(n, 16): how much each value of the lattice counts at each place."""
    first = np.floor(place)
    share = place - first
    near = share * share * (3 - 2 * share)
    weights: FloatArray = np.zeros((len(place), SIDE), np.float32)
    numbers = np.arange(len(place))
    index = first.astype(np.int64) % SIDE
    weights[numbers, index] = 1 - near
    weights[numbers, (index + 1) % SIDE] += near
    return weights
