"""A synthetic volume and its label map as NIfTI, in one of four orientations."""

import gzip
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

ORIENTATIONS = ("RAS", "LAS", "LPS", "RPS")
"""Where the stored axes x, y, z grow to: right or left, anterior or posterior, superior."""
_UNITS_PER_SIGNAL = 1000


def write_signal(
    path: Path, values: NDArray[np.floating[Any]], spacing: tuple[float, float, float], grid: str
) -> None:
    """Write signal (Z, Y, X) as int16 .nii.gz; z, y, x grow to the top, the front, the right."""
    stored = np.round(np.clip(values, 0, 30) * _UNITS_PER_SIGNAL).astype(np.int16)
    _write(path, stored, spacing, grid)


def write_labels(
    path: Path, labels: NDArray[np.uint8], spacing: tuple[float, float, float], grid: str
) -> None:
    """Write a label map (Z, Y, X) as uint8 .nii.gz, on the grid of its volume."""
    _write(path, labels, spacing, grid)


def affine(
    shape: tuple[int, ...], spacing: tuple[float, float, float], orientation: str
) -> NDArray[np.float64]:
    """Millimetres of a voxel (x, y, z) in RAS+; the middle of the field is 0.

    `shape` is (Z, Y, X), `spacing` that of z, y, x.
    """
    matrix = np.eye(4)
    for axis, letter in enumerate(orientation):
        step, num = spacing[2 - axis], shape[2 - axis]
        sign = 1 if letter in "RAS" else -1
        matrix[axis, axis] = sign * step
        matrix[axis, 3] = -sign * step * (num - 1) / 2
    return matrix


def _write(
    path: Path, array: NDArray[Any], spacing: tuple[float, float, float], orientation: str
) -> None:
    stored = array.transpose(2, 1, 0)
    turned = tuple(axis for axis, letter in enumerate(orientation) if letter not in "RAS")
    image = nib.nifti1.Nifti1Image(  # type: ignore[no-untyped-call]
        np.flip(stored, turned), affine(array.shape, spacing, orientation)
    )
    image.header.set_xyzt_units("mm")  # type: ignore[no-untyped-call]
    image.header["descrip"] = b"Synthetic phantom, not a patient"
    # The time in a gzip header would make each run's bytes its own.
    path.write_bytes(gzip.compress(image.to_bytes(), compresslevel=1, mtime=0))
