"""How the pages of a TIFF are arranged: a volume, or moments, as OME or ImageJ metadata say."""

import math
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import numpy as np
import tifffile

from medjepa.data.decode.limits import check_budget
from medjepa.errors import InputError, InputWarning

_FILE_NAME = re.compile(r'\bFileName="([^"]*)"')
_NAMES = {"Z": "z", "I": "z", "Q": "z", "T": "t", "C": "c"}
_MICROMETRES = ("um", "µm", "μm", "\\u00b5m", "micron", "microns", "micrometer", "micrometre")
_MM = {"m": 1e3, "cm": 10.0, "mm": 1.0, "nm": 1e-6, "inch": 25.4, "in": 25.4,
       **dict.fromkeys(_MICROMETRES, 1e-3)}  # fmt: skip
_SECONDS = {"s": 1.0, "sec": 1.0, "ms": 1e-3, "msec": 1e-3, "us": 1e-6, "µs": 1e-6, "min": 60.0}


@dataclass(frozen=True)
class Stack:
    """How pages become an array.

    Attributes:
        order: numbers of the pages; channels (if any) slowest, then t, then z.
        axes: "yx", "zyx", "tyx" or "tzyx".
        lengths: of the channels if there are several, and of the axes before y.
        num_channels: that are pages of their own.
        spacing: per axis, mm and s; None if nothing is known.
        times: of the moments, s.
        notes: for the history.
    """

    order: tuple[int, ...]
    axes: str
    lengths: tuple[int, ...]
    num_channels: int = 1
    spacing: tuple[float | None, ...] | None = None
    times: tuple[float, ...] | None = None
    notes: tuple[str, ...] = ()


def stack_of(
    path: str, kind: str, tiff: tifffile.TiffFile, pages: Sequence[tifffile.TiffPage]
) -> Stack:
    """Arrange the pages.

    Raises:
        InputError: they are of different size or kind, or the metadata say what does not fit.
    """
    _check_alike(path, kind, pages)
    if tiff.is_ome and len(set(_FILE_NAME.findall(tiff.ome_metadata or ""))) > 1:
        warnings.warn(
            f"{path}: one file of a set of several; only its own pages are read",
            InputWarning,
            stacklevel=5,
        )
    known = bool(tiff.is_ome or tiff.is_imagej)
    leading = _leading_axes(path, kind, tiff, pages) if known else {"z": len(pages)}
    lengths = {name: leading.get(name, 1) for name in "ctz"}
    if lengths["c"] not in (1, 3):
        raise InputError(
            path,
            f"{lengths['c']} channels in pages of their own: 1 or 3 are read; read(path, page=0) "
            "reads one",
            format=kind,
        )
    # Pages lie in the file's order of axes; they are wanted in the order c, t, z.
    numbers = np.arange(len(pages)).reshape([leading[name] for name in leading])
    names = [name for name in "ctz" if name in leading]
    order = numbers.transpose([list(leading).index(name) for name in names]).ravel()
    axes = "".join(name for name in "tz" if lengths[name] > 1) + "yx"
    spacing, time_step = _spacing(tiff) if known else ({}, None)
    steps: dict[str, float | None] = {**spacing, "t": time_step}
    times = None
    if "t" in axes and time_step is not None:
        times = tuple(number * time_step for number in range(lengths["t"]))
    return Stack(
        order=tuple(int(number) for number in order),
        axes=axes,
        lengths=tuple(lengths[name] for name in "ctz" if lengths[name] > 1),
        num_channels=lengths["c"],
        spacing=tuple(steps.get(name) for name in axes),
        times=times,
        notes=("channels from pages of their own",) if lengths["c"] > 1 else (),
    )


