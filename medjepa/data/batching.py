"""What a dataset yields and what a training step takes."""

from collections.abc import Sequence
from typing import NamedTuple, overload

import torch
from torch import Tensor


class Sample(NamedTuple):
    """One image (C, H, W), float32 in [0, 1], and the number of its modality."""

    image: Tensor
    modality: int


class Batch(NamedTuple):
    """Images (B, C, H, W), float32 in [0, 1], and modality (B,), int64."""

    images: Tensor
    modality: Tensor


class Samples(Sequence[Sample]):
    """Samples that are the rows of one tensor: a batch of them is there already, without a copy."""

    def __init__(self, images: Tensor, modality: Tensor) -> None:
        self.batch = Batch(images, modality)

    def __len__(self) -> int:
        return len(self.batch.modality)

    @overload
    def __getitem__(self, index: int) -> Sample: ...

    @overload
    def __getitem__(self, index: slice) -> "Samples": ...

    def __getitem__(self, index: int | slice) -> "Sample | Samples":
        images, modality = self.batch.images[index], self.batch.modality[index]
        if isinstance(index, slice):
            return Samples(images, modality)
        return Sample(images, int(modality))


def collate(samples: Sequence[Sample]) -> Batch:
    """Stack samples of equal shape into one batch."""
    if isinstance(samples, Samples):
        return samples.batch
    return Batch(
        images=torch.stack([sample.image for sample in samples]),
        modality=torch.tensor([sample.modality for sample in samples], dtype=torch.int64),
    )
