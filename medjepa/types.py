"""The nouns of MedJEPA: images with their physical meaning, patch grids, what a model returns."""

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # `medjepa --help` must answer without numpy or torch
    import numpy as np
    from torch import Tensor

MODALITIES = (
    "generic", "xray", "ct", "mri", "ultrasound", "skin", "retina", "histology",
)  # fmt: skip
"""Kinds of image that differ in how they may be augmented; a batch carries indices into this."""


@dataclass(frozen=True, kw_only=True)
class MedicalImage:
    """One image, volume or clip with its physical meaning.

    Attributes:
        array: (C, *spatial) in stored units (HU, SUV, grey levels), spatial axes as in `axes`.
        axes: "yx", "zyx" or "tyx".
        spacing: per axis, mm (s for t); None where the file does not say.
        source: the path as given; never a patient's name.
        modality: one of `MODALITIES`.
        group: the patient (or lesion, study) that the file itself names, "" if none; private.
        display_range: (low, high) in stored units shown as black and white; None if unknown.
        history: what was done to the stored values, in order.
    """

    array: "np.ndarray"
    axes: str
    spacing: tuple[float | None, ...]
    source: str
    modality: str = "generic"
    group: str = field(default="", repr=False)
    display_range: tuple[float, float] | None = None
    history: tuple[str, ...] = ()


@dataclass(frozen=True)
class PatchGrid:
    """How many patches lie along each axis; patches are numbered in row-major order."""

    shape: tuple[int, ...]

    def __len__(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class JEPAOutput:
    """What a predictive objective compares: `predicted` and `target`, of equal shape (..., D)."""

    predicted: "Tensor"
    target: "Tensor"
