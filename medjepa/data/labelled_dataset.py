"""Images with class numbers, for training that is told them."""

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from medjepa.data.batching import Sample, Samples
from medjepa.data.store_dataset import StoreDataset


class LabelledDataset(Dataset[Sample]):
    """The images of a `StoreDataset` that have a label, with it: batches carry (B,) class numbers.

    `labels` holds the class number of each image of the dataset, -1 for those to leave out.
    """

    def __init__(self, dataset: StoreDataset, labels: Sequence[int] | np.ndarray) -> None:
        numbers = np.asarray(labels, np.int64)
        chosen = numbers >= 0
        self.images = copy.copy(dataset)
        self.images.indices = dataset.indices[chosen]
        self.labels = torch.from_numpy(numbers[chosen])

    @property
    def source_counts(self) -> list[int]:
        """How many of the images each store gives."""
        return self.images.source_counts

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Sample:
        return self.images[index]

    def __getitems__(self, indices: Sequence[int]) -> Samples:
        batch = self.images.__getitems__(indices).batch
        return Samples(batch.images, batch.modality, label=self.labels[list(indices)])
