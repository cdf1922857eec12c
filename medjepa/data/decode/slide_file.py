"""Levels and tiles of a slide in a TIFF; its label and macro photographs are never read."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tifffile

from medjepa.data.decode.limits import MAX_DECODED_BYTES, check_budget
from medjepa.data.decode.tiff_stack import ome_spacing
from medjepa.errors import InputError
from medjepa.types import MedicalImage

_SCANNERS = ("svs", "ndpi", "scn", "bif", "philips")
_NO_LEVELS = ("thumbnail", "label", "macro", "overview", "map")
_RGB, _YCBCR = 2, 6
_JPEG = (6, 7, 34892, 33007)
_WHITE = 255
_CENTIMETRE, _INCH = 3, 2
_PLAUSIBLE_MPP = (0.02, 100.0)
_EARLIEST_MISMATCH = 0.05


@dataclass(frozen=True)
class SlideLevel:
    """One resolution of a slide.

    Attributes:
        height: in pixels.
        width: in pixels.
        downsample: how many pixels of level 0 one pixel covers in each direction.
        mpp: micrometres per pixel, None if the file does not say.
    """

    height: int
    width: int
    downsample: float
    mpp: float | None


@dataclass(frozen=True)
class SlideInfo:
    """What a slide's header says.

    Attributes:
        levels: the finest first.
        mpp: micrometres per pixel of level 0, None if the file does not say.
        objective: magnification, None if the file does not say.
    """

    levels: tuple[SlideLevel, ...]
    mpp: float | None
    objective: float | None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of level 0."""
        return self.levels[0].height, self.levels[0].width


def is_slide(tiff: tifffile.TiffFile) -> bool:
    """Whether it comes from a slide scanner, or is colour in tiles at several resolutions."""
    if any(getattr(tiff, f"is_{name}", False) for name in _SCANNERS):
        return True
    series = _main_series(tiff)
    if series is None or len(series.levels) < 2 or len(series.pages) != 1:
        return False
    page = series.pages[0]
    return isinstance(page, tifffile.TiffPage) and page.is_tiled and page.axes == "YXS"


def info_of(path: str, kind: str, tiff: tifffile.TiffFile) -> SlideInfo:
    """Levels, resolution and magnification.

    Raises:
        InputError: there is no level, or one that is no colour image.
    """
    pages = level_pages(path, kind, tiff)
    base = pages[0]
    mpp, objective = _resolution(tiff, base)
    levels = []
    for page in pages:
        downsample = (base.imagelength / page.imagelength + base.imagewidth / page.imagewidth) / 2
        levels.append(
            SlideLevel(page.imagelength, page.imagewidth, downsample, mpp and mpp * downsample)
        )
    return SlideInfo(tuple(levels), mpp, objective)


def level_pages(path: str, kind: str, tiff: tifffile.TiffFile) -> list[tifffile.TiffPage]:
    """The pages that show the tissue, the finest first."""
    series = _main_series(tiff)
    found: list[tifffile.TiffPage] = []
    for level in series.levels if series is not None else ():
        page = level.pages[0] if len(level.pages) == 1 else None
        if not isinstance(page, tifffile.TiffPage):
            raise InputError(
                path, "several planes at one level (focus or channels) are not read", format=kind
            )
        if found and not _same_scene(found[0], page):
            continue
        found.append(page)
    if not found:
        raise InputError(path, "no level shows tissue", format=kind)
    for page in found:
        _check_page(path, kind, page)
    return found


def whole_slide(path: str, kind: str, tiff: tifffile.TiffFile) -> MedicalImage:
    """Level 0 as one image, if memory allows.

    Raises:
        InputError: it does not; the text names the sizes and `read_region`.
    """
    info = info_of(path, kind, tiff)
    height, width = info.size
    if height * width * 3 > MAX_DECODED_BYTES:
        sizes = ", ".join(f"{level.height} x {level.width}" for level in info.levels)
        raise InputError(
            path,
            f"too large: a slide of {height} x {width} pixels needs "
            f"{height * width * 3 / 2**30:.1f} GiB, the limit is "
            f"{MAX_DECODED_BYTES / 2**30:g} GiB; read a part with read_region or read_tiles "
            f"(levels: {sizes})",
            format=kind,
        )
    reader = LevelReader(path, kind, tiff, level_pages(path, kind, tiff)[0])
    return region_image(path, info, 0, reader.region(0, 0, height, width))


def region_image(path: str, info: SlideInfo, level: int, array: np.ndarray) -> MedicalImage:
    """(3, Y, X) of a level with its spacing in mm."""
    mpp = info.levels[level].mpp
    step = None if mpp is None else mpp / 1000
    return MedicalImage(
        array=array,
        axes="yx",
        spacing=(step, step),
        source=path,
        modality="histology",
        history=(f"slide level {level}",),
    )


