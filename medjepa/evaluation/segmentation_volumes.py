"""Volumes and their label maps as a study reads them: a part at a time, from prepared stores."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from medjepa.data.crop_places import Crop
from medjepa.data.label_maps import LabelMaps
from medjepa.data.volume_dataset import VolumeDataset
from medjepa.errors import ConfigError, DataError
from medjepa.evaluation.dice import Structure
from medjepa.evaluation.metrics import Integers
from medjepa.evaluation.segmentation_run import label_values
from medjepa.training.segmentation_crops import CropSource, SegmentationCrops


class VolumeCases:
    """The labelled volumes of a study; see `segmentation_run.Volumes`.

    `images` holds the labelled volumes in the order of the cases, `maps` are the label maps of its
    stores in turn. With `regions` the truth is (R, *spatial) masks, which may overlap.
    """

    def __init__(
        self,
        images: VolumeDataset,
        maps: Sequence[LabelMaps],
        structures: Sequence[Structure],
        *,
        regions: bool = False,
    ) -> None:
        self.images, self.maps = images, tuple(maps)
        self.structures, self.regions = tuple(structures), regions
        self._items = [images.items[number] for number in images.indices]

    def __len__(self) -> int:
        return len(self._items)

    def shape(self, case: int) -> tuple[int, ...]:
        """Size of a volume (z, y, x)."""
        shape: tuple[int, ...] = self._items[case].shape
        return shape

    def store_of(self, case: int) -> int:
        """Number of the store that a volume lies in."""
        return int(self._items[case].store)

    def spacing(self, case: int) -> tuple[float, ...]:
        """Step of each axis in mm; 1 where it is unknown."""
        return tuple(step or 1.0 for step in self._items[case].spacing)

    def known_spacing(self, case: int) -> tuple[float, ...]:
        """Step of each axis in mm; NaN where it is unknown."""
        return tuple(math.nan if step is None else step for step in self._items[case].spacing)

    @property
    def distance_unit(self) -> str:
        """The unit of distances: voxels as soon as one spacing is unknown."""
        known = all(step for item in self._items for step in item.spacing)
        return "mm" if known else "voxels where mm are unknown"

    def turned(self, case: int) -> bool:
        """Whether the axes are known to grow to the patient's head, front and right."""
        item = self._items[case]
        return self.images.stores[item.store].items[item.index].directions is not None

    def read(self, case: int, start: Sequence[int], shape: Sequence[int]) -> NDArray[np.float32]:
        """A part of a volume, (C, *shape) in [0, 1]."""
        first, second, third = (int(n) for n in start)
        depth, height, width = (int(n) for n in shape)
        number = int(self.images.indices[case])
        return self.images.read_crop(Crop(number, (first, second, third), (depth, height, width)))

    def truth(self, case: int) -> NDArray[np.uint8]:
        """A whole label map (*spatial), or regions (R, *spatial), on the volume's grid."""
        item = self._items[case]
        return np.asarray(self.maps[item.store].read(item.index))

    def crops(self, train: Integers, *, window: Sequence[int], seed: int) -> CropSource:
        """Crops of some cases, for learning."""
        first, second, third = window
        chosen = VolumeDataset(
            self.images.stores,
            crop=(first, second, third),
            channels=self.images.channels,
            indices=self.images.indices[train],
            seed=seed,
        )
        values = None if self.regions else label_values(self.structures).tolist()
        return SegmentationCrops(chosen, self.maps, values)


def structures_from(
    maps: Sequence[LabelMaps],
    values: Sequence[int],
    names: Sequence[str],
    regions: Mapping[str, Sequence[int]] | None,
) -> tuple[Structure, ...]:
    """What is scored: the asked regions, or each label value under its name.

    Args:
        maps: of each store, for the names that the data give.
        values: labels above 0 that occur, ascending.
        names: of the label values in ascending order; empty takes what the data say.
        regions: name -> label values; None scores each value by itself.

    Raises:
        ConfigError: not as many names as labels.
        DataError: no label above 0 is there.
    """
    if regions is not None:
        return tuple(Structure(name, tuple(values)) for name, values in regions.items())
    if not values:
        raise DataError("the label maps hold nothing but background (0)")
    if names and len(names) != len(values):
        raise ConfigError(
            f"finetune.names: {len(names)} names for the label values "
            f"{', '.join(str(value) for value in values)}; give one for each"
        )
    known = {value: name for own in maps for value, name in own.label_names.items()}
    found = [known.get(value, f"label {value}") for value in values]
    return tuple(
        Structure(name, (value,)) for name, value in zip(names or found, values, strict=True)
    )


def regions_from(texts: Sequence[str]) -> dict[str, tuple[int, ...]] | None:
    """Read regions as the settings give them, "WT:1+2+4"; None where there are none.

    Raises:
        ConfigError: one is not written so.
    """
    regions: dict[str, tuple[int, ...]] = {}
    for text in texts:
        name, colon, values = text.partition(":")
        numbers = values.split("+")
        if not (name.strip() and colon) or not all(n.strip().isdigit() for n in numbers):
            raise ConfigError(
                f"finetune.regions: {text!r} is not NAME:VALUE+VALUE, as in [WT:1+2+4,TC:1+4,ET:4]"
            )
        regions[name.strip()] = tuple(int(n) for n in numbers)
    return regions or None
