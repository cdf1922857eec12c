"""Images at their own resolution, or all brought to one: read from the files of prepared stores.

A store holds images at the one size that pre-training looks at; where each pixel has a label, or a
place in the image matters, more of the file is needed.
"""

from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from medjepa.data.decode import read
from medjepa.data.preprocessing import Pipeline
from medjepa.data.store import Store
from medjepa.errors import DataError, InputError

_MOST_BYTES = 1 << 30
Place = tuple[int, int]
"""(number of the store, index in it)"""


class ImageFiles:
    """The images of some stores, read when they are asked for; up to `most_bytes` are kept.

    Values are those that `pipeline` gives, in [0, 1], but nothing is cropped, and the aspect stays.

    Args:
        stores: prepared stores with their private folders, which know the files.
        pipeline: as pre-training read them.
        longer_side: pixels that the longer side is brought to; None leaves images as they are.
        most_bytes: of decoded images that are kept in memory.
    """

    def __init__(
        self,
        stores: Sequence[Store],
        pipeline: Pipeline,
        *,
        longer_side: int | None = None,
        most_bytes: int = _MOST_BYTES,
    ) -> None:
        self.stores, self.longer_side = tuple(stores), longer_side
        self._pipeline = replace(
            pipeline, fit="stretch", image_size=None, intensity=pipeline.intensity.without_crops()
        )
        self.channels = pipeline.channels
        self._paths = [_paths_of(store) for store in self.stores]
        self._most_bytes, self._num_bytes = most_bytes, 0
        self._kept: OrderedDict[Place, np.ndarray] = OrderedDict()
        self._originals: dict[Place, tuple[int, int]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": OrderedDict(), "_num_bytes": 0}

    @property
    def places(self) -> list[Place]:
        """Every image that is a file of its own; slices and frames of one file are none."""
        found = []
        for number, store in enumerate(self.stores):
            count = Counter(store.keys)
            found += [
                (number, index)
                for index, key in enumerate(store.keys)
                if count[key] == 1 and key in self._paths[number]
            ]
        return found

    def path(self, place: Place) -> Path:
        """The file of an image."""
        store, index = place
        return self._paths[store][self.stores[store].keys[index]]

    def read(self, place: Place) -> np.ndarray:
        """A whole image, float32 (C, H, W) in [0, 1]; it cannot be written to.

        Raises:
            InputError: the file cannot be read, or is no image.
        """
        if place in self._kept:
            self._kept.move_to_end(place)
            return self._kept[place]
        path = self.path(place)
        if not path.is_file():
            raise DataError(f"{path}: the file of a prepared image is gone; put it back")
        image = read(path)
        if image.axes != "yx":
            raise InputError(str(path), f"a 2-D image is needed, this one has axes {image.axes}")
        height, width = (int(n) for n in image.array.shape[-2:])
        self._originals[place] = height, width
        pipeline = replace(self._pipeline, size=self.size_of((height, width)))
        values = np.ascontiguousarray(pipeline(image), np.float32)
        values.flags.writeable = False
        self._kept[place] = values
        self._num_bytes += values.nbytes
        while self._num_bytes > self._most_bytes and len(self._kept) > 1:
            self._num_bytes -= self._kept.popitem(last=False)[1].nbytes
        return values

    def original(self, place: Place) -> tuple[int, int]:
        """(H, W) of an image in its file."""
        if place not in self._originals:
            self.read(place)
        return self._originals[place]

    def shape(self, place: Place) -> tuple[int, int]:
        """(H, W) of an image as it is read here."""
        return self.size_of(self.original(place))

    def spacing(self, place: Place) -> tuple[float | None, float | None]:
        """Step of the rows and columns that are read here in mm; None where the file says none."""
        store, index = place
        down, right = self.stores[store].items[index].spacing
        (height, width), (new_height, new_width) = self.original(place), self.shape(place)
        return (
            None if down is None else down * height / new_height,
            None if right is None else right * width / new_width,
        )

    def size_of(self, original: tuple[int, int]) -> tuple[int, int]:
        """The size at which an image of this size is read: the aspect stays."""
        if self.longer_side is None:
            return original
        factor = self.longer_side / max(original)
        height, width = (max(1, round(side * factor)) for side in original)
        return height, width


def _paths_of(store: Store) -> dict[str, Path]:
    """The file of each key of a store."""
    private = store.private_map()
    return {
        record.key: Path(private.sources[record.source]) / record.path
        for record in private.files
        if record.key
    }
