"""Label maps of the volumes of a store, on exactly the grid that the store has them on."""

import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from medjepa.data.crop_places import fill_box
from medjepa.data.decode import read
from medjepa.data.label_names import names_beside
from medjepa.data.label_sources import label_paths
from medjepa.data.placement import Placement, distance_mm
from medjepa.data.store import Store
from medjepa.data.volume_items import on_grid, resampled_shape
from medjepa.data.volume_store import VolumeStore
from medjepa.data.volumetric import canonical
from medjepa.errors import ConfigError, DataError, InputError

BRATS_REGIONS: dict[str, tuple[int, ...]] = {"WT": (1, 2, 4), "TC": (1, 4), "ET": (4,)}
"""Whole tumour, tumour core and enhancing tumour of BraTS 2017 to 2021; they overlap."""
_TOLERANCE = 0.25
_MOST_LABEL = 255
_MOST_BYTES = 1 << 30
_logger = logging.getLogger(__name__)


def open_label_maps(
    store: VolumeStore,
    source: str | Path | None = None,
    *,
    table: str | Path | None = None,
    regions: Mapping[str, Sequence[int]] | None = None,
    names: Mapping[int, str] | None = None,
    most_bytes: int = _MOST_BYTES,
) -> "LabelMaps":
    """Find the label map of each volume of a store.

    `source` is a folder of files named as the images, or a column of the table that names them.
    None looks beside the images: labelsTr beside imagesTr, labels beside images, or the same name
    with "seg" or "mask". `regions` are unions of labels, which may overlap; `names` of the labels
    are else those of a dataset.json.

    Raises:
        DataError: no volume has a label map, several fit one, or the store came without its
            private folder.
    """
    paths = label_paths(store, source, table)
    if not paths:
        where = "beside the images" if source is None else f"in {source}"
        raise DataError(
            f"{store.path}: no label map was found {where}; name their folder, or a table's column"
        )
    first = next(iter(paths.values()))
    known = names_beside(first) if names is None else dict(names)
    return LabelMaps(store, paths, known, regions, most_bytes=most_bytes)


class LabelMaps:
    """Label maps by the index of their volume in the store, read when they are asked for.

    Up to `most_bytes` of them are kept in memory, in 8 bits; a worker process has its own.

    Attributes:
        store: whose volumes they are of.
        indices: of the volumes that have one, ascending.
        names: of each label by its value, 0 among them where it is known; or of the regions.
        regions: the labels of each region, None without regions.
    """

    def __init__(
        self,
        store: Store | VolumeStore,
        paths: Mapping[int, Path],
        names: Mapping[int, str],
        regions: Mapping[str, Sequence[int]] | None = None,
        *,
        most_bytes: int = _MOST_BYTES,
    ) -> None:
        self.store = store
        self._paths = dict(sorted(paths.items()))
        self.regions = None if regions is None else {n: tuple(v) for n, v in regions.items()}
        if self.regions is not None and not all(self.regions.values()):
            raise ConfigError("regions: each is a list of labels, [1, 2, 4]; one is empty")
        self.label_names = dict(sorted(names.items()))
        self._most_bytes, self._num_bytes = most_bytes, 0
        self._kept: OrderedDict[int, np.ndarray] = OrderedDict()

    def __len__(self) -> int:
        return len(self._paths)

    def __contains__(self, index: int) -> bool:
        return index in self._paths

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": OrderedDict(), "_num_bytes": 0}

    @property
    def indices(self) -> list[int]:
        """Numbers of the volumes that have a label map, ascending."""
        return list(self._paths)

    @property
    def names(self) -> list[str]:
        """Names of the regions; without regions, of the labels above 0 in the order of values."""
        if self.regions is not None:
            return list(self.regions)
        return [name for value, name in self.label_names.items() if value]

    @property
    def values(self) -> list[int]:
        """The labels above 0 that `names` names; empty where nobody says, and with regions."""
        return [] if self.regions is not None else [v for v in self.label_names if v]

    def find_values(self) -> list[int]:
        """The labels above 0 that occur anywhere: every file is read."""
        found: set[int] = set()
        for index in self.indices:
            found |= set(np.flatnonzero(np.bincount(self._labels(index).ravel())).tolist())
        return sorted(found - {0})

    def path(self, index: int) -> Path:
        """The file of a volume's label map.

        Raises:
            DataError: it has none.
        """
        if index not in self._paths:
            raise DataError(f"{self.store.path}: item {index} has no label map")
        return self._paths[index]

    def read(self, index: int) -> np.ndarray:
        """uint8 (Z, Y, X) of labels on the grid of item `index`; with regions (R, Z, Y, X) of 0, 1.

        Raises:
            DataError: the item has none.
            InputError: the file cannot be read, holds what is no label, or does not lie on the
                image's grid.
        """
        return self._as_asked(self._labels(index))

    def read_crop(self, index: int, start: Sequence[int], size: Sequence[int]) -> np.ndarray:
        """A part, likewise; outside of the volume it is 0, as the padding of a crop is."""
        labels = self._labels(index)
        out = np.zeros((1, *size), dtype=np.uint8)
        fill_box(
            out,
            lambda first, lengths: labels[
                tuple(slice(a, a + n) for a, n in zip(first, lengths, strict=True))
            ][None],
            labels.shape,
            start,
        )
        return self._as_asked(out[0])

    def _as_asked(self, labels: np.ndarray) -> np.ndarray:
        if self.regions is None:
            return labels
        return np.stack([np.isin(labels, v) for v in self.regions.values()]).astype(np.uint8)

    def _load(self, index: int) -> np.ndarray:
        assert isinstance(self.store, VolumeStore)
        return read_label_map(self.path(index), self.store, index)

    def _labels(self, index: int) -> np.ndarray:
        if index in self._kept:
            self._kept.move_to_end(index)
            return self._kept[index]
        labels = self._load(index)
        labels.flags.writeable = False
        self._kept[index] = labels
        self._num_bytes += labels.nbytes
        while self._num_bytes > self._most_bytes and len(self._kept) > 1:
            self._num_bytes -= self._kept.popitem(last=False)[1].nbytes
        return labels


