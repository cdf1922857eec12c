"""What a NIfTI header says, checked before memory is taken."""

import math
import struct
import warnings
from dataclasses import dataclass
from typing import Any

import nibabel
import numpy as np
from nibabel.spatialimages import HeaderDataError

from medjepa.data.decode.limits import check_budget
from medjepa.data.decode.quiet import quiet
from medjepa.errors import InputError, InputWarning

HEAD_BYTES = 540
"""Enough for either version."""
_ERRORS = (
    HeaderDataError, ValueError, TypeError, KeyError, OverflowError, ZeroDivisionError,
    struct.error, np.linalg.LinAlgError,
)  # fmt: skip
_DTYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8",
    1280: "u8",
}  # fmt: skip
_NOT_READ = {1: "binary", 32: "complex64", 128: "RGB24", 1536: "float128", 1792: "complex128",
             2048: "complex256", 2304: "RGBA32"}  # fmt: skip
_MAGIC = {1: (b"n+1\0", b"ni1\0"), 2: (b"n+2\0", b"ni2\0")}
_FIRST_VOXEL = {1: 352, 2: 544}
_MM = {1: 1000.0, 3: 0.001}
_SECONDS = {8: 1.0, 16: 1e-3, 24: 1e-6}
_SAME_SPACING = 0.01


