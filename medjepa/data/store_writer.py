"""Appends images to a store, shard by shard: an interruption costs at most the last one."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from medjepa.data.files import check_free_space, write_atomic
from medjepa.data.ingest import Ingested, IngestSettings
from medjepa.data.store import FORMAT, INDEX_NAME, TENSOR_NAME, VERSION, Item, Shard, is_store
from medjepa.data.store import open_store as _open
from medjepa.errors import DataError

_COLUMNS = tuple(Item.__dataclass_fields__)


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
        self._items: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
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
        return {
            key for key, part in zip(self._items["key"], self._items["part"], strict=True) if part
        }

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
                "part": image.part,
                "height": image.height,
                "width": image.width,
                "spacing": list(image.spacing),
                "group": "",  # given by the whole table when the index is written
                "source": source,
                "modality": modality,
                "scale": image.scale,
                "offset": image.offset,
                "window": list(image.window),
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
            for name in _COLUMNS:
                self._items[name].append(meta[name])
        for (dtype, channels), rows in by_kind.items():
            shard = Shard(
                name=f"shard-{len(self._shards):05d}.safetensors",
                rows=len(rows),
                channels=channels,
                dtype=dtype,
            )
            # Stacking keeps the axes' order in memory (colour is decoded channels last), and
            # safetensors writes memory as it lies.
            images = np.ascontiguousarray(np.stack(rows))
            write_atomic(self.out / shard.name, save({TENSOR_NAME: images}))
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
            "size": list(self._settings.size),
            "channels": self._settings.channels,
            "fit": self._settings.fit,
            "shards": [asdict(shard) for shard in self._shards],
            "items": self._items,
        }
        write_atomic(self.out / INDEX_NAME, json.dumps(index, separators=(",", ":")).encode())

    def _continue(self) -> None:
        index = json.loads((self.out / INDEX_NAME).read_bytes())
        store = _open(self.out)
        asked = self._settings
        there = (store.size, index["channels"], store.fit)
        if there != (asked.size, asked.channels, asked.fit):
            raise DataError(
                f"{self.out}: the store there has size, channels, fit = {there}, asked for "
                f"{(asked.size, asked.channels, asked.fit)}; use another out= or the same settings"
            )
        self._shards = list(store.shards)
        self._items = {name: list(index["items"][name]) for name in _COLUMNS}

    def _remove_unknown_shards(self) -> None:
        """A run that was killed between a shard and its index leaves a shard that nobody names."""
        named = {shard.name for shard in self._shards}
        for path in [*self.out.glob("shard-*.safetensors"), *self.out.glob(".*.tmp")]:
            if path.name not in named:
                path.unlink()
