"""The nouns of MedJEPA: images with their physical meaning, patch grids, what a model returns."""

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # `medjepa --help` must answer without numpy or torch
    from collections.abc import Mapping

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
        axes: "yx", "zyx", "tyx" or, for stacks through time, "tzyx".
        spacing: per axis, mm (s for t: the mean step between frames); None where the file does
            not say.
        source: the path as given; never a patient's name.
        modality: one of `MODALITIES`.
        group: the patient (or lesion, study) that the file itself names, "" if none; private.
        display_range: (low, high) in stored units shown as black and white; None if unknown.
        history: what was done to the stored values, in order.
        directions: for each of the axes z, y, x a unit vector in patient coordinates (x to the
            left, y to the back, z to the head, as DICOM has it); None if unknown.
        position: of the first voxel's centre in those coordinates, mm; None if unknown.
        times: of each frame in seconds from the first, where the file has them.
        facts: what the header says that identifies nobody, such as "view", "body_part", "kind".
    """

    array: "np.ndarray"
    axes: str
    spacing: tuple[float | None, ...]
    source: str
    modality: str = "generic"
    group: str = field(default="", repr=False)
    display_range: tuple[float, float] | None = None
    history: tuple[str, ...] = ()
    directions: tuple[tuple[float, float, float], ...] | None = None
    position: tuple[float, float, float] | None = None
    times: tuple[float, ...] | None = None
    facts: "Mapping[str, str]" = field(default_factory=dict)


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
