"""Colour: constancy of the illuminant for skin, local average for fundus, stains for histology."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from scipy import ndimage

from medjepa.data.modality.step import Step
from medjepa.types import MedicalImage

_WHITE = 240.0
# Macenko et al., "A method for normalizing histology slides", ISBI 2009: the reference stain
# vectors (columns haematoxylin, eosin) and concentrations in common use.
_REFERENCE_STAINS = np.array([[0.5626, 0.2159], [0.7201, 0.8012], [0.4062, 0.5581]])
_REFERENCE_MAXIMA = np.array([1.9705, 1.0308])


@dataclass(frozen=True)
class ShadesOfGrey(Step):
    """Divide out the illuminant, the Minkowski mean of each channel (Finlayson, Trezzi 2004)."""

    name: ClassVar[str] = "shades_of_grey"
    power: float = 6.0

    def apply(self, image: MedicalImage) -> MedicalImage:
        """Rescale the channels of an 8-bit colour image; a grey one stays."""
        if not _is_8_bit_colour(image):
            return image
        values = image.array.astype(np.float32)
        light = np.mean((values / 255.0) ** self.power, axis=(1, 2), dtype=np.float64) ** (
            1 / self.power
        )
        gain = np.linalg.norm(light) / np.sqrt(3) / np.maximum(light, 1e-6)
        return _as_8_bit(image, values * gain[:, None, None].astype(np.float32), self.describe())

    def describe(self) -> str:
        """One phrase."""
        return f"colour constancy (shades of grey, power {self.power:g})"


@dataclass(frozen=True)
class LocalAverage(Step):
    """Subtract the local average colour (Graham, diabetic retinopathy competition report 2015)."""

    name: ClassVar[str] = "local_average"
    share: float = 0.033

    def apply(self, image: MedicalImage) -> MedicalImage:
        """4 x (image - blurred) + 128 in 8 bits; `share` of the width is the blur's deviation."""
        if not _is_8_bit_colour(image):
            return image
        values = image.array.astype(np.float32)
        sigma = max(self.share * values.shape[2], 0.5)
        blurred = ndimage.gaussian_filter(values, sigma=(0, sigma, sigma))
        return _as_8_bit(image, 4 * (values - blurred) + 128, self.describe())

    def describe(self) -> str:
        """One phrase."""
        return f"local average colour subtracted (deviation {self.share:g} of the width)"


@dataclass(frozen=True)
class Macenko(Step):
    """Stain normalisation of an H&E tile to fixed stain vectors (Macenko et al., ISBI 2009).

    It can lose what tells classes apart: it is never chosen by itself.
    """

    name: ClassVar[str] = "macenko"
    least_density: float = 0.15
    angle: float = 1.0

    def apply(self, image: MedicalImage) -> MedicalImage:
        """Return the tile in reference stains; one without enough tissue stays as it is."""
        if not _is_8_bit_colour(image):
            return image
        values = image.array.reshape(3, -1).astype(np.float64) + 1
        density = -np.log(values / _glass(values)[:, None])
        tissue = density[:, (density > self.least_density).all(axis=0)]
        if tissue.shape[1] < 100:
            return replace(image, history=(*image.history, "too little tissue for stain vectors"))
        stains = self._stains(tissue)
        concentrations = np.linalg.lstsq(stains, density, rcond=None)[0]
        maxima = np.percentile(concentrations, 99, axis=1)
        if (maxima <= 1e-3).any():
            return replace(image, history=(*image.history, "one stain only: not normalised"))
        concentrations *= (_REFERENCE_MAXIMA / maxima)[:, None]
        values = _WHITE * np.exp(-_REFERENCE_STAINS @ np.maximum(concentrations, 0))
        return _as_8_bit(image, values.reshape(image.array.shape), self.describe())

    def _stains(self, tissue: np.ndarray) -> np.ndarray:
        """(3, 2) optical densities of haematoxylin and eosin."""
        _, vectors = np.linalg.eigh(np.cov(tissue))
        plane = vectors[:, [2, 1]]
        plane = plane * np.where(plane.sum(axis=0) < 0, -1.0, 1.0)
        across = plane.T @ tissue
        angles = np.arctan2(across[1], across[0])
        ends = [
            plane @ np.array([np.cos(a), np.sin(a)])
            for a in np.percentile(angles, (self.angle, 100 - self.angle))
        ]
        # Haematoxylin absorbs red more than eosin does.
        ends.sort(key=lambda stain: -stain[0])
        return np.stack(ends, axis=1)

    def describe(self) -> str:
        """One phrase."""
        return "stains normalised (Macenko)"


def _glass(values: np.ndarray) -> np.ndarray:
    """The colour of empty glass: the brightest percent of the tile where that is nearly grey.

    A lamp that is not white would make glass count as tissue.
    """
    bright = np.percentile(values, 99, axis=1)
    is_grey = bright.min() > 0.85 * bright.max() and bright.min() > 170
    return bright if is_grey else np.full(3, _WHITE)


def _is_8_bit_colour(image: MedicalImage) -> bool:
    return image.axes == "yx" and image.array.shape[0] == 3 and image.array.dtype == np.uint8


def _as_8_bit(image: MedicalImage, values: np.ndarray, note: str) -> MedicalImage:
    array = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return replace(image, array=array, display_range=(0.0, 255.0), history=(*image.history, note))