def read_label_map(path: Path, store: VolumeStore, index: int) -> np.ndarray:
    """Read one file, turn and resample it as the store did with the image (nearest label).

    Returns uint8 (Z, Y, X) on the grid of the item.

    Raises:
        InputError: it is no volume of whole numbers from 0 to 255, or not on the image's grid.
    """
    image = read(path)
    if image.axes != "zyx" or image.array.shape[0] != 1:
        raise InputError(str(path), f"a label map is a volume (z, y, x), this has {image.axes}")
    image = canonical(image)
    labels = whole_numbers(str(path), image.array[0])
    spacing = store.settings["spacing"]
    shape = labels.shape if spacing is None else resampled_shape(image, tuple(spacing))
    item = store.items[index]
    if item.axes != "zyx":
        raise InputError(str(path), f"label maps are of volumes, item {index} has {item.axes}")
    _check_grid(
        replace(Placement.of(on_grid(image, shape)), shape=shape),
        Placement.of(item),
        labels.shape,
        str(path),
    )
    # The middle of each new voxel, counted in old ones: both grids have one extent.
    places = [
        (np.arange(new) * 2 + 1) * old // (2 * new)
        for old, new in zip(labels.shape, shape, strict=True)
    ]
    return np.ascontiguousarray(labels[np.ix_(*places)])


def _check_grid(found: Placement, wanted: Placement, in_file: tuple[int, ...], path: str) -> None:
    """Refuse a label map that does not lie on its image."""
    if found.shape != wanted.shape:
        swapped = sorted(found.shape) == sorted(wanted.shape)
        raise InputError(
            path,
            f"the label map has the shape {found.shape} (z, y, x; {in_file} in the file), its "
            f"image {wanted.shape}{': its axes are swapped' if swapped else ''}",
        )
    apart = distance_mm(found, wanted)
    if apart is None:
        _logger.debug("%s: it does not say where it lies: compared by its shape alone", path)
        return
    if apart > _TOLERANCE * min(step or 1.0 for step in wanted.spacing):
        raise InputError(
            path,
            f"the label map lies up to {apart:.1f} mm from its image: another spacing, direction "
            "or position in its header; give both the same geometry",
        )


def whole_numbers(path: str, array: np.ndarray) -> np.ndarray:
    """Labels in 8 bits.

    Raises:
        InputError: they are no whole numbers from 0 to 255; `path` is named.
    """
    if array.dtype == np.uint8:
        return array
    low, high = array.min(), array.max()
    if low < 0 or high > _MOST_LABEL:
        raise InputError(path, f"labels are 0 to {_MOST_LABEL}, this file has {low:g} to {high:g}")
    labels = array.astype(np.uint8)
    if array.dtype.kind == "f" and not np.array_equal(labels, array):
        raise InputError(path, "holds fractions: it was resampled as an image, or is no label map")
    return labels