class LevelReader:
    """Regions of one level, tile by tile; the last tiles are kept for the region beside."""

    def __init__(
        self, path: str, kind: str, tiff: tifffile.TiffFile, page: tifffile.TiffPage
    ) -> None:
        self._path, self._kind = path, kind
        self._file = tiff.filehandle
        # All that tifffile reads from the file on demand, before the first tile is sought.
        self._offsets, self._counts, self._decode = (
            page.dataoffsets, page.databytecounts, page.decode,
        )  # fmt: skip
        self._tables: dict[str, Any] = {}
        if int(page.compression) in _JPEG:
            self._tables = {"jpegtables": page.jpegtables, "jpegheader": page.jpegheader}
        self._length = self._file.size
        self._rows, self._columns = int(page.chunks[0]), int(page.chunks[1])
        self._across = int(page.chunked[1])
        # Two rows of tiles serve regions that are read from left to right, within reason.
        tile_bytes = self._rows * self._columns * 3
        self._most = max(4, min(2 * self._across + 2, (64 << 20) // tile_bytes))
        self._kept: dict[int, np.ndarray] = {}

    def region(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        """(3, height, width) uint8; what the scanner left out is white.

        Raises:
            InputError: a tile is cut or damaged.
        """
        check_budget(self._path, (3, height, width), 1, self._kind)
        result = np.full((3, height, width), _WHITE, np.uint8)
        for down, across in self._tiles(top, left, height, width):
            tile = self._tile(down * self._across + across)
            y, x = down * self._rows - top, across * self._columns - left
            inside = tile[max(0, -y) : max(0, height - y), max(0, -x) : max(0, width - x)]
            rows, columns = inside.shape[:2]
            y, x = max(0, y), max(0, x)
            result[:, y : y + rows, x : x + columns] = inside.transpose(2, 0, 1)
        return result

    def _tiles(self, top: int, left: int, height: int, width: int) -> Iterator[tuple[int, int]]:
        for down in range(top // self._rows, -(-(top + height) // self._rows)):
            for across in range(left // self._columns, -(-(left + width) // self._columns)):
                yield down, across

    def _tile(self, index: int) -> np.ndarray:
        """(rows, columns, 3), cut at the image's border."""
        if index not in self._kept:
            while len(self._kept) >= self._most:
                del self._kept[next(iter(self._kept))]  # the oldest
            self._kept[index] = self._decoded(index)
        return self._kept[index]

    def _decoded(self, index: int) -> np.ndarray:
        if index >= min(len(self._offsets), len(self._counts)):
            raise self._damaged(f"truncated: tile {index} is missing")
        offset, count = int(self._offsets[index]), int(self._counts[index])
        if count == 0:
            return np.zeros((0, 0, 3), np.uint8)
        if offset + count > self._length:
            raise self._damaged(f"truncated: tile {index} ends after the file")
        self._file.seek(offset)
        segment, _, shape = self._decode(self._file.read(count), index, **self._tables)
        if segment is None:
            raise self._damaged(f"tile {index} is empty")
        tile = np.asarray(segment)
        tile = tile.reshape(tile.shape[-3:])[: shape[1], : shape[2]]
        if tile.dtype != np.uint8 or tile.shape[2] < 3:
            raise self._damaged(f"tile {index} holds {tile.dtype} of shape {tile.shape}")
        return tile[..., :3]

    def _damaged(self, reason: str) -> InputError:
        return InputError(self._path, reason, format=self._kind)


def _main_series(tiff: tifffile.TiffFile) -> tifffile.TiffPageSeries | None:
    """The largest one that is no photograph of the glass: it may carry a name."""
    tissue = [s for s in tiff.series if str(s.name).lower() not in _NO_LEVELS]
    return max(tissue, key=lambda s: math.prod(s.shape), default=None)


def _same_scene(base: tifffile.TiffPage, page: tifffile.TiffPage) -> bool:
    """Whether a page is the base made smaller: a macro photograph has other proportions."""
    down = base.imagelength / max(1, page.imagelength)
    across = base.imagewidth / max(1, page.imagewidth)
    rounding = down / min(base.imagelength, base.imagewidth)
    return abs(down / across - 1) < _EARLIEST_MISMATCH + rounding


def _check_page(path: str, kind: str, page: tifffile.TiffPage) -> None:
    if page.dtype != np.uint8 or int(page.photometric) not in (_RGB, _YCBCR):
        raise InputError(
            path, f"a slide of {page.dtype}, {page.photometric}: colour of 8 bits is read",
            format=kind,
        )  # fmt: skip
    if page.axes != "YXS" or page.samplesperpixel not in (3, 4) or int(page.planarconfig or 1) != 1:
        raise InputError(path, f"a slide with axes {page.axes} is not read", format=kind)
    check_budget(path, page.chunks, 1, kind)


def _resolution(
    tiff: tifffile.TiffFile, base: tifffile.TiffPage
) -> tuple[float | None, float | None]:
    """Micrometres per pixel and magnification: the scanner's words, else the resolution tags."""
    text = str(base.description or "")
    mpp = _number(r"\bMPP\s*=\s*([\d.]+)", text)
    objective = _number(r"\bAppMag\s*=\s*([\d.]+)", text)
    if objective is None and 65421 in base.tags:
        objective = _positive(base.tags[65421].value)  # NDPI
    if mpp is None and tiff.is_ome:
        step = ome_spacing(tiff.ome_metadata or "")[0].get("x")
        mpp = step and step * 1000
    if mpp is None:
        mpp = _tagged(base.tags)
    plausible = mpp is not None and _PLAUSIBLE_MPP[0] <= mpp <= _PLAUSIBLE_MPP[1]
    return mpp if plausible else None, objective


def _tagged(tags: Any) -> float | None:  # noqa: ANN401 - tifffile's TiffTags
    unit = {_CENTIMETRE: 1e4, _INCH: 25400.0}.get(
        int(tags["ResolutionUnit"].value) if "ResolutionUnit" in tags else 1
    )
    value: Sequence[int] = tags["XResolution"].value if "XResolution" in tags else (0, 0)
    if unit is None or not value[0] or not value[1]:
        return None
    return unit * value[1] / value[0]


def _number(pattern: str, text: str) -> float | None:
    match = re.search(pattern, text)
    return _positive(match[1]) if match else None


def _positive(value: object) -> float | None:
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if math.isfinite(number) and number > 0 else None
