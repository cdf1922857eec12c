"""A second look at chosen files: a picture for the page, and marks like text in it."""

import warnings
from dataclasses import dataclass, replace

import numpy as np

from medjepa.data.decode import read
from medjepa.data.deid.pixels.text_marks import find_rows
from medjepa.data.intensity import robust_range, window_of
from medjepa.data.resize import fit_to, resize
from medjepa.data.survey.examine import middle
from medjepa.errors import InputError, InputWarning
from medjepa.types import MedicalImage

WINDOW_SHARE = 0.2
"""Of the header's window: a picture with less in it is shown by its own percentiles."""

SIDE = 160
"""Pixels of a picture on the page, each way."""

_COARSE = 16
_MOST_PIXELS = 2048


@dataclass(frozen=True)
class Closer:
    """A second look.

    Attributes:
        pixels: (160, 160) or (160, 160, 3) uint8, as a viewer would show it; None if not asked for.
        num_rows: rows of marks like text in the middle plane.
        coarse: whether the picture is coarse on purpose.
    """

    pixels: np.ndarray | None = None
    num_rows: int = 0
    coarse: bool = False


def look_closer(path: str, with_pixels: bool, at_risk: bool) -> Closer:
    """Show the middle plane and look for text in it.

    What may hold text, by the pixels or, `at_risk`, by its kind, is shown so coarsely that nobody
    reads it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)
            plane = middle(read(path))
    except (InputError, OSError, MemoryError):
        return Closer()
    num_rows = len(find_rows(_brightest(plane.array)))
    if not with_pixels:
        return Closer(None, num_rows)
    coarse = at_risk or num_rows > 0
    return Closer(picture(plane, coarse=coarse), num_rows, coarse)


def look_closer_task(task: tuple[str, bool, bool]) -> Closer:
    """`look_closer` with its arguments as one task."""
    return look_closer(*task)


def picture(plane: MedicalImage, *, coarse: bool = False) -> np.ndarray:
    """A plane as a viewer would show it, on a black square: (160, 160) or (160, 160, 3) uint8."""
    if coarse:
        small = (min(_COARSE, plane.array.shape[1]), min(_COARSE, plane.array.shape[2]))
        low, high = _shown_range(plane)
        height, width = plane.array.shape[1:]
        spacing = ((plane.spacing[0] or 1) * height, (plane.spacing[1] or 1) * width)
        steps = (spacing[0] / small[0], spacing[1] / small[1])
        array = resize(plane.array.astype(np.float32), small)
        plane = replace(plane, array=array, spacing=steps, display_range=(low, high))
    low, high = _shown_range(plane)
    scaled = np.clip((plane.array.astype(np.float32) - low) / max(high - low, 1e-6), 0, 1) * 255
    vertical, horizontal = plane.spacing
    fitted = fit_to(scaled, (SIDE, SIDE), fit="pad", spacing=(vertical, horizontal))
    pixels = np.rint(fitted).astype(np.uint8)
    shown: np.ndarray = np.moveaxis(pixels, 0, 2) if len(pixels) == 3 else pixels[0]
    return shown


def _shown_range(plane: MedicalImage) -> tuple[float, float]:
    """The header's window, or the plane's own percentiles where that would show hardly a grey."""
    low, high = window_of(plane)
    if plane.display_range is None or high <= low:
        return low, high
    darkest, brightest = robust_range(plane.array)
    if (min(brightest, high) - max(darkest, low)) >= WINDOW_SHARE * (high - low):
        return low, high
    return (darkest, brightest) if brightest > darkest else (low, high)


def _brightest(array: np.ndarray) -> np.ndarray:
    """(C, Y, X) to a plane that is not larger than text needs to be found."""
    plane: np.ndarray = array.max(axis=0)
    height, width = plane.shape
    most = max(height, width)
    if most <= _MOST_PIXELS:
        return plane
    size = (max(1, height * _MOST_PIXELS // most), max(1, width * _MOST_PIXELS // most))
    small: np.ndarray = resize(plane[None].astype(np.float32), size)[0]
    return small
