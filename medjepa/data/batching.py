"""What a dataset yields and what a training step takes."""

from collections.abc import Sequence
from typing import NamedTuple, overload

import torch
from torch import Tensor


class Sample(NamedTuple):
    """One image (C, *spatial), float32 in [0, 1], and the number of its modality.

    `spacing` (A,) is that of a volume's voxels in mm (frames in s), NaN unknown; None for images.
    """

    image: Tensor
    modality: int
    spacing: Tensor | None = None


class Batch(NamedTuple):
    """Images (B, C, *spatial), float32 in [0, 1], modality (B,), int64, and spacing (B, A).

    `label` (B,), int64, is the class of each image where training is supervised.
    """

    images: Tensor
    modality: Tensor
    spacing: Tensor | None = None
    label: Tensor | None = None


class Samples(Sequence[Sample]):
    """Samples that are the rows of one tensor: a batch of them is there already, without a copy."""

    def __init__(
        self,
        images: Tensor,
        modality: Tensor,
        spacing: Tensor | None = None,
        label: Tensor | None = None,
    ) -> None:
        self.batch = Batch(images, modality, spacing, label)

    def __len__(self) -> int:
        return len(self.batch.modality)

    @overload
    def __getitem__(self, index: int) -> Sample: ...

    @overload
    def __getitem__(self, index: slice) -> "Samples": ...

    def __getitem__(self, index: int | slice) -> "Sample | Samples":
        images, modality = self.batch.images[index], self.batch.modality[index]
        spacing = None if self.batch.spacing is None else self.batch.spacing[index]
        if isinstance(index, slice):
            label = None if self.batch.label is None else self.batch.label[index]
            return Samples(images, modality, spacing, label)
        return Sample(images, int(modality), spacing)


def collate(samples: Sequence[Sample]) -> Batch:
    """Stack samples of equal shape into one batch."""
    if isinstance(samples, Samples):
        return samples.batch
    spacing = [sample.spacing for sample in samples if sample.spacing is not None]
    return Batch(
        images=torch.stack([sample.image for sample in samples]),
        modality=torch.tensor([sample.modality for sample in samples], dtype=torch.int64),
        spacing=torch.stack(spacing) if len(spacing) == len(samples) else None,
    )
