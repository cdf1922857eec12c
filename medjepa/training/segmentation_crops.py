"""Crops of volumes with their label maps, for learning to segment."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from medjepa.data.label_maps import LabelMaps
from medjepa.data.volume_dataset import VolumeDataset


class LabelledCrops(NamedTuple):
    """A batch.

    Attributes:
        images: (B, C, *spatial) in [0, 1].
        labels: uint8, (B, *spatial) class numbers or (B, R, *spatial) masks of regions.
        modality: (B,) indices into `MODALITIES`.
        spacing: (B, A) of the voxels in mm, NaN unknown; None for images.
    """

    images: Tensor
    labels: Tensor
    modality: Tensor
    spacing: Tensor | None = None


@runtime_checkable
class CropSource(Protocol):
    """Labelled images of which crops are drawn."""

    def __len__(self) -> int:
        """Count the images."""

    def __getitems__(self, indices: Sequence[tuple[int, int]], /) -> LabelledCrops:
        """Return the crops of (index, draw); the same pair always gives the same crop."""


class SegmentationCrops:
    """Crops of a `VolumeDataset` whose items all have a label map.

    `maps` are those of its stores in turn. `values` are the label value of each class, the
    background's 0 first: class numbers are places in it, other values count as background. None
    takes the maps' regions as masks.
    """

    def __init__(
        self,
        images: VolumeDataset,
        maps: Sequence[LabelMaps],
        values: Sequence[int] | None,
    ) -> None:
        self.images, self.maps = images, tuple(maps)
        self._class_of: np.ndarray | None = None
        if values is not None:
            self._class_of = class_table(values)

    def __len__(self) -> int:
        return len(self.images)

    def __getitems__(self, indices: Sequence[tuple[int, int]]) -> LabelledCrops:
        images = self.images.__getitems__(list(indices)).batch
        labels = [self._labels(index, draw) for index, draw in indices]
        return LabelledCrops(
            images.images, torch.from_numpy(np.stack(labels)), images.modality, images.spacing
        )

    def _labels(self, index: int, draw: int) -> np.ndarray:
        crop = self.images.place(index, draw)
        item = self.images.items[crop.item]
        read = self.maps[item.store].read_crop(item.index, crop.start, crop.size)
        return read if self._class_of is None else self._class_of[read]


def class_table(values: Sequence[int]) -> np.ndarray:
    """The class number of each label value, uint8 (256,): its place in `values`, else 0."""
    table = np.zeros(256, np.uint8)
    table[list(values)] = np.arange(len(values))
    return table
