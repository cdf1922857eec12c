"""What a dataset yields and what a training step takes."""

from collections.abc import Sequence
from typing import NamedTuple

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


def collate(samples: Sequence[Sample]) -> Batch:
    """Stack samples of equal shape into one batch."""
    return Batch(
        images=torch.stack([sample.image for sample in samples]),
        modality=torch.tensor([sample.modality for sample in samples], dtype=torch.int64),
    )
