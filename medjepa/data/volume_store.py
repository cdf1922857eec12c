"""A prepared store of volumes and clips: any part of one is read without the rest."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from medjepa.data.intensity import gain_and_bias
from medjepa.data.modality import IntensityPlan
from medjepa.data.private_map import PrivateMap
from medjepa.data.shard_files import TensorFile
from medjepa.data.store_index import Shard, read_index
from medjepa.errors import DataError

Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class VolumeItem:
    """One volume or clip of a store.

    Attributes:
        shard: which shard.
        row: the name of its array there.
        key: hash of the content of its file, or of its series' files.
        axes: "zyx", "tyx" or "tzyx".
        shape: (C, *axes) as it is stored.
        spacing: for each axis in mm (s for t), None where the file does not say.
        directions: unit vectors of z, y, x in patient coordinates (as `MedicalImage`), or None.
        position: of the first voxel's centre in mm, or None.
        group: keyed hash of the patient (or lesion, study), "" if none is known.
        source: which of the prepared folders.
        modality: one of `MODALITIES`.
        scale: value = stored * scale + offset.
        offset: see `scale`.
        window: (low, high) values shown as 0 and 1.
        times: of the frames of a clip in s, where they lie unevenly; None: at the mean spacing.
    """

    shard: int
    row: int
    key: str
    axes: str
    shape: tuple[int, ...]
    spacing: tuple[float | None, ...]
    directions: tuple[Vector, ...] | None
    position: Vector | None
    group: str
    source: int
    modality: str
    scale: float
    offset: float
    window: tuple[float, float]
    times: tuple[float, ...] | None = None


def open_volumes(path: str | Path) -> "VolumeStore":
    """Open a store that was prepared with `dimensions=3`.

    Raises:
        DataError: there is none, or it holds images.
    """
    return VolumeStore(Path(path))


class VolumeStore:
    """A prepared store of volumes, read through memory maps; it can be sent to worker processes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        index = read_index(path)
        self.settings: dict[str, Any] = index["settings"]
        if self.settings["dimensions"] != 3:
            raise DataError(
                f"{path}: a store of images, not of volumes or clips; those are prepared with "
                "data.dimensions=3 (in Python this one is opened by open_store)"
            )
        self.shards = tuple(Shard(**shard) for shard in index["shards"])
        self.asked: frozenset[str | None] = frozenset(index["asked"].values())
        self._columns: dict[str, list[Any]] = index["items"]
        self._files: dict[int, TensorFile] = {}

    def __len__(self) -> int:
        return len(self._columns["key"])

    def __getstate__(self) -> dict[str, Any]:
        # A memory map cannot travel to another process; it is opened again there on first use.
        return {**self.__dict__, "_files": {}}

    @cached_property
    def items(self) -> tuple[VolumeItem, ...]:
        """Every volume, in the order of the indices."""
        # Stores that were made before times were kept have no such column.
        given = {"times": [None] * len(self), **self._columns}
        columns = [[_tuples(v) for v in given[n]] for n in VolumeItem.__dataclass_fields__]
        return tuple(VolumeItem(*values) for values in zip(*columns, strict=True))

    @cached_property
    def intensity(self) -> IntensityPlan:
        """What was done before resampling, by kind of image."""
        return IntensityPlan.from_dict(self.settings["intensity"])

    @property
    def keys(self) -> list[str]:
        """Hash of each item's content."""
        return self._columns["key"]

    @property
    def groups(self) -> list[str]:
        """Keyed hash of each item's patient, "" where none is known."""
        return self._columns["group"]

    def private_map(self) -> PrivateMap:
        """The way back to files and patients; only its owner can read it.

        Raises:
            DataError: the store was copied without its private folder.
        """
        return PrivateMap.read(self.path)

    def read(self, index: int) -> np.ndarray:
        """The whole volume (C, *axes) as it is stored."""
        shape = self._columns["shape"][index]
        return self._read(index, [slice(0, length) for length in shape])

    def read_crop(self, index: int, start: Sequence[int], shape: Sequence[int]) -> np.ndarray:
        """A part of a volume, (C, *shape) as it is stored; the rest is not read.

        `start` is its first voxel, one number for each of the item's axes.

        Raises:
            DataError: the crop is empty or not inside the volume.
        """
        channels, *inside = self._columns["shape"][index]
        if not (
            len(start) == len(shape) == len(inside)
            and all(
                first >= 0 and length > 0 and first + length <= whole
                for first, length, whole in zip(start, shape, inside, strict=True)
            )
        ):
            raise DataError(
                f"a crop of {tuple(shape)} at {tuple(start)} is not inside item {index}, "
                f"whose {self._columns['axes'][index]} are {inside}"
            )
        box = [slice(int(s), int(s + n)) for s, n in zip(start, shape, strict=True)]
        return self._read(index, [slice(0, channels), *box])

    def show(self, index: int, stored: np.ndarray) -> np.ndarray:
        """Stored values of one item as float32 in [0, 1], by the window of its whole volume."""
        low, high = self._columns["window"][index]
        gain, bias = gain_and_bias(
            *(
                np.asarray([value], dtype=np.float64)
                for value in (
                    self._columns["scale"][index], self._columns["offset"][index], low, high
                )
            )
        )  # fmt: skip
        values = np.multiply(stored, gain[0], dtype=np.float32)
        values += bias[0]
        return np.asarray(np.clip(values, 0.0, 1.0, out=values))

    def _read(self, index: int, box: Sequence[slice]) -> np.ndarray:
        shard = self._columns["shard"][index]
        if shard not in self._files:
            self._files[shard] = TensorFile(self.path / self.shards[shard].name)
            self._files[shard].expect_parts()
        return self._files[shard].read(str(self._columns["row"][index]), box)


def _tuples(value: object) -> Any:  # noqa: ANN401 - the columns differ in type
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value
