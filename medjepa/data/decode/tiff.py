"""TIFF of 8, 16, 32 or 64 bits, signed, unsigned or float, through tifffile: a page or a stack."""

import math
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tifffile

from medjepa.data.decode.limits import check_budget, check_finite
from medjepa.data.decode.quiet import quiet
from medjepa.data.decode.tiff_chain import check_chain
from medjepa.data.decode.tiff_stack import Stack, stack_of
from medjepa.errors import InputError
from medjepa.types import MedicalImage

# imagecodecs raises subclasses of RuntimeError; the rest comes from damaged directories.
TIFF_ERRORS = (
    tifffile.TiffFileError, OSError, ValueError, KeyError, IndexError, TypeError, AttributeError,
    struct.error, RuntimeError, ZeroDivisionError, EOFError, OverflowError, SyntaxError,
    AssertionError,
)  # fmt: skip
_PALETTE, _WHITE_IS_ZERO, _SEPARATED = 3, 0, 5
_LZW = 5
_REDUCED_OR_MASK = 1 | 4


def decode(path: str, kind: str, page: int | None = None) -> MedicalImage:
    """Decode a file of one page to (1 or 3, Y, X), of several pages of one shape to a stack.

    A stack is a volume "zyx", or "tyx" or "tzyx" where OME or ImageJ metadata say that it goes
    through time; its spacing is what they say, else unknown. `page` chooses one page instead.
    Reduced copies of the image and masks are left out. Of a slide in tiles the finest level is
    read if memory allows.
    """
    try:
        # Another file that this one names is never opened.
        ends = check_chain(path, kind)
        with quiet("tifffile"), tifffile.TiffFile(path, _multifile=False) as tiff:
            image = _image(path, kind, tiff, page, ends=ends)
    except InputError:
        raise
    except TIFF_ERRORS as error:
        reason = str(error) or type(error).__name__
        raise InputError(path, f"truncated or damaged: {reason}", format=kind) from error
    except RecursionError as error:
        raise InputError(path, "damaged: its directories are nested", format=kind) from error
    check_finite(path, image.array, kind)
    return image


def _image(
    path: str, kind: str, tiff: tifffile.TiffFile, number: int | None, *, ends: bool
) -> MedicalImage:
    from medjepa.data.decode.slide_file import is_slide, whole_slide

    # In a circle of pages the library would look for a slide's levels for ever.
    if ends and is_slide(tiff):
        if number is not None:
            raise InputError(
                path, "a slide: its pages are read with read_region and a level", format=kind
            )
        return whole_slide(path, kind, tiff)
    pages = list(_pages_of(path, kind, tiff, number))
    stack = stack_of(path, kind, tiff, pages) if number is None else Stack((0,), "yx", ())
    first = pages[stack.order[0]]
    # Scaled or not, the type stays; a palette gives three channels.
    colours = 3 if first.photometric == _PALETTE else 1
    check_budget(path, (len(stack.order) * colours, *first.shape), _dtype(path, kind, first), kind)
    array, history = page_values(path, kind, first)
    if len(stack.order) > 1:
        array = _stacked(path, kind, [pages[n] for n in stack.order], array)
    array = array.reshape(array.shape[0], *stack.lengths, *array.shape[-2:])
    if stack.num_channels > 1:
        array = array.reshape(-1, *array.shape[2:])
    return MedicalImage(
        array=array,
        axes=stack.axes,
        spacing=stack.spacing or (None,) * len(stack.axes),
        source=path,
        history=(*history, *stack.notes),
        times=stack.times,
    )


def page_values(path: str, kind: str, page: tifffile.TiffPage) -> tuple[np.ndarray, list[str]]:
    """One page as (1 or 3, Y, X), palette and white-is-zero resolved, and what was done.

    Raises:
        InputError: it is cut, or of a kind that is not read.
    """
    _dtype(path, kind, page)
    check_budget(path, page.shape, page.dtype.itemsize, kind)  # type: ignore[union-attr]
    photometric = int(page.photometric)
    if photometric == _SEPARATED:
        raise InputError(path, "CMYK (four components) is not read; save it as RGB", format=kind)
    check_segments(path, kind, page)
    array = np.asarray(page.asarray(maxworkers=1))
    if array.shape != page.shape:
        raise InputError(
            path, f"truncated: shape {array.shape} instead of {page.shape}", format=kind
        )
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    history = []
    if photometric == _PALETTE and page.colormap is not None:
        if array.dtype.kind != "u" or int(array.max()) >= page.colormap.shape[1]:
            raise InputError(path, "an index outside of the palette", format=kind)
        array, photometric = page.colormap[:, array], 2
        array = (array >> 8).astype(np.uint8) if array.dtype == np.uint16 else array
        history.append("palette read as RGB")
    elif array.ndim == 3:
        array = _channels_first(path, kind, array, page)
    else:
        array = array[None]
    if photometric == _WHITE_IS_ZERO and array.dtype.kind in "ub":
        # Of 1 to 8 bits a byte is unpacked; the greatest value is that of the bits.
        top = 2 ** min(page.bitspersample, 8 * array.dtype.itemsize) - 1
        array = ~array if array.dtype.kind == "b" else (top - array).astype(array.dtype)
        history.append("white-is-zero inverted")
    if array.ndim != 3:
        raise InputError(path, f"axes {page.axes}: not a 2-D page", format=kind)
    return array, history


