"""Crops to what was imaged: the disc of a fundus camera, the skin, the ultrasound region."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from medjepa.data.modality.step import Step
from medjepa.types import MedicalImage

REGION = "ultrasound_region"
"""Key of `MedicalImage.facts`: "top,left,bottom,right" in pixels, from the file's own header."""
Box = tuple[int, int, int, int]
_LEAST_SIDE = 8
_LEAST_SHARE = 0.25
_HALO = 0.02


@dataclass(frozen=True)
class CropDisc(Step):
    """Fundus: the smallest square around the lit disc; what lies outside the disc becomes 0."""

    name: ClassVar[str] = "crop_disc"
    threshold: float = 0.06

    def apply(self, image: MedicalImage) -> MedicalImage:
        """Crop and pad to a square; an image without a dark surround is left as it is."""
        light = _light(image.array)
        box = _box(light > self.threshold * max(float(light.max()), 1e-9))
        if box is None:
            return _noted(image, "no disc found")
        top, left, bottom, right = box
        radius = max(bottom - top, right - left) / 2
        centre = ((top + bottom) / 2, (left + right) / 2)
        rows = np.arange(image.array.shape[1])[:, None] + 0.5 - centre[0]
        columns = np.arange(image.array.shape[2])[None, :] + 0.5 - centre[1]
        outside = rows**2 + columns**2 > (radius * (1 + _HALO)) ** 2
        if _is_lit(light, outside, self.threshold):
            return _noted(image, "lit to its corners, the disc is cropped already")
        array = np.where(outside[None], 0, image.array).astype(image.array.dtype)
        side = round(2 * radius)
        square = np.zeros((array.shape[0], side, side), dtype=array.dtype)
        inner = array[:, top:bottom, left:right]
        down, across = (side - inner.shape[1]) // 2, (side - inner.shape[2]) // 2
        square[:, down : down + inner.shape[1], across : across + inner.shape[2]] = inner
        return _noted(replace(image, array=square), f"disc of {side} pixels cropped")

    def describe(self) -> str:
        """One phrase."""
        return "cropped to the disc of the camera, padded to a square"


@dataclass(frozen=True)
class CropBorder(Step):
    """Dermoscopy, endoscopy: rows and columns at the border that are black all along go."""

    name: ClassVar[str] = "crop_border"
    threshold: float = 0.06

    def apply(self, image: MedicalImage) -> MedicalImage:
        """Crop; at least a quarter of each side is always kept."""
        box = self.box(image)
        return image if box is None else _cropped(image, box, "black border cropped")

    def box(self, image: MedicalImage) -> Box | None:
        """(top, left, bottom, right) that is kept, None for all of it.

        Of a clip it is that of the brightest value of each pixel over all frames.
        """
        light = _light(image.array)
        box = _box(light > self.threshold * max(float(light.max()), 1e-9))
        return None if box == (0, 0, *light.shape) else box

    def describe(self) -> str:
        """One phrase."""
        return "black borders cropped"


@dataclass(frozen=True)
class CropRegion(Step):
    """Ultrasound: the region that the header marks as ultrasound; without one, no black border."""

    name: ClassVar[str] = "crop_region"
    threshold: float = 0.06

    def apply(self, image: MedicalImage) -> MedicalImage:
        """Crop the last two axes."""
        box = _marked(image)
        if box is not None:
            return _cropped(image, box, "cropped to the ultrasound region of the header")
        return CropBorder(self.threshold).apply(image)

    def box(self, image: MedicalImage) -> Box | None:
        """(top, left, bottom, right) that is kept, None for all of it."""
        return _marked(image) or CropBorder(self.threshold).box(image)

    def describe(self) -> str:
        """One phrase."""
        return "cropped to the ultrasound region of the header, else black borders cropped"


def _marked(image: MedicalImage) -> Box | None:
    """The region of the header, where it is inside of the image and large enough."""
    marked = image.facts.get(REGION)
    if not marked:
        return None
    top, left, bottom, right = (int(v) for v in marked.split(","))
    height, width = image.array.shape[-2:]
    box = (max(top, 0), max(left, 0), min(bottom, height), min(right, width))
    large = box[2] - box[0] >= _LEAST_SIDE and box[3] - box[1] >= _LEAST_SIDE
    return box if large else None


def _light(array: np.ndarray) -> np.ndarray:
    """The brightest of channels and frames, (Y, X) float32, from 0 at the least value."""
    flat = array.reshape(-1, *array.shape[-2:]).max(axis=0).astype(np.float32)
    return np.asarray(flat - min(float(flat.min()), 0.0))


def _box(mask: np.ndarray) -> tuple[int, int, int, int] | None:
    """(top, left, bottom, right) around what is set; None where that is too small to believe."""
    # One lit pixel is noise, or a letter burned in: a row counts from 2 % of its length on.
    rows = np.flatnonzero(mask.mean(axis=1) > _HALO)
    columns = np.flatnonzero(mask.mean(axis=0) > _HALO)
    if not rows.size or not columns.size:
        return None
    box = (int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
    height, width = mask.shape
    if box[2] - box[0] < height * _LEAST_SHARE or box[3] - box[1] < width * _LEAST_SHARE:
        return None
    return box


def _is_lit(light: np.ndarray, outside: np.ndarray, threshold: float) -> bool:
    """True where the corners are as bright as the rest: there is no disc in front of black."""
    if not outside.any():
        return True
    return float(np.mean(light[outside] > threshold * float(light.max()))) > _LEAST_SHARE


def _cropped(image: MedicalImage, box: tuple[int, int, int, int], note: str) -> MedicalImage:
    top, left, bottom, right = box
    position = image.position
    if position is not None and image.directions is not None:
        steps = [0.0 if s is None else s for s in image.spacing[-2:]]
        down, across = (np.asarray(d) for d in image.directions[-2:])
        moved = np.asarray(position) + top * steps[0] * down + left * steps[1] * across
        position = (float(moved[0]), float(moved[1]), float(moved[2]))
    array = image.array[..., top:bottom, left:right]
    return _noted(replace(image, array=array, position=position), note)


def _noted(image: MedicalImage, note: str) -> MedicalImage:
    return replace(image, history=(*image.history, note))
