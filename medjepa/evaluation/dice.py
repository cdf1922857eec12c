"""Overlap of one structure in one image or volume: Dice and IoU, never of the background.

Legend: R regions that may overlap; *spatial any number of axes.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Shaped
from numpy.typing import NDArray

Mask = Bool[np.ndarray, "..."]


@dataclass(frozen=True)
class Structure:
    """What is scored under one name.

    Attributes:
        name: as the reader sees it.
        values: of the label map that belong to it; several make a region, and regions may overlap
            (BraTS: the whole tumour holds its core, which holds what takes up contrast).
    """

    name: str
    values: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.values or 0 in self.values:
            raise ValueError(
                f"structure {self.name!r}: its values are positive, 0 is the background, "
                f"got {self.values}"
            )


@dataclass(frozen=True)
class Overlap:
    """How well a prediction covers the truth; NaN where neither holds anything (not counted).

    Attributes:
        dice: 2 |A ∩ B| / (|A| + |B|).
        iou: |A ∩ B| / |A ∪ B|.
        num_truth: voxels of the truth.
        num_predicted: voxels of the prediction.
    """

    dice: float
    iou: float
    num_truth: int
    num_predicted: int


def overlap(truth: Mask, prediction: Mask) -> Overlap:
    """Compare two masks of one structure.

    Where neither holds a voxel there is nothing to find and nothing was found: NaN, which averages
    leave out and reports count. Anything found where nothing is, and nothing where something is,
    are 0.

    Raises:
        ValueError: the shapes differ.
    """
    if truth.shape != prediction.shape:
        raise ValueError(
            f"truth {truth.shape} and prediction {prediction.shape} are not on one grid"
        )
    num_truth, num_predicted = int(np.count_nonzero(truth)), int(np.count_nonzero(prediction))
    total = num_truth + num_predicted
    if not total:
        return Overlap(math.nan, math.nan, 0, 0)
    both = int(np.count_nonzero(truth & prediction))
    return Overlap(2 * both / total, both / (total - both), num_truth, num_predicted)


def structures_of(names: Sequence[str]) -> tuple[Structure, ...]:
    """One structure for each label value from 1 on."""
    return tuple(Structure(name, (value,)) for value, name in enumerate(names, start=1))


def masks(
    labels: Shaped[np.ndarray, "..."], structures: Sequence[Structure], num_axes: int
) -> Iterator[NDArray[Any]]:
    """One mask of `num_axes` axes for each structure, in turn.

    `labels` is a label map (*spatial), or regions (R, *spatial) with one for each structure.

    Raises:
        ValueError: neither fits.
    """
    if labels.ndim == num_axes:
        for structure in structures:
            yield np.isin(labels, structure.values)
    elif labels.ndim == num_axes + 1 and len(labels) == len(structures):
        for region in labels:
            yield region > 0
    else:
        raise ValueError(
            f"labels of shape {labels.shape} are neither a map of {num_axes} axes nor one region "
            f"for each of {len(structures)} structures"
        )
