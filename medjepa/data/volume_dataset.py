"""Prepared stores of volumes or clips as one torch dataset of crops in [0, 1]."""

from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from torch.utils.data import Dataset

from medjepa.data.batching import Sample, Samples
from medjepa.data.crop_places import (
    Crop,
    FrameClock,
    Triple,
    centred_start,
    drawn_start,
    fill_box,
    start_around,
)
from medjepa.data.foreground import Foreground, find_foreground
from medjepa.data.intensity import match_channels
from medjepa.data.store_dataset import check_intensity, per_store
from medjepa.data.volume_pipeline import VolumeKind, VolumePipeline, known_spacing
from medjepa.data.volume_places import ItemPlace, find_places, num_channels, settings_of
from medjepa.data.volume_store import VolumeStore
from medjepa.errors import ConfigError, DataError
from medjepa.types import MODALITIES

_MOST_MAPS = 2048
Index = int | tuple[int, int]


class VolumeDataset(Dataset[Sample]):
    """Crops of volumes (C, z, y, x) or clips (C, t, y, x) of one or several stores.

    A plain index gives the crop in the middle, the same always; (index, draw) one that is a pure
    function of `seed`, `draw` and the item. Only the crop is read. A volume that is smaller than
    the crop lies in the middle of black (0); a clip that is shorter holds its last frame.
    `foreground` is the share of drawn crops of volumes whose middle lies on foreground (moved
    inside at the border). Frames are `frame_step` apart, or `frame_seconds`: by their own times
    where they lie unevenly, else by the clip's rate. A stack through time is a clip for each slice.

    `indices` count through the items that are of this kind, store after store; `modality` gives
    each store's kind of image where the headers do not say.

    Raises:
        ConfigError: a setting makes no sense.
        DataError: no store or no item of this kind, an index out of range, other channels, stores
            that were prepared differently, or the time between frames of a clip is not known.
    """

    draws_crops = True
    """Tells the planner of batches to ask for (index, step)."""

    def __init__(
        self,
        stores: VolumeStore | Sequence[VolumeStore],
        *,
        crop: Sequence[int],
        channels: Literal["auto"] | int = "auto",
        indices: Sequence[int] | np.ndarray | None = None,
        modality: str | Sequence[str | None] | None = None,
        seed: int = 0,
        foreground: float = 0.0,
        kind: VolumeKind = "volume",
        frame_step: int = 1,
        frame_seconds: float | None = None,
    ) -> None:
        self.stores = (stores,) if isinstance(stores, VolumeStore) else tuple(stores)
        if not self.stores:
            raise DataError("a dataset needs at least one store")
        self.kind: VolumeKind = kind
        self.crop = _checked_crop(crop)
        self.seed, self.foreground = seed, foreground
        self.frame_step, self.frame_seconds = frame_step, frame_seconds
        _check_numbers(foreground, frame_step, frame_seconds)
        self._settings = settings_of(self.stores)
        check_intensity(self.stores[1:], self.stores[0].intensity)
        self.items: tuple[ItemPlace, ...] = find_places(self.stores, kind)
        self.channels = num_channels(self.stores, self.items, channels, kind)
        chosen = np.arange(len(self.items)) if indices is None else np.asarray(indices, np.int64)
        if chosen.size and not 0 <= chosen.min() <= chosen.max() < len(self.items):
            raise DataError(f"an index is outside 0..{len(self.items) - 1}")
        self.indices = chosen
        names = per_store(modality, len(self.stores))
        self._modality = np.asarray(
            [
                MODALITIES.index(names[i.store] or self.stores[i.store].items[i.index].modality)
                for i in self.items
            ],
            dtype=np.int64,
        )
        self._asked: set[str | None] = {name for name in names if name}
        if any(name is None for name in names):
            self._asked |= {n for store in self.stores for n in store.asked}
        self._maps: OrderedDict[int, Foreground] = OrderedDict()
        if kind == "clip" and frame_seconds is not None:
            _check_times(self.items, chosen)

    def __getstate__(self) -> dict[str, Any]:
        # Each worker finds the foreground of what it reads.
        return {**self.__dict__, "_maps": OrderedDict()}

    @property
    def source_counts(self) -> list[int]:
        """How many of the chosen items each store gives; `BatchPlan` takes it with weights."""
        owners = [self.items[i].store for i in self.indices]
        assert owners == sorted(owners), "indices must go through the stores in turn"
        counted = Counter(owners)
        return [counted[number] for number in range(len(self.stores))]

    @property
    def pipeline(self) -> VolumePipeline:
        """How a file becomes a volume or clip of which this dataset yields crops."""
        settings = self._settings
        # Where the sources were said to be of one kind, so is the next file; else its header says.
        kind = next(iter(self._asked)) if len(self._asked) == 1 else None
        plan = replace(self.stores[0].intensity, modality=kind)
        height, width, fit = settings["frame_size"] or (None, None, "stretch")
        return VolumePipeline.from_dict(
            {
                "crop": self.crop,
                "channels": self.channels,
                "kind": self.kind,
                "spacing": settings["spacing"],
                "frame_size": None if height is None else (height, width),
                "fit": fit,
                "contrasts": settings["contrasts"],
                "fourth_axis": settings["fourth_axis"],
                "frame_step": self.frame_step,
                "frame_seconds": self.frame_seconds,
                "intensity": plan.to_dict(),
            }
        )

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: Index) -> Sample:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[Index]) -> Samples:
        crops = [self.place(*i) if isinstance(i, tuple) else self.place(i) for i in indices]
        images = np.zeros((len(crops), self.channels, *self.crop), dtype=np.float32)
        for image, crop in zip(images, crops, strict=True):
            self._fill(image, crop)
        items = [crop.item for crop in crops]
        spacing = np.stack([self._spacing(n) for n in items]) if items else np.empty((0, 3))
        return Samples(
            torch.from_numpy(images),
            torch.from_numpy(self._modality[items]),
            torch.from_numpy(spacing.astype(np.float32)),
        )

    def place(self, index: int, draw: int | None = None) -> Crop:
        """The crop of a draw, or the one in the middle."""
        number = int(self.indices[index])
        shape = self.items[number].shape
        rng = None if draw is None else np.random.default_rng([self.seed, draw, number])
        if self.kind == "clip":
            frames = self._clock(number).draw(rng)
            start = (frames[0], *_starts(shape[1:], self.crop[1:], rng))
            return Crop(number, _triple(start), self.crop, frames)
        if rng is not None and rng.random() < self.foreground:
            centre = self._map(number).draw(rng)
            boxes = zip(centre, shape, self.crop, strict=True)
            return Crop(number, _triple([start_around(*box) for box in boxes]), self.crop)
        return Crop(number, _triple(_starts(shape, self.crop, rng)), self.crop)

    def read_crop(self, crop: Crop) -> np.ndarray:
        """A crop as float32 (C, *size) in [0, 1]; outside of the item it is 0."""
        out = np.zeros((self.channels, *crop.size), dtype=np.float32)
        self._fill(out, crop)
        return out

    def whole(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """A whole volume, or clip with all its frames, float32 (C, *axes) in [0, 1]; its spacing.

        Its memory is that of the item; for a part of it give `read_crop` a place.
        """
        number = int(self.indices[index])
        item = self.items[number]
        values = self.read_crop(Crop(number, (0, 0, 0), item.shape))
        return values, known_spacing("zyx", item.spacing)

    def _fill(self, out: np.ndarray, crop: Crop) -> None:
        item = self.items[crop.item]
        if crop.frames is None:
            fill_box(out, lambda *box: self._read(item, *box), item.shape, crop.start)
            return
        last = (-1, out[:, 0])
        for place, frame in enumerate(crop.frames):
            target = out[:, place : place + 1]
            if frame == last[0]:  # held
                target[:, 0] = last[1]
                continue
            start = (frame, *crop.start[1:])
            fill_box(target, lambda *box: self._read(item, *box), item.shape, start)
            last = (frame, target[:, 0])

    def _read(self, item: ItemPlace, start: Sequence[int], size: Sequence[int]) -> np.ndarray:
        """(C, *size) of the item's three axes, in [0, 1]."""
        store = self.stores[item.store]
        if item.plane is None:
            stored = store.read_crop(item.index, start, size)
        else:
            begin = (start[0], item.plane, *start[1:])
            stored = store.read_crop(item.index, begin, (size[0], 1, *size[1:]))[:, :, 0]
        return match_channels(store.show(item.index, stored), self.channels, axis=0)

    def _map(self, number: int) -> Foreground:
        if number in self._maps:
            self._maps.move_to_end(number)
            return self._maps[number]
        item = self.items[number]
        self._maps[number] = find_foreground(self.stores[item.store], item.index)
        if len(self._maps) > _MOST_MAPS:
            self._maps.popitem(last=False)
        return self._maps[number]

    def _clock(self, number: int) -> FrameClock:
        item = self.items[number]
        length, count = item.shape[0], self.crop[0]
        if self.frame_seconds is None:
            return FrameClock(length, count, float(self.frame_step))
        if item.times is not None:
            return FrameClock(length, count, self.frame_seconds, item.times)
        step = item.spacing[0]
        assert step, "checked when the dataset was made"
        return FrameClock(length, count, self.frame_seconds / step)

    def _spacing(self, number: int) -> np.ndarray:
        """float32 (3,) of the crop: in time that between the frames that are read."""
        spacing = known_spacing("zyx", self.items[number].spacing)
        if self.kind == "clip":
            seconds = self.frame_seconds
            spacing[0] = spacing[0] * self.frame_step if seconds is None else seconds
        return spacing


def _starts(
    shape: Sequence[int], size: Sequence[int], rng: np.random.Generator | None
) -> list[int]:
    pairs = zip(shape, size, strict=True)
    if rng is None:
        return [centred_start(length, n) for length, n in pairs]
    return [drawn_start(length, n, rng) for length, n in pairs]


def _triple(values: Sequence[int]) -> Triple:
    first, second, third = (int(value) for value in values)
    return first, second, third


def _checked_crop(crop: Sequence[int]) -> Triple:
    if len(crop) != 3 or min(crop) < 1:
        raise ConfigError(f"data.crop: three numbers of 1 or more, got {list(crop)}")
    return _triple(crop)


def _check_numbers(foreground: float, frame_step: int, frame_seconds: float | None) -> None:
    if not 0 <= foreground <= 1:
        raise ConfigError(f"data.foreground: a share from 0 to 1, got {foreground}")
    if frame_step < 1:
        raise ConfigError(f"data.frame_step: 1 or more, got {frame_step}")
    if frame_seconds is not None and not 0 < frame_seconds < float("inf"):
        raise ConfigError(f"data.frame_seconds: above 0, got {frame_seconds}")
    if frame_seconds is not None and frame_step != 1:
        raise ConfigError("data.frame_seconds and data.frame_step: one of the two, not both")


def _check_times(items: Sequence[ItemPlace], chosen: np.ndarray) -> None:
    unknown = [number for number in chosen.tolist() if not items[number].spacing[0]]
    if unknown:
        raise DataError(
            f"data.frame_seconds: the time between frames is not known of {len(unknown)} of "
            f"{len(chosen)} clips (the first is item {unknown[0]}); use data.frame_step instead"
        )
