"""Appends images to a store, shard by shard: an interruption costs at most the last one."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from medjepa.data.files import check_free_space, write_atomic
from medjepa.data.ingest import Ingested, IngestSettings
from medjepa.data.planes import StoredImage
from medjepa.data.shard_files import write_tensors
from medjepa.data.store import TENSOR_NAME, Item
from medjepa.data.store_index import FORMAT, INDEX_NAME, VERSION, Shard, is_store, read_index
from medjepa.data.volume_items import StoredVolume
from medjepa.data.volume_store import VolumeItem
from medjepa.errors import DataError


class StoreWriter:
    """Collects images and writes them in the order in which they came.

    A shard is written when `shard_bytes` are together or `flush_seconds` have passed; the caller
    then writes the private map and `write_index`.
    """

    def __init__(
        self, out: Path, settings: IngestSettings, *, shard_bytes: int, flush_seconds: float
    ) -> None:
        self.out = out
        self._settings = settings
        self._shard_bytes, self._flush_seconds = shard_bytes, flush_seconds
        self._shards: list[Shard] = []
        self.asked: dict[str, str | None] = {}
        """number of a source -> the kind of image that the user said it holds"""
        item = Item if settings.dimensions == 2 else VolumeItem
        self._names = tuple(item.__dataclass_fields__)
        self._items: dict[str, list[Any]] = {name: [] for name in self._names}
        self._waiting: list[tuple[np.ndarray, dict[str, Any]]] = []
        self._waiting_bytes = 0
        self._last_flush = time.monotonic()
        if is_store(out):
            self._continue()
        self._keys = set(self._items["key"])
        self._remove_unknown_shards()

    @property
    def keys(self) -> set[str]:
        """Contents that the store holds, on the disk or waiting."""
        return self._keys

    @property
    def volumes(self) -> set[str]:
        """Contents that gave several images."""
        parts = self._items.get("part", [])
        return {key for key, part in zip(self._items["key"], parts, strict=False) if part}

    @property
    def modalities(self) -> tuple[str, ...]:
        """Kinds of image among the items that are on the disk."""
        return tuple(sorted(set(self._items["modality"])))

    @property
    def is_due(self) -> bool:
        """True when the waiting images should be written."""
        waited = time.monotonic() - self._last_flush
        return self._waiting_bytes >= self._shard_bytes or (
            bool(self._waiting) and waited >= self._flush_seconds
        )

    def __len__(self) -> int:
        return len(self._items["key"]) + len(self._waiting)

    def add(self, result: Ingested, *, source: int, modality: str) -> None:
        """Take the images of one file."""
        self._keys.add(result.key)
        for image in result.images:
            meta = {
                "key": result.key,
                "group": "",  # given by the whole table when the index is written
                "source": source,
                "modality": modality,
                "scale": image.scale,
                "offset": image.offset,
                "window": list(image.window),
                "spacing": list(image.spacing),
                **(_plane(image) if isinstance(image, StoredImage) else _volume(image)),
            }
            self._waiting.append((image.pixels, meta))
            self._waiting_bytes += image.pixels.nbytes

    def write_shards(self) -> None:
        """Write what is waiting, one shard for each dtype and number of channels."""
        if not self._waiting:
            return
        check_free_space(self.out, self._waiting_bytes)
        by_kind: dict[tuple[str, int], list[np.ndarray]] = {}
        numbers: dict[tuple[str, int], int] = {}
        for pixels, meta in self._waiting:
            kind = (pixels.dtype.name, pixels.shape[0])
            numbers.setdefault(kind, len(self._shards) + len(numbers))
            rows = by_kind.setdefault(kind, [])
            meta |= {"shard": numbers[kind], "row": len(rows)}
            rows.append(pixels)
            for name in self._names:
                self._items[name].append(meta[name])
        for (dtype, channels), rows in by_kind.items():
            shard = Shard(
                name=f"shard-{len(self._shards):05d}.safetensors",
                rows=len(rows),
                channels=channels,
                dtype=dtype,
            )
            if self._settings.dimensions == 2:
                tensors = {TENSOR_NAME: np.stack(rows)}
            else:
                tensors = {str(row): pixels for row, pixels in enumerate(rows)}
            write_tensors(self.out / shard.name, tensors)
            self._shards.append(shard)
        self._waiting, self._waiting_bytes = [], 0
        self._last_flush = time.monotonic()

    def drop_unknown(self, keys: set[str]) -> int:
        """Forget the items whose file is gone; returns how many."""
        kept = [i for i, key in enumerate(self._items["key"]) if key in keys]
        dropped = len(self._items["key"]) - len(kept)
        if dropped:
            self._items = {n: [column[i] for i in kept] for n, column in self._items.items()}
        return dropped

    def write_index(self, groups: Mapping[str, str]) -> None:
        """Publish all shards written so far; `groups` maps a content key to its group's hash."""
        self._items["group"] = [groups.get(key, "") for key in self._items["key"]]
        index = {
            "format": FORMAT,
            "version": VERSION,
            "settings": self._settings.to_dict(),
            "asked": self.asked,
            "shards": [asdict(shard) for shard in self._shards],
            "items": self._items,
        }
        write_atomic(self.out / INDEX_NAME, json.dumps(index, separators=(",", ":")).encode())

    def _continue(self) -> None:
        index = read_index(self.out)
        there, asked = index["settings"], self._settings.to_dict()
        if there != asked:
            differing = sorted(n for n in {*there, *asked} if there.get(n) != asked.get(n))
            raise DataError(
                f"{self.out}: the store there has "
                + ", ".join(_difference(n, there.get(n), asked.get(n)) for n in differing)
                + "; use another out= or the same settings"
            )
        self.asked = index["asked"]
        self._shards = [Shard(**shard) for shard in index["shards"]]
        num = len(index["items"]["key"])
        self._items = {name: list(index["items"].get(name, [None] * num)) for name in self._names}

    def _remove_unknown_shards(self) -> None:
        """A run that was killed between a shard and its index leaves a shard that nobody names."""
        named = {shard.name for shard in self._shards}
        for path in [*self.out.glob("shard-*.safetensors"), *self.out.glob(".*.tmp")]:
            if path.name not in named:
                path.unlink()


def _difference(name: str, there: object, asked: object) -> str:
    if isinstance(there, dict) or isinstance(asked, dict):
        return f"another {name}"
    return f"{name} = {there}, not {asked}"


def _plane(image: StoredImage) -> dict[str, Any]:
    return {"part": image.part, "height": image.height, "width": image.width}


def _volume(image: StoredVolume) -> dict[str, Any]:
    directions = image.directions
    return {
        "axes": image.axes,
        "shape": list(image.pixels.shape),
        "directions": None if directions is None else [list(d) for d in directions],
        "position": None if image.position is None else list(image.position),
        "times": None if image.times is None else list(image.times),
    }