def _check_alike(path: str, kind: str, pages: Sequence[tifffile.TiffPage]) -> None:
    shapes = sorted({page.shape for page in pages})
    if len(shapes) > 1:
        raise InputError(
            path,
            f"{len(pages)} pages of different size, {shapes[:3]}: no stack; read(path, page=0) "
            "reads one",
            format=kind,
        )
    kinds = {(str(page.dtype), int(page.photometric)) for page in pages}
    if len(kinds) > 1:
        raise InputError(
            path,
            f"{len(pages)} pages of different kind, {sorted(kinds)[:3]}: no stack; "
            "read(path, page=0) reads one",
            format=kind,
        )


def _leading_axes(
    path: str, kind: str, tiff: tifffile.TiffFile, pages: Sequence[tifffile.TiffPage]
) -> dict[str, int]:
    """Lengths of "z", "t" and "c" in the order of the pages, the slowest first."""
    if len(tiff.series) > 1:
        raise InputError(
            path,
            f"{len(tiff.series)} images in one file: read(path, page=0) reads one",
            format=kind,
        )
    series = tiff.series[0]
    check_budget(path, series.shape or (0,), 1, kind)
    num_inner = len(pages[0].shape)
    outer = list(zip(series.axes, series.shape, strict=True))[: series.ndim - num_inner]
    unknown = [axis for axis, length in outer if axis not in _NAMES and length > 1]
    names = [_NAMES[axis] for axis, length in outer if length > 1 and axis in _NAMES]
    if unknown or len(set(names)) < len(names):
        raise InputError(
            path, f"axes {series.axes}: stacks through z, time and channels are read", format=kind
        )
    lengths = [length for _, length in outer if length > 1]
    if math.prod(lengths) != len(pages) or any(page is None for page in series.pages):
        raise InputError(
            path,
            f"its metadata say {math.prod(lengths)} planes, the file has {len(pages)} pages: "
            "missing or truncated",
            format=kind,
        )
    return dict(zip(names, lengths, strict=True))


def _spacing(tiff: tifffile.TiffFile) -> tuple[dict[str, float | None], float | None]:
    if tiff.is_ome:
        return ome_spacing(tiff.ome_metadata or "")
    return _imagej(tiff)


def ome_spacing(text: str) -> tuple[dict[str, float | None], float | None]:
    """Lengths of z, y, x in mm and seconds between moments, where the metadata say."""
    root = ElementTree.fromstring(text)  # noqa: S314 - expat limits what entities expand to
    pixels = next((e for e in root.iter() if e.tag.rpartition("}")[2] == "Pixels"), None)
    if pixels is None:
        return {}, None
    steps = {
        name.lower(): _times(
            pixels.get(f"PhysicalSize{name}"), _MM, pixels.get(f"PhysicalSize{name}Unit", "µm")
        )
        for name in "ZYX"
    }
    increment = _times(pixels.get("TimeIncrement"), _SECONDS, pixels.get("TimeIncrementUnit", "s"))
    return steps, increment


def _imagej(tiff: tifffile.TiffFile) -> tuple[dict[str, float | None], float | None]:
    about: dict[str, Any] = tiff.imagej_metadata or {}
    unit = str(about.get("unit", "")).strip('"')
    steps = {"z": _times(about.get("spacing"), _MM, unit)}
    tags = tiff.pages.first.tags
    for axis, name in (("y", "YResolution"), ("x", "XResolution")):
        tag = tags.get(name)
        numerator, denominator = tag.value if tag is not None else (0, 0)
        # Pixels in a unit of length; (1, 1) is what is written where nobody knows.
        per_pixel = denominator / numerator if numerator else None
        steps[axis] = _times(per_pixel, _MM, unit)
    return steps, _times(about.get("finterval"), _SECONDS, str(about.get("tunit", "s")))


def _times(value: object, units: dict[str, float], unit: str) -> float | None:
    """A positive number in a known unit; None for anything else."""
    factor = units.get(unit) or units.get(unit.lower())
    if value is None or factor is None or not re.fullmatch(r"[-+.\deE]+", str(value)):
        return None
    try:
        number = float(str(value)) * factor
    except ValueError:
        return None
    return number if math.isfinite(number) and number > 0 else None
