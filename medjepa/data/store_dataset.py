"""Prepared stores as one torch dataset of [0, 1] images."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from medjepa.data.batching import Sample, Samples
from medjepa.data.modality import IntensityPlan
from medjepa.data.preprocessing import Pipeline
from medjepa.data.store import Store
from medjepa.data.volume_store import VolumeStore
from medjepa.errors import DataError
from medjepa.types import MODALITIES

_logger = logging.getLogger(__name__)


class StoreDataset(Dataset[Sample]):
    """Images of one or several stores, at one size and with one number of channels.

    `indices` count through the stores in turn and choose a part; `modality` gives each store's
    kind of image where the headers do not say. Reading many at once (`__getitems__`, which a
    `DataLoader` uses) is much faster than one by one.

    Raises:
        DataError: no store, an index out of range, an unknown modality, or stores that were
            prepared with different intensity.
    """

    def __init__(
        self,
        stores: Store | Sequence[Store],
        *,
        image_size: int | tuple[int, int] | None = None,
        channels: Literal["auto", 1, 3] = "auto",
        indices: Sequence[int] | np.ndarray | None = None,
        modality: str | Sequence[str | None] | None = None,
    ) -> None:
        self.stores = (stores,) if isinstance(stores, Store) else tuple(stores)
        if not self.stores:
            raise DataError("a dataset needs at least one store")
        first = IntensityPlan.from_dict(self.stores[0].settings["intensity"])
        check_intensity(self.stores[1:], first)
        self.image_size = _size(image_size, self.stores[0].size)
        present = max(store.channels for store in self.stores)
        self.channels: int = present if channels == "auto" else int(channels)
        self._starts = np.cumsum([0, *(len(store) for store in self.stores)])
        total = int(self._starts[-1])
        chosen = np.arange(total) if indices is None else np.asarray(indices, dtype=np.int64)
        if chosen.size and not 0 <= chosen.min() <= chosen.max() < total:
            raise DataError(f"an index is outside 0..{total - 1}")
        self.indices = chosen
        kinds = list(zip(self.stores, per_store(modality, len(self.stores)), strict=True))
        self._modality = np.concatenate([_modalities(store, name) for store, name in kinds])
        self._asked = frozenset[str | None]().union(
            *({name} if name else store.asked for store, name in kinds)
        )
        if present > self.channels:
            _logger.info("colour images are read as luminance (channels=1)")

    @property
    def source_counts(self) -> list[int]:
        """How many of the chosen images each store gives; `BatchPlan` takes it with weights."""
        owners = np.searchsorted(self._starts, self.indices, side="right") - 1
        assert (np.diff(owners) >= 0).all(), "indices must go through the stores in turn"
        return [int(n) for n in np.bincount(owners, minlength=len(self.stores))]

    @property
    def pipeline(self) -> Pipeline:
        """How a file becomes the tensor that this dataset yields (of the first store)."""
        store = self.stores[0]
        # Where the sources were said to be of one kind, so is the next file; else its header says.
        kind = next(iter(self._asked)) if len(self._asked) == 1 else None
        plan = IntensityPlan.from_dict(store.settings["intensity"])
        return Pipeline(
            size=store.size,
            channels=self.channels,
            fit=store.fit,
            image_size=self.image_size,
            intensity=replace(plan, modality=kind),
        )

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Sample:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> Samples:
        items = self.indices[np.asarray(indices, dtype=np.int64)]
        return Samples(self.read(items), torch.from_numpy(self._modality[items]))

    def read(self, items: np.ndarray) -> Tensor:
        """Read images by their number across all stores: float32 (n, C, H, W) in [0, 1]."""
        if len(self.stores) == 1:
            return self._read_store(self.stores[0], items)
        images = torch.empty((len(items), self.channels, *self.image_size))
        owners = np.searchsorted(self._starts, items, side="right") - 1
        for owner in np.unique(owners):
            chosen = np.flatnonzero(owners == owner)
            local = items[chosen] - self._starts[owner]
            images[torch.from_numpy(chosen)] = self._read_store(self.stores[owner], local)
        return images

    def _read_store(self, store: Store, items: np.ndarray) -> Tensor:
        images = torch.from_numpy(store.gather(items, self.channels))
        return resize_images(images, self.image_size)


def check_intensity(stores: Sequence[Store | VolumeStore], plan: IntensityPlan) -> None:
    """Refuse stores whose images were windowed or cropped otherwise than `plan` would.

    Raises:
        DataError: names the first such store and the kind of image.
    """
    wanted = dict(plan.steps)
    for store in stores:
        for kind, steps in store.intensity.steps:
            if steps != wanted.get(kind, steps):
                raise DataError(
                    f"{store.path}: prepared with another intensity for {kind} "
                    f"({'; '.join(step.describe() for step in steps)}, not "
                    f"{'; '.join(step.describe() for step in wanted[kind])}); "
                    "give the folder of the images instead, or prepare them alike"
                )


def resize_images(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize (n, C, H, W) in [0, 1], antialiased."""
    if tuple(images.shape[2:]) == size:
        return images
    resized: Tensor = functional.interpolate(
        images, size=size, mode="bilinear", antialias=True, align_corners=False
    )
    return resized.clamp_(0.0, 1.0)


def _size(asked: int | tuple[int, int] | None, default: tuple[int, int]) -> tuple[int, int]:
    if asked is None:
        return default
    return (asked, asked) if isinstance(asked, int) else (int(asked[0]), int(asked[1]))


def per_store(modality: str | Sequence[str | None] | None, count: int) -> list[str | None]:
    """Give each store its kind of image, None where the headers say.

    Raises:
        DataError: another number of kinds than stores, or an unknown one.
    """
    names: list[Any] = (
        [modality] * count if modality is None or isinstance(modality, str) else list(modality)
    )
    if len(names) != count:
        raise DataError(f"data.modality names {len(names)} kinds for {count} sources")
    for name in names:
        if name is not None and name not in MODALITIES:
            raise DataError(f"data.modality: {name!r} is unknown; one of {', '.join(MODALITIES)}")
    return names


def _modalities(store: Store, name: str | None) -> np.ndarray:
    if name is None:
        return store.modality
    return np.full(len(store), MODALITIES.index(name), dtype=np.int64)
