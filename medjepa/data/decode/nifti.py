"""NIfTI volumes (.nii, .nii.gz, pairs), through nibabel; the header is checked first."""

import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from medjepa.data.decode.limits import CANONICAL, MAX_DECODED_BYTES, check_budget, check_finite
from medjepa.data.decode.quiet import quiet
from medjepa.data.decode.sniff import suffix_of
from medjepa.errors import InputError, InputWarning
from medjepa.types import MedicalImage

_ERRORS = (
    HeaderDataError, ImageFileError, ValueError, OSError, EOFError, TypeError, KeyError,
    struct.error, OverflowError,
)  # fmt: skip
_DTYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8",
    1280: "u8",
}  # fmt: skip
_NOT_READ = {1: "binary", 32: "complex64", 128: "RGB24", 1536: "float128", 1792: "complex128",
             2048: "complex256", 2304: "RGBA32"}  # fmt: skip
_CHUNK = 1 << 20


def decode(path: str, kind: str) -> MedicalImage:
    """Decode a 3-D volume to (1, Z, Y, X) in canonical (RAS) orientation, scl_slope applied.

    A 4-D file with one volume is read as 3-D.
    """
    head = _head_and_check_length(path, kind)
    image: Any
    image_class = nibabel.Nifti2Image if head.version == 2 else nibabel.Nifti1Image
    try:
        with quiet("nibabel.global"):
            if head.is_pair:
                image = nibabel.load(path)
            else:
                image = image_class.from_bytes(_content(path, kind, head.total_bytes))
            array = np.asanyarray(image.dataobj)
            affine = image.affine
    except _ERRORS as error:
        raise InputError(path, f"truncated or damaged: {error}", format=kind) from error
    array = np.asarray(array)
    if array.ndim > 3:
        array = array.reshape(array.shape[:3])
    elif array.ndim < 3:
        array = array.reshape(array.shape + (1,) * (3 - array.ndim))
    check_finite(path, array, kind)
    canonical, spacing, known = _canonical(path, kind, array, affine, image.header)
    return MedicalImage(
        array=canonical.transpose(2, 1, 0)[None],
        axes="zyx",
        spacing=spacing[::-1],
        source=path,
        history=(CANONICAL if known else "orientation unknown",),
    )


class _Head:
    """What the first bytes say, before anything is allocated."""

    def __init__(self, path: str, kind: str, head: bytes) -> None:
        order, self.version = _byte_order(path, kind, head)
        if self.version == 1:
            dim = struct.unpack(order + "8h", head[40:56])
            code = struct.unpack(order + "h", head[70:72])[0]
            offset = int(struct.unpack(order + "f", head[108:112])[0])
            self.is_pair = head[344:348] != b"n+1\0"
        else:
            dim = struct.unpack(order + "8q", head[16:80])
            code = struct.unpack(order + "h", head[12:14])[0]
            offset = struct.unpack(order + "q", head[168:176])[0]
            self.is_pair = head[4:8] == b"ni2\0"
        if not 1 <= dim[0] <= 7:
            raise InputError(
                path, f"dim[0] is {dim[0]}: 1 to 7 dimensions are possible", format=kind
            )
        shape = dim[1 : 1 + dim[0]]
        if code in _NOT_READ:
            raise InputError(path, f"datatype {_NOT_READ[code]} is not read", format=kind)
        if code not in _DTYPES:
            raise InputError(path, f"unknown datatype code {code}", format=kind)
        itemsize = np.dtype(_DTYPES[code]).itemsize
        check_budget(path, shape, itemsize, kind)
        if any(n > 1 for n in shape[3:]):
            raise InputError(
                path, f"{len(shape)}-D, shape {shape}: only 3-D volumes are read yet", format=kind
            )
        self.total_bytes = max(offset, 0) + int(np.prod(shape, dtype=np.int64)) * itemsize


def _byte_order(path: str, kind: str, head: bytes) -> tuple[str, int]:
    for order in "<>":
        size = struct.unpack(order + "i", head[:4])[0] if len(head) >= 4 else 0
        if size == 348 and len(head) >= 348:
            return order, 1
        if size == 540 and len(head) >= 540:
            return order, 2
    raise InputError(path, "not a NIfTI header: sizeof_hdr is neither 348 nor 540", format=kind)


def _head_and_check_length(path: str, kind: str) -> _Head:
    head = _Head(path, kind, _content(path, kind, 540, may_be_shorter=True))
    if head.is_pair and not Path(path).with_suffix(".img").is_file():
        raise InputError(path, "the .img file of this header is missing", format=kind)
    if head.total_bytes > MAX_DECODED_BYTES + _CHUNK:
        raise InputError(path, "too large: vox_offset is over the limit", format=kind)
    return head


def _content(path: str, kind: str, num_bytes: int, *, may_be_shorter: bool = False) -> bytes:
    """The first `num_bytes` of the (inflated) file: never more, whatever a gzip stream holds."""
    with Path(path).open("rb") as file:
        gzipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not gzipped:
            content = file.read(num_bytes)
        else:
            if suffix_of(path) != ".nii.gz" and not may_be_shorter:
                warnings.warn(
                    f"{path}: gzip content although the name's extension is not .nii.gz",
                    InputWarning,
                    stacklevel=5,
                )
            inflater, parts, length = zlib.decompressobj(wbits=31), [], 0
            try:
                while length < num_bytes and (chunk := file.read(_CHUNK)):
                    part = inflater.decompress(chunk, num_bytes - length)
                    parts.append(part)
                    length += len(part)
            except zlib.error as error:
                raise InputError(
                    path, f"the gzip stream is corrupt: {error}", format=kind
                ) from error
            content = b"".join(parts)
    if len(content) < num_bytes and not may_be_shorter:
        raise InputError(
            path, f"truncated: {len(content):,} of {num_bytes:,} bytes are there", format=kind
        )
    return content


def _canonical(
    path: str, kind: str, array: np.ndarray, affine: np.ndarray, header: "nibabel.Nifti1Header"
) -> tuple[np.ndarray, tuple[float, ...], bool]:
    """The array in RAS axes, its spacing in that order (mm), and whether the file knew them."""
    known = int(header["qform_code"]) > 0 or int(header["sform_code"]) > 0
    matrix = np.asarray(affine, dtype=np.float64)[:3, :3]
    if not known:
        warnings.warn(
            f"{path}: no orientation (sform and qform codes are 0), the stored axes are kept",
            InputWarning,
            stacklevel=4,
        )
        zooms = [float(z) for z in header["pixdim"][1:4]]
        zooms += [1.0] * (3 - len(zooms))
        matrix = np.diag(zooms)
    spacing = np.sqrt((matrix**2).sum(axis=0))
    if not np.isfinite(spacing).all() or (spacing <= 0).any() or abs(np.linalg.det(matrix)) < 1e-12:
        raise InputError(path, "the affine is singular: pixdim or spacing is zero", format=kind)
    if not known:
        return array, tuple(float(s) for s in spacing), False
    orientations: Any = nibabel.orientations  # it has no types
    orientation = orientations.io_orientation(affine)
    if np.isnan(orientation).any():
        raise InputError(path, "the affine drops an axis: no orientation", format=kind)
    order = np.argsort(orientation[:, 0])
    canonical = orientations.apply_orientation(array, orientation)
    return canonical, tuple(float(spacing[i]) for i in order), True