@dataclass(frozen=True)
class NiftiHeader:
    """The checked part of a header; arrays lie in the file with x varying fastest.

    Attributes:
        shape: (x, y, z) or (x, y, z, t).
        dtype: as stored, with its byte order.
        offset: of the first voxel in bytes.
        is_pair: the voxels lie in an .img beside it.
        slope: (slope, intercept) of the values, None for none.
        affine: (4, 4) from voxels to RAS in mm; a diagonal of the spacing if `is_oriented` is not.
        is_oriented: whether sform or qform places it.
        time_step: seconds between volumes, None where the unit or the step is missing.
        notes: what was done, for the history.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int
    is_pair: bool
    slope: tuple[float, float] | None
    affine: np.ndarray
    is_oriented: bool
    time_step: float | None
    notes: tuple[str, ...]


def parse(path: str, kind: str, head: bytes) -> NiftiHeader:
    """Check the first bytes of a file.

    Raises:
        InputError: a value that cannot be, or that is not read here.
    """
    order, version = _byte_order(path, kind, head)
    if version == 1:
        dims = struct.unpack(order + "8h", head[40:56])
        code = struct.unpack(order + "h", head[70:72])[0]
        offset = struct.unpack(order + "f", head[108:112])[0]
        units, magic = head[123], head[344:348]
    else:
        dims = struct.unpack(order + "8q", head[16:80])
        code = struct.unpack(order + "h", head[12:14])[0]
        offset = struct.unpack(order + "q", head[168:176])[0]
        units, magic = struct.unpack(order + "i", head[500:504])[0], head[4:8]
    if magic not in _MAGIC[version]:
        raise InputError(
            path,
            "no NIfTI magic in the header (Analyze 7.5?): its orientation is unknown; convert it",
            format=kind,
        )
    is_pair = magic == _MAGIC[version][1]
    shape, dtype = _shape(path, kind, dims), _dtype(path, kind, code).newbyteorder(order)  # type: ignore[arg-type]
    # Scaled values are kept with 4 bytes at least.
    check_budget(path, shape, max(4, dtype.itemsize), kind)
    first = 0 if is_pair else _FIRST_VOXEL[version]
    if not math.isfinite(offset) or not first <= offset < 2**40:
        raise InputError(
            path, f"vox_offset is {offset:g}, inside the header or out of size", format=kind
        )
    if not is_pair and int(offset) == first and head[first - 4 : first - 3] not in (b"", b"\0"):
        warnings.warn(
            f"{path}: the header announces an extension, but the voxels begin where it would be",
            InputWarning,
            stacklevel=4,
        )
    header_class: Any = nibabel.Nifti1Header if version == 1 else nibabel.Nifti2Header
    try:
        with quiet("nibabel.global"), np.errstate(all="ignore"):
            header = header_class(head[: header_class.sizeof_hdr], order, check=False)
            slope, intercept = header.get_slope_inter()
            scale = _MM.get(units & 7, 1.0)
            affine, is_oriented = _affine(path, kind, header)
    except InputError:
        raise
    except _ERRORS as error:
        raise InputError(path, f"the header is damaged: {error}", format=kind) from error
    if np.isinf(np.asarray(header["scl_slope"], dtype=np.float64)):  # NaN is a way to say none
        warnings.warn(f"{path}: scl_slope is infinite, no scaling is applied", InputWarning, 4)
    affine = np.diag([scale, scale, scale, 1.0]) @ affine
    return NiftiHeader(
        shape=shape,
        dtype=dtype,
        offset=int(offset),
        is_pair=is_pair,
        slope=None if slope is None or (slope, intercept) == (1, 0) else (slope, intercept or 0.0),
        affine=affine,
        is_oriented=is_oriented,
        time_step=_time_step(header, units & 0x38),
        notes=() if scale == 1.0 else (f"lengths times {scale:g}: the header's unit is not mm",),
    )


def _byte_order(path: str, kind: str, head: bytes) -> tuple[str, int]:
    for order in "<>":
        size = struct.unpack(order + "i", head[:4])[0] if len(head) >= 4 else 0
        if size == 348 and len(head) >= 348:
            return order, 1
        if size == 540 and len(head) >= 540:
            return order, 2
    raise InputError(
        path, "not a NIfTI header: sizeof_hdr is neither 348 nor 540, or it is cut", format=kind
    )


def _shape(path: str, kind: str, dims: tuple[int, ...]) -> tuple[int, ...]:
    if not 1 <= dims[0] <= 7:
        raise InputError(path, f"dim[0] is {dims[0]}: 1 to 7 dimensions are possible", format=kind)
    shape = dims[1 : 1 + dims[0]]
    if any(n < 0 for n in shape):
        raise InputError(path, f"dim: the shape {shape} has a negative length", format=kind)
    check_budget(path, shape, 1, kind)
    if any(n > 1 for n in shape[4:]):
        raise InputError(
            path,
            f"{len(shape)}-D, shape {shape}: several values per voxel (a vector or tensor) are not "
            "read, only volumes and volumes through time",
            format=kind,
        )
    shape = (*shape, 1, 1)[:3] if len(shape) < 3 else shape[:4]
    return shape[:3] if len(shape) == 4 and shape[3] == 1 else shape


def _dtype(path: str, kind: str, code: int) -> np.dtype:
    if code in _NOT_READ:
        raise InputError(path, f"datatype {_NOT_READ[code]} is not read", format=kind)
    if code not in _DTYPES:
        raise InputError(path, f"unknown datatype code {code}", format=kind)
    return np.dtype(_DTYPES[code])


def _affine(path: str, kind: str, header: "nibabel.Nifti1Header") -> tuple[np.ndarray, bool]:
    """The sform if it has a code, else the qform, else the spacing alone; and whether it is one."""
    raw: Any = header
    zooms = np.asarray(raw["pixdim"][1:4], dtype=np.float64)
    sform = raw.get_sform() if int(raw["sform_code"]) > 0 else None
    qform = raw.get_qform() if int(raw["qform_code"]) > 0 else None
    if sform is not None:
        _check_affine(path, kind, sform, "sform")
        doubt = _doubt(sform, qform, zooms, np.asarray(raw["dim"][1:4]) > 1)
        if doubt:
            warnings.warn(f"{path}: {doubt}; the sform is used", InputWarning, stacklevel=6)
        return sform, True
    if qform is not None:
        _check_affine(path, kind, qform, "qform")
        return qform, True
    warnings.warn(
        f"{path}: no orientation (sform and qform codes are 0), the stored axes are kept",
        InputWarning,
        stacklevel=6,
    )
    num_axes = min(3, int(raw["dim"][0]))
    affine = np.diag([*np.abs(zooms[:num_axes]), *[1.0] * (4 - num_axes)])
    _check_affine(path, kind, affine, "pixdim")
    return affine, False


def _check_affine(path: str, kind: str, affine: np.ndarray, name: str) -> None:
    matrix = affine[:3, :3]
    if not np.isfinite(affine).all():
        raise InputError(
            path, f"the affine ({name}) holds NaN or Inf: spacing unknown", format=kind
        )
    lengths = np.sqrt((matrix**2).sum(axis=0))
    if (lengths <= 0).any() or abs(np.linalg.det(matrix / lengths)) < 1e-6:
        raise InputError(
            path, f"the affine ({name}) is singular: pixdim or spacing is zero", format=kind
        )


def _doubt(
    sform: np.ndarray, qform: np.ndarray | None, zooms: np.ndarray, is_extended: np.ndarray
) -> str:
    """How the header contradicts itself; "" if it does not."""
    orientations: Any = nibabel.orientations  # it has no types
    if qform is not None and np.isfinite(qform).all():
        codes = ["".join(map(str, orientations.aff2axcodes(form))) for form in (sform, qform)]
        if codes[0] != codes[1]:
            return f"sform and qform disagree on the orientation ({codes[0]} and {codes[1]})"
    lengths = np.sqrt((sform[:3, :3] ** 2).sum(axis=0))
    stated = np.isfinite(zooms) & (zooms > 0)
    if (is_extended & ~stated).any():
        return f"pixdim is {zooms.tolist()}, which is no spacing"
    if (np.abs(lengths / np.where(stated, zooms, lengths) - 1) > _SAME_SPACING).any():
        pair = [" x ".join(f"{step:.4g}" for step in steps) for steps in (lengths, zooms)]
        return f"the sform has a spacing of {pair[0]}, pixdim says {pair[1]}"
    return ""


def _time_step(header: "nibabel.Nifti1Header", unit: int) -> float | None:
    raw: Any = header
    step = float(raw["pixdim"][4]) * _SECONDS.get(unit, math.nan)
    return step if math.isfinite(step) and step > 0 else None
