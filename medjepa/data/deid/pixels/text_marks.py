"""Marks like text in an image, found by their shape: no model, no language.

Burned-in text is of one brightness, unlike what is around it, and its letters stand in a row,
equally high and close together. One or two letters, as a radiograph's side markers, are no row.
What is found and missed is measured by benchmarks/burned_in_text.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from medjepa.data.decode.dicom_library import pydicom
from medjepa.data.deid.pixels.rewrite import raw_pixels, store_uncompressed

if TYPE_CHECKING:
    from pydicom import Dataset
else:  # pydicom is imported guarded, on first use
    Dataset = object

_MIN_LETTERS = 5
_HEIGHTS = (5, 80)
_LEVELS = (0.97, 0.85)
_STROKES = (5, 11)
_CONTRASTS = (0.15, 0.3)
_SAME_BRIGHTNESS = 0.06
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


@dataclass(frozen=True)
class _Letter:
    box: tuple[int, int, int, int]
    brightness: float


def find_text(target: Dataset) -> list[Row]:
    """Rows of letters in all frames of an image, from left to right or turned by 90 degrees."""
    rows: list[Row] = []
    for number, frame in enumerate(frames_of(target)):
        rows += [Row(number, *box) for box in find_rows(frame)]
        # A mirrored letter is as good as any: only how letters stand is looked at.
        turned = find_rows(np.ascontiguousarray(frame.T))
        rows += [Row(number, top, left, bottom, right) for left, top, right, bottom in turned]
    return rows


def find_rows(plane: np.ndarray) -> list[tuple[int, int, int, int]]:
    """(top, left, bottom, right) of rows of bright or dark letters in a picture (Y, X)."""
    low, high = float(plane.min()), float(plane.max())
    if high <= low:
        return []
    scaled = (plane.astype(np.float32) - np.float32(low)) / np.float32(high - low)
    found: list[tuple[int, int, int, int]] = []
    for mask in _masks(scaled):
        if 0 < mask.mean() < _MAX_MARKED_SHARE:
            found += _rows_of(mask, scaled)
    return sorted(set(found))


def _masks(scaled: np.ndarray) -> Iterator[np.ndarray]:
    """What is at an end of the scale, and what is thin and stands out from its surroundings."""
    for level in _LEVELS:
        yield scaled >= level
        yield scaled <= 1 - level
    for stroke in _STROKES:
        bright = scaled - ndimage.grey_opening(scaled, size=(stroke, stroke))
        dark = ndimage.grey_closing(scaled, size=(stroke, stroke)) - scaled
        for contrast in _CONTRASTS:
            yield bright > contrast
            yield dark > contrast


def blank_text(target: Dataset, rows: list[Row], steps: list[str]) -> None:
    """Fill the rows, and a margin as high as their letters, with the least value of the image."""
    pixels = np.array(pydicom().pixels.pixel_array(target, raw=True))
    colour = int(target.SamplesPerPixel) > 1
    frames = pixels.reshape(
        -1, int(target.Rows), int(target.Columns), pixels.shape[-1] if colour else 1
    )
    fill = frames.max() if target.PhotometricInterpretation == "MONOCHROME1" else frames.min()
    for row in rows:
        height, width = row.bottom - row.top, row.right - row.left
        margin = min(height, width)
        above, beside = (margin, 2 * margin) if width >= height else (2 * margin, margin)
        area = (
            slice(max(row.top - above, 0), row.bottom + above),
            slice(max(row.left - beside, 0), row.right + beside),
        )
        frames[row.frame][area] = fill
    store_uncompressed(target, pixels)
    steps.append(f"{len(rows)} rows of text blanked")


def frames_of(target: Dataset) -> list[np.ndarray]:
    """Every frame as (Y, X), colour as its brightest sample."""
    pixels = raw_pixels(target)
    if int(target.SamplesPerPixel) > 1:
        pixels = pixels.max(axis=-1)
    return list(pixels.reshape(-1, int(target.Rows), int(target.Columns)))


def _rows_of(mask: np.ndarray, scaled: np.ndarray) -> list[tuple[int, int, int, int]]:
    labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
    if count < _MIN_LETTERS or count > _MAX_COMPONENTS:
        return []
    letters = []
    for number, where in enumerate(ndimage.find_objects(labels), start=1):
        height, width = (part.stop - part.start for part in where)
        if not _HEIGHTS[0] <= height <= _HEIGHTS[1] or width > 2 * height:
            continue
        inside = labels[where] == number
        if inside.mean() < 0.98 or width <= height / 2:  # a filled square is a mark, no letter
            values = scaled[where][inside]
            box = (where[0].start, where[1].start, where[0].stop, where[1].stop)
            letters.append(_Letter(box, float(np.median(values))))
    letters.sort(key=lambda letter: letter.box[1])
    rows = []
    while len(letters) >= _MIN_LETTERS:
        row = [letters.pop(0)]
        for letter in list(letters):
            if _follows(row[-1].box, letter.box):
                row.append(letter)
                letters.remove(letter)
        brightness = np.array([letter.brightness for letter in row])
        if len(row) >= _MIN_LETTERS and brightness.std() <= _SAME_BRIGHTNESS:
            tops, lefts, bottoms, rights = zip(*(letter.box for letter in row), strict=True)
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
