"""Ultrasound keeps the regions its header marks (PS3.3 section C.8.5.5); the rest goes black."""

from typing import TYPE_CHECKING

import numpy as np

from medjepa.data.decode.dicom_library import pydicom
from medjepa.data.deid.pixels.rewrite import black, store_uncompressed

if TYPE_CHECKING:
    from pydicom import Dataset
else:  # pydicom is imported guarded, on first use
    Dataset = object

_CORNERS = (
    "RegionLocationMinY0",
    "RegionLocationMinX0",
    "RegionLocationMaxY1",
    "RegionLocationMaxX1",
)
_LARGEST_SHARE = 0.99


def keep_regions(target: Dataset, source: Dataset, steps: list[str]) -> str:
    """Blank everything outside the regions in place; returns why the file must not leave, or ""."""
    boxes = [_box(region) for region in source.get("SequenceOfUltrasoundRegions") or ()]
    if not boxes:
        return "ultrasound without regions in its header: what stands around the image is unknown"
    shape = (int(target.Rows), int(target.Columns))
    inside = np.zeros(shape, dtype=bool)
    for top, left, bottom, right in boxes:
        if not (0 <= top <= bottom < shape[0] and 0 <= left <= right < shape[1]):
            return "an ultrasound region lies outside the image"
        inside[top : bottom + 1, left : right + 1] = True
    if inside.mean() > _LARGEST_SHARE:
        return "its ultrasound region is the whole picture, and so is any text in it"
    pixels = np.array(pydicom().pixels.pixel_array(target, raw=True))
    colour = int(target.SamplesPerPixel) > 1
    # (frames, Y, X, samples), whichever of them there are
    frames = pixels.reshape(-1, *shape, pixels.shape[-1] if colour else 1)
    frames[:, ~inside] = black(target)
    store_uncompressed(target, pixels)
    steps.append("ultrasound blanked outside its regions")
    return ""


def _box(region: Dataset) -> tuple[int, int, int, int]:
    top, left, bottom, right = (int(region[name].value) for name in _CORNERS)
    return top, left, bottom, right
