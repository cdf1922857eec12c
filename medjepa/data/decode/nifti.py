"""NIfTI volumes (.nii, .nii.gz, pairs), alone or through time; the header is checked first."""

import warnings
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from medjepa.data.decode.gzip_bytes import exact_bytes, head_bytes, is_gzip
from medjepa.data.decode.limits import CANONICAL, check_finite
from medjepa.data.decode.nifti_header import HEAD_BYTES, NiftiHeader, parse
from medjepa.data.decode.sniff import suffix_of
from medjepa.errors import InputError, InputWarning
from medjepa.types import MedicalImage

_RAS_TO_LPS = np.array([-1.0, -1.0, 1.0])


def decode(path: str, kind: str) -> MedicalImage:
    """Decode a volume to (1, Z, Y, X), or volumes through time to (1, T, Z, Y, X).

    Axes are brought to the canonical orientation (RAS), scl_slope is applied. One volume of a 4-D
    file is a volume. The spacing in time is known only where the header gives its unit.
    """
    header = parse(path, kind, head_bytes(path, kind, HEAD_BYTES))
    if is_gzip(path) and suffix_of(path) != ".nii.gz":
        warnings.warn(
            f"{path}: gzip content although the name's extension is not .nii.gz",
            InputWarning,
            stacklevel=3,
        )
    stored = _stored(path, kind, header)
    voxels = _scaled(stored, header)
    check_finite(path, voxels, kind)
    if header.slope is not None and voxels.min() == voxels.max() and stored.min() != stored.max():
        raise InputError(
            path,
            f"the header is damaged: scl_slope {header.slope[0]:g} and scl_inter "
            f"{header.slope[1]:g} make all of its different values equal",
            format=kind,
        )
    spacing, directions, position = np.sqrt((header.affine[:3, :3] ** 2).sum(axis=0)), None, None
    if header.is_oriented:
        voxels, affine = _canonical(path, kind, voxels, header)
        spacing = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
        in_patient = affine[:3] * _RAS_TO_LPS[:, None]
        x, y, z = (_vector(in_patient[:, axis] / spacing[axis]) for axis in range(3))
        directions, position = (z, y, x), _vector(in_patient[:, 3])
    steps: tuple[float | None, ...] = tuple(float(step) for step in spacing[::-1])
    times = None
    if voxels.ndim == 4:
        steps = (header.time_step, *steps)
        if header.time_step is not None:
            times = tuple(number * header.time_step for number in range(voxels.shape[0]))
    return MedicalImage(
        array=voxels[None],
        axes="tzyx" if voxels.ndim == 4 else "zyx",
        spacing=steps,
        source=path,
        history=(CANONICAL if header.is_oriented else "orientation unknown", *header.notes),
        directions=directions,
        position=position,
        times=times,
    )


def _stored(path: str, kind: str, header: NiftiHeader) -> np.ndarray:
    """([T], Z, Y, X) in the file's dtype."""
    voxels = path
    if header.is_pair:
        candidates = [Path(path).with_suffix(suffix) for suffix in (".img", ".img.gz", ".IMG")]
        found = [candidate for candidate in candidates if candidate.is_file()]
        if not found:
            raise InputError(path, "the .img file of this header is missing", format=kind)
        voxels = str(found[0])
    num_bytes = int(np.prod(header.shape, dtype=np.int64)) * header.dtype.itemsize
    try:
        content = exact_bytes(voxels, kind, header.offset, num_bytes)
    except InputError as error:
        if voxels == path:
            raise
        raise InputError(path, f"its .img file: {error.reason}", format=kind) from error
    except OSError as error:
        raise InputError(path, f"cannot be opened: {error.strerror}", format=kind) from error
    return content.view(header.dtype).reshape(header.shape[::-1])


def _scaled(stored: np.ndarray, header: NiftiHeader) -> np.ndarray:
    """Values in the header's unit: float32, float64 where that would lose whole numbers."""
    if header.slope is None:
        return stored.astype(stored.dtype.newbyteorder("="), copy=False)
    slope, intercept = np.float64(header.slope[0]), np.float64(header.slope[1])
    wide = stored.dtype.itemsize == 8 or (stored.dtype.kind in "iu" and stored.dtype.itemsize == 4)
    values = np.empty(stored.shape, np.float64 if wide else np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused later
        for number, part in enumerate(stored):  # slice by slice: the product is in float64
            values[number] = part * slope + intercept
    return values


def _canonical(
    path: str, kind: str, voxels: np.ndarray, header: NiftiHeader
) -> tuple[np.ndarray, np.ndarray]:
    """The array with z, y, x towards head, front and right, and its affine (x, y, z to RAS)."""
    orientations: Any = nibabel.orientations  # it has no types
    orientation = orientations.io_orientation(header.affine)
    if np.isnan(orientation).any():
        raise InputError(path, "the affine drops an axis: no orientation", format=kind)
    # Axis n of the file, x first, is the array's axis -1 - n.
    source = {int(place): axis for axis, (place, _) in enumerate(orientation)}
    leading = list(range(voxels.ndim - 3))
    turned = voxels.transpose(*leading, *(voxels.ndim - 1 - source[place] for place in (2, 1, 0)))
    flipped = tuple(-1 - int(place) for place, sign in orientation if sign < 0)
    affine = header.affine @ orientations.inv_ornt_aff(orientation, header.shape[:3])
    return np.flip(turned, flipped) if flipped else turned, affine


def _vector(values: np.ndarray) -> tuple[float, float, float]:
    # + 0.0: minus zero reads badly.
    return float(values[0]) + 0.0, float(values[1]) + 0.0, float(values[2]) + 0.0
