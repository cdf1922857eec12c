"""Marks like text in an image, found by their shape: no model, no language.

Burned-in text is of nearly one brightness at an end of the scale, and its letters stand in a row,
equally high and close together. One or two letters, as a radiograph's side markers, are no row.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from medjepa.data.decode.dicom_library import pydicom
from medjepa.data.deid.pixels.rewrite import store_uncompressed

if TYPE_CHECKING:
    from pydicom import Dataset
else:  # pydicom is imported guarded, on first use
    Dataset = object

_MIN_LETTERS = 5
_HEIGHTS = (5, 80)
_LEVELS = (0.97, 0.85)
_MAX_MARKED_SHARE = 0.2
_MAX_COMPONENTS = 4000


@dataclass(frozen=True)
class Row:
    """A row of letters in one frame, in pixels."""

    frame: int
    top: int
    left: int
    bottom: int
    right: int


def find_text(target: Dataset) -> list[Row]:
    """Rows of letters in all frames of an image."""
    rows: list[Row] = []
    for number, frame in enumerate(_frames(target)):
        rows += [Row(number, *box) for box in find_rows(frame)]
    return rows


def find_rows(plane: np.ndarray) -> list[tuple[int, int, int, int]]:
    """(top, left, bottom, right) of rows of bright or dark letters in a picture (Y, X)."""
    low, high = float(plane.min()), float(plane.max())
    if high <= low:
        return []
    scaled = (plane.astype(np.float32) - np.float32(low)) / np.float32(high - low)
    found: list[tuple[int, int, int, int]] = []
    for level in _LEVELS:
        for mask in (scaled >= level, scaled <= 1 - level):
            if 0 < mask.mean() < _MAX_MARKED_SHARE:
                found += _rows_of(mask)
    return sorted(set(found))


def blank_text(target: Dataset, rows: list[Row], steps: list[str]) -> None:
    """Fill the rows, and a margin of their height, with the least value of the image."""
    pixels = np.array(pydicom().pixels.pixel_array(target, raw=True))
    colour = int(target.SamplesPerPixel) > 1
    frames = pixels.reshape(
        -1, int(target.Rows), int(target.Columns), pixels.shape[-1] if colour else 1
    )
    fill = frames.max() if target.PhotometricInterpretation == "MONOCHROME1" else frames.min()
    for row in rows:
        margin = row.bottom - row.top
        area = (
            slice(max(row.top - margin, 0), row.bottom + margin),
            slice(max(row.left - 2 * margin, 0), row.right + 2 * margin),
        )
        frames[row.frame][area] = fill
    store_uncompressed(target, pixels)
    steps.append(f"{len(rows)} rows of text blanked")


def _frames(target: Dataset) -> list[np.ndarray]:
    pixels = np.asarray(pydicom().pixels.pixel_array(target, raw=True))
    if int(target.SamplesPerPixel) > 1:
        pixels = pixels.max(axis=-1)
    return list(pixels.reshape(-1, int(target.Rows), int(target.Columns)))


def _rows_of(mask: np.ndarray) -> list[tuple[int, int, int, int]]:
    labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
    if count < _MIN_LETTERS or count > _MAX_COMPONENTS:
        return []
    letters = []
    for number, where in enumerate(ndimage.find_objects(labels), start=1):
        height, width = (part.stop - part.start for part in where)
        if not _HEIGHTS[0] <= height <= _HEIGHTS[1] or width > 2 * height:
            continue
        filled = np.count_nonzero(labels[where] == number) / (height * width)
        if filled < 0.98 or width <= height / 2:  # a filled square is a mark, no letter
            letters.append((where[0].start, where[1].start, where[0].stop, where[1].stop))
    letters.sort(key=lambda box: box[1])
    rows = []
    while len(letters) >= _MIN_LETTERS:
        row = [letters.pop(0)]
        for box in list(letters):
            if _follows(row[-1], box):
                row.append(box)
                letters.remove(box)
        if len(row) >= _MIN_LETTERS:
            tops, lefts, bottoms, rights = zip(*row, strict=True)
            rows.append((min(tops), min(lefts), max(bottoms), max(rights)))
    return rows


def _follows(last: tuple[int, int, int, int], box: tuple[int, int, int, int]) -> bool:
    """True if a box could be the next letter on the line of the last one."""
    height, other = last[2] - last[0], box[2] - box[0]
    gap = box[1] - last[3]
    return (
        max(height, other) <= 1.5 * min(height, other)
        and -0.3 * height <= gap <= 1.5 * height
        and abs((last[0] + last[2]) - (box[0] + box[2])) <= 0.5 * height
    )
