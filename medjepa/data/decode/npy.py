"""NumPy arrays (.npy), never through pickle."""

import struct
import tokenize
from pathlib import Path
from typing import BinaryIO

import numpy as np

from medjepa.data.decode.limits import check_budget, check_finite
from medjepa.errors import InputError
from medjepa.types import MedicalImage

_MAX_HEADER_BYTES = 1 << 16  # NumPy itself reads no more than 10,000
_ERRORS = (
    ValueError,
    OSError,
    EOFError,
    SyntaxError,
    TypeError,
    KeyError,
    struct.error,
    tokenize.TokenError,
)


def decode(path: str, kind: str) -> MedicalImage:
    """Decode a 2-D or 3-D array of numbers.

    (Y, X) is grey; (Y, X, 3 or 4) and (1 or 3, Y, X) are channels last and first (the fourth,
    transparency, is dropped); any other (Z, Y, X) is a volume.
    """
    shape, dtype = _header(path, kind)
    if dtype.hasobject:
        raise InputError(
            path, "unsafe: an object array is a pickle, and loading it runs code", format=kind
        )
    if dtype.kind not in "biuf":
        raise InputError(path, f"dtype {dtype} is not read; numbers are needed", format=kind)
    if len(shape) not in (2, 3):
        raise InputError(
            path, f"{len(shape)} dimensions, shape {shape}: 2 or 3 are read", format=kind
        )
    check_budget(path, shape, dtype.itemsize, kind)
    try:
        array = np.load(path, allow_pickle=False)
    except _ERRORS as error:
        raise InputError(path, f"truncated or damaged: {error}", format=kind) from error
    check_finite(path, array, kind)
    # The long double of one processor is unknown to the next, and to whatever computes.
    wanted = np.dtype(np.float64) if dtype.itemsize > 8 else array.dtype.newbyteorder("=")
    array = array.astype(wanted, copy=False)
    volume = array.ndim == 3 and shape[2] not in (3, 4) and shape[0] not in (1, 3)
    if array.ndim == 2 or volume:
        array, note = array[None], "array read as a volume" if volume else "array read as grey"
    elif shape[2] in (3, 4):
        array, note = np.moveaxis(array[..., :3], 2, 0), "array read as (Y, X, colour)"
    else:
        note = "array read as (channel, Y, X)"
    return MedicalImage(
        array=array,
        axes="zyx" if volume else "yx",
        spacing=(None,) * (3 if volume else 2),
        source=path,
        history=(note,),
    )


def _header(path: str, kind: str) -> tuple[tuple[int, ...], np.dtype]:
    try:
        with Path(path).open("rb") as file:
            version = np.lib.format.read_magic(file)
            _check_header_length(path, kind, file, 2 if version == (1, 0) else 4)
            read = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, _, dtype = read(file)
    except _ERRORS as error:
        raise InputError(path, f"the header is damaged: {error}", format=kind) from error
    return shape, dtype


def _check_header_length(path: str, kind: str, file: BinaryIO, num_bytes: int) -> None:
    start = file.tell()
    length = int.from_bytes(file.read(num_bytes), "little")
    file.seek(start)
    if length > _MAX_HEADER_BYTES:
        raise InputError(
            path, f"the header is damaged: it would have {length:,} bytes", format=kind
        )
