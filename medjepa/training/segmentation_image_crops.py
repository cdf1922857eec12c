"""Crops of images with their masks, for learning to segment."""

from collections.abc import Sequence

import numpy as np
import torch

from medjepa.data.crop_places import drawn_start, fill_box
from medjepa.data.image_files import ImageFiles, Place
from medjepa.data.label_maps import LabelMaps
from medjepa.training.segmentation_crops import LabelledCrops, class_table


class ImageCrops:
    """Crops of images that all have a mask; see `segmentation_crops.CropSource`.

    The crop of (index, draw) is a pure function of `seed`, both, and the image; one that is longer
    than the image lies around it, and what is outside is 0.

    Args:
        files: reads the images.
        places: which of them, in the order of the indices.
        maps: masks of the stores in turn.
        values: label value of each class, the background's 0 first; None: regions as masks.
        window: (H, W) of a crop.
        modality: index into `MODALITIES` of each image.
        seed: of the draws.
    """

    def __init__(
        self,
        files: ImageFiles,
        places: Sequence[Place],
        maps: Sequence[LabelMaps],
        values: Sequence[int] | None,
        *,
        window: Sequence[int],
        modality: Sequence[int],
        seed: int,
    ) -> None:
        self.files, self.places, self.maps = files, tuple(places), tuple(maps)
        self.window, self.modality, self.seed = tuple(window), tuple(modality), seed
        self._class_of = None if values is None else class_table(values)

    def __len__(self) -> int:
        return len(self.places)

    def __getitems__(self, indices: Sequence[tuple[int, int]]) -> LabelledCrops:
        images = np.zeros((len(indices), self.files.channels, *self.window), np.float32)
        labels = []
        for image, (index, draw) in zip(images, indices, strict=True):
            store, item = place = self.places[index]
            whole = self.files.read(place)
            rng = np.random.default_rng([self.seed, draw, store, item])
            start = [
                drawn_start(side, n, rng)
                for side, n in zip(whole.shape[1:], self.window, strict=True)
            ]
            fill_box(image, Box(whole), whole.shape[1:], start)
            read = self.maps[store].read_crop(item, start, self.window)
            labels.append(read if self._class_of is None else self._class_of[read])
        return LabelledCrops(
            torch.from_numpy(images),
            torch.from_numpy(np.stack(labels)),
            torch.tensor([self.modality[index] for index, _ in indices]),
        )


class Box:
    """Parts of an array (C, *spatial), by (start, size) of a box inside."""

    def __init__(self, whole: np.ndarray) -> None:
        self.whole = whole

    def __call__(self, start: Sequence[int], size: Sequence[int]) -> np.ndarray:
        """One box, (C, *size)."""
        box = tuple(slice(a, a + n) for a, n in zip(start, size, strict=True))
        return self.whole[(slice(None), *box)]
