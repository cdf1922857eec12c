"""What an earlier evaluation computed, in the cache: features of images, scores of checkpoints.

A result lies in a file that is named by a hash of all that it depends on: the weights themselves,
the images' contents and how they were prepared, every setting, and the source of this package. So
a changed checkpoint, image or setting is another file, and what is read is what would be computed.
The folder may be deleted at any time; `medjepa forget` deletes it. It is kept below `MOST_BYTES`:
what was not used for longest goes first.
"""

import hashlib
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray

from medjepa.data.cache import KEPT, default_cache
from medjepa.data.files import PRIVATE_FILE_MODE, make_private_folder, write_atomic
from medjepa.data.store import Store
from medjepa.data.volume_store import VolumeStore
from medjepa.errors import DataError
from medjepa.models.image_model import ImageModel
from medjepa.models.timm_encoder import TimmEncoder
from medjepa.models.vjepa import VJEPA

MOST_BYTES = 4 << 30
_LOOK_EVERY_BYTES = 64 << 20
"""So often the folder is listed: each result's own listing would be slow where there are many."""

Arrays = dict[str, NDArray[Any]]
Depends = Mapping[str, object]
"""Plain JSON values: everything that a result depends on."""


class Kept:
    """Results in the cache.

    Args:
        cache_dir: the cache's folder; None or "" for the user's.
        most_bytes: that all results together may have; a little more lies there between two looks.

    Attributes:
        trouble: why results could not be written, for the reader; "" if they could.
    """

    def __init__(self, cache_dir: str | Path | None, *, most_bytes: int = MOST_BYTES) -> None:
        self.folder = (Path(cache_dir) if cache_dir else default_cache()) / KEPT
        self.trouble, self.most_bytes = "", most_bytes
        self._unseen_bytes = _LOOK_EVERY_BYTES  # the first result looks

    def get(self, depends: Depends) -> Arrays | None:
        """What was computed before; None if nothing was.

        Raises:
            DataError: the file is damaged.
        """
        path = self._path(depends)
        if not path.is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as found:
                arrays = {name: found[name] for name in found.files}
        except FileNotFoundError:  # another process has just made room
            return None
        except (OSError, ValueError, BadZipFile) as error:
            raise DataError(f"{path}: cannot be read ({error}); delete it and run again") from error
        with suppress(OSError):  # of a folder that may only be read, or a file that has gone
            os.utime(path)  # the time of last use
        return arrays

    def put(self, depends: Depends, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Keep a result; a cache that cannot be written to is told in `trouble`."""
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **arrays)
        try:
            make_private_folder(self.folder)
            write_atomic(self._path(depends), buffer.getvalue(), mode=PRIVATE_FILE_MODE)
        except DataError as error:
            self.trouble = f"Features are computed anew each time: {error}."
            return
        self._unseen_bytes += len(buffer.getvalue())
        if self._unseen_bytes >= _LOOK_EVERY_BYTES:
            self._unseen_bytes = 0
            make_room(self.folder, keep=self._path(depends), most_bytes=self.most_bytes)

    def of(self, depends: Depends, compute: Callable[[], Arrays]) -> Arrays:
        """What was computed before, or what is computed now and kept."""
        found = self.get(depends)
        if found is None:
            found = compute()
            self.put(depends, found)
        return found

    def rows(
        self,
        depends: Mapping[str, Depends],
        compute: Callable[[list[str]], Mapping[str, NDArray[Any]]],
    ) -> Arrays:
        """Rows by name, of which only those that were never computed are computed, together.

        Args:
            depends: of each name.
            compute: called once with the names that are missing, if there are any.
        """
        known = {name: self.get(one) for name, one in depends.items()}
        found = {name: one["rows"] for name, one in known.items() if one is not None}
        if missing := [name for name in depends if name not in found]:
            new = compute(missing)
            for name in missing:
                self.put(depends[name], {"rows": new[name]})
                found[name] = new[name]
        return {name: found[name] for name in depends}

    def _path(self, depends: Depends) -> Path:
        whole = json.dumps([_source(), depends], sort_keys=True)
        return self.folder / f"{hashlib.sha256(whole.encode()).hexdigest()[:32]}.npz"


def make_room(folder: Path, *, keep: Path, most_bytes: int) -> None:
    """Delete the results that were not used for longest, until `most_bytes` are left or fewer.

    Deleting is atomic, and a file that another process has deleted or holds is passed over: a
    reader has its result whole, or none and computes it.

    Args:
        folder: of results.
        keep: one that stays whatever its size.
        most_bytes: that all together may have.
    """
    found = []
    for path in folder.glob("*.npz"):
        with suppress(OSError):
            status = path.stat()
            found.append((status.st_mtime_ns, path.name, status.st_size, path))
    num_bytes = sum(size for _, _, size, _ in found)
    for _, _, size, path in sorted(found):
        if num_bytes <= most_bytes:
            return
        if path != keep:
            with suppress(OSError):
                path.unlink(missing_ok=True)
                num_bytes -= size


def digest(*arrays: NDArray[Any]) -> str:
    """Of the values, types and shapes of arrays."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(f"{array.dtype} {array.shape} ".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def digest_of_model(model: ImageModel | VJEPA | TimmEncoder) -> str:
    """Of the weights and what they are the weights of; not of where the checkpoint lies."""
    config = json.dumps(model.config, sort_keys=True, default=str)
    found = hashlib.sha256(f"{type(model).__name__} {config}".encode())
    for name, values in model.state_dict().items():
        found.update(f"{name} {values.dtype} {tuple(values.shape)} ".encode())
        found.update(values.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def digest_of_file(path: Path) -> str:
    """Of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def digest_of_items(stores: Sequence[Store | VolumeStore], indices: Sequence[int]) -> str:
    """Of some items, counted through the stores in turn: their contents and their preparation.

    Pixels are not read: an item's key is a hash of its file, and a shard that was written again
    has another time.
    """
    found = hashlib.sha256()
    chosen, start = np.asarray(indices, dtype=np.int64), 0
    for store in stores:
        own = chosen[(chosen >= start) & (chosen < start + len(store))] - start
        start += len(store)
        items = [store.items[int(i)] for i in own]
        found.update(json.dumps(store.settings, sort_keys=True, default=str).encode())
        found.update(repr(items).encode())
        for number in sorted({item.shard for item in items}):
            shard = store.shards[number]
            status = (store.path / shard.name).stat()
            found.update(f"{shard} {status.st_size} {status.st_mtime_ns}".encode())
    found.update(chosen.tobytes())  # and their order
    return found.hexdigest()


@lru_cache(maxsize=1)
def _source() -> str:
    """Of the source of this package and the libraries that compute: other code, other numbers."""
    root = Path(__file__).resolve().parent.parent
    found = hashlib.sha256(f"numpy {np.__version__} torch {torch.__version__}".encode())
    for path in sorted(root.rglob("*.py")):
        found.update(path.relative_to(root).as_posix().encode())
        found.update(path.read_bytes())
    return found.hexdigest()
