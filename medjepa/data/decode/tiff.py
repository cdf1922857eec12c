"""TIFF of 8, 16 or 32 bits, signed, unsigned or float, through tifffile; the first page."""

import struct
import warnings
from pathlib import Path

import numpy as np
import tifffile

from medjepa.data.decode.limits import check_budget, check_finite
from medjepa.data.decode.quiet import quiet
from medjepa.errors import InputError, InputWarning
from medjepa.types import MedicalImage

# imagecodecs raises subclasses of RuntimeError; the rest comes from damaged directories.
_ERRORS = (
    tifffile.TiffFileError, OSError, ValueError, KeyError, IndexError, TypeError, AttributeError,
    struct.error, RuntimeError, ZeroDivisionError, EOFError, OverflowError,
)  # fmt: skip
_PALETTE, _WHITE_IS_ZERO, _SEPARATED = 3, 0, 5


def decode(path: str, kind: str) -> MedicalImage:
    """Decode the first page to (1 or 3, Y, X); several pages of one shape give a warning."""
    try:
        with quiet("tifffile"), tifffile.TiffFile(path) as tiff:
            array, history = _page(path, kind, tiff)
    except InputError:
        raise
    except _ERRORS as error:
        reason = str(error) or type(error).__name__
        raise InputError(path, f"truncated or damaged: {reason}", format=kind) from error
    check_finite(path, array, kind)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    return MedicalImage(
        array=array, axes="yx", spacing=(None, None), source=path, history=tuple(history)
    )


def _page(path: str, kind: str, tiff: tifffile.TiffFile) -> tuple[np.ndarray, list[str]]:
    page = tiff.pages.first
    if page.dtype is None or page.dtype.kind not in "biuf":
        raise InputError(path, f"dtype {page.dtype} is not read", format=kind)
    check_budget(path, page.shape, page.dtype.itemsize, kind)
    _check_pages(path, kind, tiff, page)
    length = Path(path).stat().st_size
    if any(o + n > length for o, n in zip(page.dataoffsets, page.databytecounts, strict=False)):
        raise InputError(path, "truncated: the pixels end after the file", format=kind)
    array = np.asarray(page.asarray())
    if array.shape != page.shape:
        raise InputError(
            path, f"truncated: shape {array.shape} instead of {page.shape}", format=kind
        )
    photometric = int(page.photometric)
    if photometric == _SEPARATED:
        raise InputError(path, "CMYK (four components) is not read; save it as RGB", format=kind)
    history = []
    if photometric == _PALETTE and page.colormap is not None:
        array, photometric = page.colormap[:, array], 2
        array = (array >> 8).astype(np.uint8) if array.dtype == np.uint16 else array
        history.append("palette read as RGB")
    elif array.ndim == 3:
        array = _channels_first(path, kind, array, page)
    else:
        array = array[None]
    if photometric == _WHITE_IS_ZERO and array.dtype.kind == "u":
        array = np.iinfo(array.dtype).max - array
        history.append("white-is-zero inverted")
    return array, history


def _channels_first(path: str, kind: str, array: np.ndarray, page: tifffile.TiffPage) -> np.ndarray:
    if "S" not in page.axes:
        raise InputError(
            path, f"axes {page.axes}, shape {array.shape}: not a 2-D page", format=kind
        )
    array = np.moveaxis(array, page.axes.index("S"), 0)
    num_colours = array.shape[0] - len(page.extrasamples)
    if num_colours not in (1, 3):
        raise InputError(path, f"{array.shape[0]} channels: 1 or 3 are read", format=kind)
    return array[:num_colours]


def _check_pages(path: str, kind: str, tiff: tifffile.TiffFile, first: tifffile.TiffPage) -> None:
    count = len(tiff.pages)
    if count == 1:
        return
    shapes = {tiff.pages[i].shape for i in range(count)}
    if len(shapes) > 1:
        raise InputError(
            path, f"{count} pages of different size: {sorted(shapes)[:3]}", format=kind
        )
    warnings.warn(
        f"{path}: {count} pages of size {first.shape}, only the first is read",
        InputWarning,
        stacklevel=6,
    )