def check_segments(path: str, kind: str, page: tifffile.TiffPage) -> None:
    """Refuse a page whose strips or tiles are missing, lie after the file's end, or are too large.

    Raises:
        InputError: which of these it is.
    """
    length = Path(path).stat().st_size
    offsets, counts = page.dataoffsets, page.databytecounts
    if any(o + n > length for o, n in zip(offsets, counts, strict=False)):
        raise InputError(path, "truncated: the pixels end after the file", format=kind)
    if page.is_contiguous:
        if not offsets or offsets[0] + page.nbytes > length:
            raise InputError(path, "truncated: the pixels end after the file", format=kind)
        return
    wanted = math.prod(page.chunked)
    if min(len(offsets), len(counts)) < wanted:
        raise InputError(
            path, f"truncated: {len(offsets)} of {wanted} strips or tiles are there", format=kind
        )
    if any(o == 0 or n == 0 for o, n in zip(offsets, counts, strict=False)):
        raise InputError(path, "truncated: a strip or tile of 0 bytes", format=kind)
    if int(page.compression) == _LZW and int(page.fillorder) == 1:
        _check_lzw(path, kind, offsets)
    check_budget(path, page.chunks, max(1, page.bitspersample // 8), kind)


def _check_lzw(path: str, kind: str, offsets: Sequence[int]) -> None:
    """Refuse LZW data that do not begin with a clear code (TIFF 6.0, section 13).

    So does what writers before 1988 had, lowest bit first: the decoder takes other data for it, and
    reads beyond its table then, which has killed the process.
    """
    with Path(path).open("rb") as file:
        for offset in offsets:
            file.seek(offset)
            first, second = (*file.read(2), 0, 0)[:2]
            if first != 0x80 or second >= 0x80:  # 256 in 9 bits
                raise InputError(
                    path, "truncated or damaged: LZW data without a clear code", format=kind
                )


def _pages_of(
    path: str, kind: str, tiff: tifffile.TiffFile, number: int | None
) -> Sequence[tifffile.TiffPage]:
    count = len(tiff.pages)
    if number is not None:
        if not 0 <= number < count:
            raise InputError(path, f"there is no page {number}: it has {count}", format=kind)
        return [_page(path, kind, tiff, number)]
    pages = [_page(path, kind, tiff, n) for n in range(count)]
    return [page for page in pages if not int(page.subfiletype) & _REDUCED_OR_MASK] or pages[:1]


def _page(path: str, kind: str, tiff: tifffile.TiffFile, number: int) -> tifffile.TiffPage:
    page = tiff.pages[number]
    page = page if isinstance(page, tifffile.TiffPage) else page.aspage()
    if not isinstance(page, tifffile.TiffPage):
        raise InputError(path, f"page {number} has no header of its own", format=kind)
    return page


def _dtype(path: str, kind: str, page: tifffile.TiffPage) -> int:
    """Bytes of a value.

    Raises:
        InputError: they are no real numbers.
    """
    if page.dtype is None or page.dtype.kind not in "biuf":
        raise InputError(path, f"dtype {page.dtype} is not read", format=kind)
    return int(page.dtype.itemsize)


def _stacked(
    path: str, kind: str, pages: Sequence[tifffile.TiffPage], first: np.ndarray
) -> np.ndarray:
    """(C, pages, Y, X), page by page into one array."""
    result = np.empty((first.shape[0], len(pages), *first.shape[1:]), first.dtype)
    result[:, 0] = first
    for number, page in enumerate(pages[1:], 1):
        values, _ = page_values(path, kind, page)
        if values.shape != first.shape or values.dtype != first.dtype:
            raise InputError(path, f"page {number} is unlike the first", format=kind)
        result[:, number] = values
    return result


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
