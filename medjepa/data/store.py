"""The prepared store: safetensors shards, a public index, and a private folder.

index.json               sizes, and one column per property of the items; no names, no paths
shard-00000.safetensors  "images": (rows, C, H, W) in uint8, uint16, int16 or float32
private/                 the key of the hashes and the map back to files and patients (0700)
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from medjepa.data.intensity import gain_and_bias, match_channels
from medjepa.data.modality import IntensityPlan
from medjepa.data.private_map import PrivateMap
from medjepa.data.resize import Fit
from medjepa.data.shard_files import TensorFile
from medjepa.data.store_index import Shard, is_store, read_index
from medjepa.errors import DataError
from medjepa.types import MODALITIES

TENSOR_NAME = "images"


__all__ = ["Item", "Shard", "Store", "is_store", "open_store"]


@dataclass(frozen=True, slots=True)
class Item:
    """One image of a store.

    Attributes:
        shard: which shard.
        row: which row of it.
        key: hash of the file's content; the slices of one volume share it.
        part: number of the slice in its volume, 0 for an image.
        height: rows of the original, before resizing.
        width: columns of the original.
        spacing: (y, x) of the original in mm, None where the file does not say.
        group: keyed hash of the patient (or lesion, study), "" if none is known.
        source: which of the prepared folders.
        modality: one of `MODALITIES`.
        scale: value = stored * scale + offset.
        offset: see `scale`.
        window: (low, high) values shown as 0 and 1.
    """

    shard: int
    row: int
    key: str
    part: int
    height: int
    width: int
    spacing: tuple[float | None, float | None]
    group: str
    source: int
    modality: str
    scale: float
    offset: float
    window: tuple[float, float]


def open_store(path: str | Path) -> "Store":
    """Open a prepared store.

    Raises:
        DataError: there is no store, or its index does not fit its shards.
    """
    return Store(Path(path))


class Store:
    """A prepared store, read through memory maps; it can be sent to worker processes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        index = read_index(path)
        self.settings: dict[str, Any] = index["settings"]
        if self.settings["dimensions"] != 2:
            raise DataError(
                f"{path}: a store of volumes and clips, not of images: model.type=vjepa takes "
                "it (in Python: open_volumes)"
            )
        height, width = self.settings["size"]
        self.size: tuple[int, int] = (int(height), int(width))
        self.fit: Fit = self.settings["fit"]
        self.asked: frozenset[str | None] = frozenset(index["asked"].values())
        """kinds of image that the user said the sources hold; None: as the headers say"""
        self.shards = tuple(Shard(**shard) for shard in index["shards"])
        self._columns: dict[str, list[Any]] = index["items"]
        self.shard = np.asarray(self._columns["shard"], dtype=np.int32)
        self.row = np.asarray(self._columns["row"], dtype=np.int64)
        window = np.asarray(self._columns["window"], dtype=np.float64).reshape(-1, 2)
        self._gain, self._bias = gain_and_bias(
            np.asarray(self._columns["scale"], dtype=np.float64),
            np.asarray(self._columns["offset"], dtype=np.float64),
            window[:, 0],
            window[:, 1],
        )
        is_8_bit = np.asarray([shard.dtype == "uint8" for shard in self.shards] or [False])
        self._is_plain = (
            is_8_bit[self.shard] & (self._gain == np.float32(1 / 255)) & (self._bias == 0)
        )
        self._maps: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.row)

    def __getstate__(self) -> dict[str, Any]:
        # A memory map cannot travel to another process; it is opened again there on first use.
        return {**self.__dict__, "_maps": {}}

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """Every image, in the order of the indices."""
        names = list(Item.__dataclass_fields__)
        pairs = {"spacing", "window"}
        columns = [
            [tuple(v) for v in self._columns[n]] if n in pairs else self._columns[n] for n in names
        ]
        return tuple(Item(*values) for values in zip(*columns, strict=True))

    @property
    def keys(self) -> list[str]:
        """Hash of each item's file content."""
        return self._columns["key"]

    @property
    def groups(self) -> list[str]:
        """Keyed hash of each item's patient, "" where none is known."""
        return self._columns["group"]

    @cached_property
    def modality(self) -> np.ndarray:
        """Index into `MODALITIES` of each item."""
        numbers = {name: i for i, name in enumerate(MODALITIES)}
        return np.asarray([numbers.get(m, 0) for m in self._columns["modality"]], dtype=np.int64)

    @property
    def channels(self) -> int:
        """1 if every image is grey, else 3."""
        return max((shard.channels for shard in self.shards), default=1)

    @property
    def intensity(self) -> IntensityPlan:
        """How the values of these images became grey levels, for the kinds that are here."""
        plan = IntensityPlan.from_dict(self.settings["intensity"])
        kinds = set(self._columns["modality"])
        return IntensityPlan(tuple(entry for entry in plan.steps if entry[0] in kinds))

    def private_map(self) -> PrivateMap:
        """The way back to files and patients; only its owner can read it.

        Raises:
            DataError: the store was copied without its private folder.
        """
        return PrivateMap.read(self.path)

    def gather(self, indices: np.ndarray, channels: int) -> np.ndarray:
        """Read images as float32 (n, channels, H, W) in [0, 1]."""
        images = np.empty((len(indices), channels, *self.size), dtype=np.float32)
        shards = self.shard[indices]
        for shard in np.unique(shards):
            chosen = np.flatnonzero(shards == shard)
            items = indices[chosen]
            pixels = self._map(int(shard))[self.row[items]]
            # All of one shard are computed where they are wanted, grey ones in the first channel.
            in_place = len(chosen) == len(indices) and pixels.shape[1] <= channels
            values = np.multiply(
                pixels,
                self._gain[items, None, None, None],
                dtype=np.float32,
                out=images[:, : pixels.shape[1]] if in_place else None,
            )
            # 8 bits shown from 0 to 255 need no more, and that is most images there are.
            if not self._is_plain[items].all():
                values += self._bias[items, None, None, None]
                np.clip(values, 0.0, 1.0, out=values)
            if values.shape[1] > channels:
                values = match_channels(values, channels, axis=1)
            # One channel is repeated by broadcasting.
            if not in_place:
                images[chosen] = values
            elif values.shape[1] < channels:
                images[:, 1:] = values
        return images

    def stored(self, index: int) -> np.ndarray:
        """One image (C, H, W) as it lies on the disk."""
        return np.array(self._map(int(self.shard[index]))[self.row[index]])

    def _map(self, shard: int) -> np.ndarray:
        if shard not in self._maps:
            self._maps[shard] = TensorFile(self.path / self.shards[shard].name).tensors[TENSOR_NAME]
        return self._maps[shard]
