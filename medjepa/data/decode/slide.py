"""Whole slides by region and by tile of tissue; the slide itself never lies in memory."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import tifffile

from medjepa.data.decode.quiet import quiet
from medjepa.data.decode.slide_file import (
    LevelReader,
    SlideInfo,
    SlideLevel,
    info_of,
    level_pages,
    region_image,
)
from medjepa.data.decode.sniff import sniff
from medjepa.data.decode.tiff import TIFF_ERRORS
from medjepa.data.decode.tiff_chain import check_chain
from medjepa.data.resize import resize
from medjepa.errors import InputError
from medjepa.types import MedicalImage

__all__ = ["SlideInfo", "SlideLevel", "SlideTile", "read_region", "read_tiles", "slide_info"]

_MIN_SATURATION = 18
_WHITE, _BLACK = 230, 30
_OVERVIEW_PIXELS = 16 << 20


@dataclass(frozen=True)
class SlideTile:
    """One tile of tissue.

    Attributes:
        image: (3, size, size).
        top: its first row, in pixels of level 0.
        left: its first column, in pixels of level 0.
        tissue: which part of it, 0 to 1, is stained.
    """

    image: MedicalImage
    top: int
    left: int
    tissue: float


def slide_info(path: str | os.PathLike[str]) -> SlideInfo:
    """Sizes of the levels, micrometres per pixel and magnification; no pixel is decoded.

    Raises:
        InputError: it is no TIFF, or not one of colour.
    """
    with _opened(os.fspath(path)) as (name, tiff):
        return info_of(name, "TIFF", tiff)


def read_region(
    path: str | os.PathLike[str], top: int, left: int, height: int, width: int, *, level: int = 0
) -> MedicalImage:
    """One rectangle as (3, height, width) uint8, decoding only the tiles below it.

    All numbers are pixels of `level`. What the scanner left out is white.

    Raises:
        InputError: the rectangle reaches over the level's border, there is no such level, or a
            tile is damaged.
    """
    with _opened(os.fspath(path)) as (name, tiff):
        info = info_of(name, "TIFF", tiff)
        size = _level(name, info, level)
        inside = top + height <= size.height and left + width <= size.width
        if min(top, left) < 0 or min(height, width) < 1 or not inside:
            raise InputError(
                name,
                f"the region of {height} x {width} pixels at ({top}, {left}) is not inside level "
                f"{level}, whose size is {size.height} x {size.width}",
                format="TIFF",
            )
        reader = LevelReader(name, "TIFF", tiff, level_pages(name, "TIFF", tiff)[level])
        return region_image(name, info, level, reader.region(top, left, height, width))


def read_tiles(
    path: str | os.PathLike[str],
    size: int,
    *,
    mpp: float | None = None,
    level: int = 0,
    stride: int | None = None,
    min_tissue: float = 0.1,
) -> Iterator[SlideTile]:
    """Tiles of `size` x `size` pixels that show tissue, from left to right and top to bottom.

    Tiles are those of `level`; or, with `mpp`, squares of `size` x `mpp` micrometres, read from
    the coarsest level that is fine enough and made smaller. `stride` (default: `size`) is the
    step between tiles in the same pixels. A tile counts when at least `min_tissue` of its pixels
    are stained: neither white, nor black, nor grey. Tiles that would reach over the border are
    left out.

    Raises:
        InputError: there is no such level, the slide does not say its resolution or is coarser
            than `mpp`, or a tile is damaged.
    """
    if size < 1 or (stride is not None and stride < 1):
        raise InputError(os.fspath(path), f"tiles of size {size} at a step of {stride}")
    with _opened(os.fspath(path)) as (name, tiff):
        info = info_of(name, "TIFF", tiff)
        pages = level_pages(name, "TIFF", tiff)
        scale = 1.0
        if mpp is not None:
            level, scale = _level_for(name, info, mpp)
        here = _level(name, info, level)
        side, step = max(1, round(size * scale)), max(1, round((stride or size) * scale))
        empty = _empty_places(name, tiff, info, pages, level)
        reader = LevelReader(name, "TIFF", tiff, pages[level])
        for top in range(0, here.height - side + 1, step):
            for left in range(0, here.width - side + 1, step):
                if empty is not None and empty(top, left, side):
                    continue
                array = reader.region(top, left, side, side)
                tissue = float(_stained(array).mean())
                if tissue < min_tissue:
                    continue
                image = region_image(name, info, level, array)
                yield SlideTile(
                    _resized(image, size, mpp) if side != size or mpp is not None else image,
                    round(top * here.downsample),
                    round(left * here.downsample),
                    tissue,
                )


@contextmanager
def _opened(path: str) -> Iterator[tuple[str, tifffile.TiffFile]]:
    kind = sniff(path)
    if kind != "TIFF":
        raise InputError(path, "not a slide: slides are read from SVS and TIFF", format=kind)
    if not check_chain(path, kind):
        raise InputError(path, "damaged: its chain of pages runs in a circle", format=kind)
    try:
        with quiet("tifffile"), tifffile.TiffFile(path, _multifile=False) as tiff:
            yield path, tiff
    except InputError:
        raise
    except TIFF_ERRORS as error:
        reason = str(error) or type(error).__name__
        raise InputError(path, f"truncated or damaged: {reason}", format="TIFF") from error


def _level(path: str, info: SlideInfo, level: int) -> SlideLevel:
    if not 0 <= level < len(info.levels):
        raise InputError(
            path, f"there is no level {level}: it has {len(info.levels)}", format="TIFF"
        )
    return info.levels[level]


def _level_for(path: str, info: SlideInfo, mpp: float) -> tuple[int, float]:
    """The coarsest level that is fine enough, and how many of its pixels make one that is asked."""
    if info.mpp is None:
        raise InputError(
            path, "the slide does not say its micrometres per pixel: give level= instead",
            format="TIFF",
        )  # fmt: skip
    scales = [mpp / (info.mpp * level.downsample) for level in info.levels]
    # Scanners round; a twentieth coarser is still made larger without harm.
    fine = [number for number, scale in enumerate(scales) if scale >= 0.95]
    if not fine or mpp <= 0:
        raise InputError(
            path, f"{mpp:g} micrometres per pixel were asked, the slide has {info.mpp:g}",
            format="TIFF",
        )  # fmt: skip
    return fine[-1], scales[fine[-1]]


class _Overview:
    """Where a coarse level shows nothing stained at all."""

    def __init__(self, stained: np.ndarray, ratio: float) -> None:
        self._stained, self._ratio = stained, ratio

    def __call__(self, top: int, left: int, side: int) -> bool:
        # One pixel more on each side: a coarse pixel may be a little beside.
        first = [max(0, math.floor(start / self._ratio) - 1) for start in (top, left)]
        last = [math.ceil((start + side) / self._ratio) + 1 for start in (top, left)]
        return not self._stained[first[0] : last[0], first[1] : last[1]].any()


def _empty_places(
    path: str,
    tiff: tifffile.TiffFile,
    info: SlideInfo,
    pages: list[tifffile.TiffPage],
    level: int,
) -> _Overview | None:
    """From the coarsest level, if it is coarser than the one read and small."""
    coarse = info.levels[-1]
    if len(pages) - 1 <= level or coarse.height * coarse.width > _OVERVIEW_PIXELS:
        return None
    reader = LevelReader(path, "TIFF", tiff, pages[-1])
    stained = _stained(reader.region(0, 0, coarse.height, coarse.width))
    return _Overview(stained, coarse.downsample / info.levels[level].downsample)


def _stained(array: np.ndarray) -> np.ndarray:
    """(Y, X) of bool: pixels that are coloured, neither glass nor pen nor fold."""
    highest, lowest = array.max(axis=0), array.min(axis=0)
    coloured = highest - lowest >= _MIN_SATURATION
    return np.asarray(coloured & (lowest < _WHITE) & (highest > _BLACK))


def _resized(image: MedicalImage, size: int, mpp: float | None) -> MedicalImage:
    from dataclasses import replace

    step = None if mpp is None else mpp / 1000
    array = image.array
    if array.shape[1:] != (size, size):
        values = resize(array.astype(np.float32), (size, size))
        array = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return replace(image, array=array, spacing=(step, step))
