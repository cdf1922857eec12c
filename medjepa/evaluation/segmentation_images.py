"""Images and their masks as a study reads them: a part at a time, from their files."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medjepa.data.crop_places import fill_box
from medjepa.data.image_files import ImageFiles, Place
from medjepa.data.label_maps import LabelMaps
from medjepa.evaluation.dice import Structure
from medjepa.evaluation.metrics import Integers
from medjepa.evaluation.segmentation_run import label_values
from medjepa.training.segmentation_crops import CropSource
from medjepa.training.segmentation_image_crops import Box, ImageCrops


class ImageCases:
    """The labelled images of a study; see `segmentation_run.Volumes`.

    `places` are the images in the order of the cases, `modality` the kind of each, `maps` the masks
    of the stores in turn. With `regions` the truth is (R, H, W) masks, which may overlap.
    """

    def __init__(
        self,
        files: ImageFiles,
        places: Sequence[Place],
        maps: Sequence[LabelMaps],
        structures: Sequence[Structure],
        *,
        modality: Sequence[int],
        regions: bool = False,
    ) -> None:
        self.files, self.places, self.maps = files, tuple(places), tuple(maps)
        self.structures, self.regions = tuple(structures), regions
        self.modality = tuple(modality)

    def __len__(self) -> int:
        return len(self.places)

    def shape(self, case: int) -> tuple[int, ...]:
        """Size of an image (H, W)."""
        return self.files.shape(self.places[case])

    def store_of(self, case: int) -> int:
        """Number of the store that an image lies in."""
        return self.places[case][0]

    def spacing(self, case: int) -> tuple[float, ...]:
        """Step of each axis in mm; 1 where one is unknown, for a pixel is then the unit."""
        down, right = self.files.spacing(self.places[case])
        return (down, right) if down and right else (1.0, 1.0)

    def known_spacing(self, case: int) -> tuple[float, ...]:
        """Step of each axis in mm; NaN where it is unknown."""
        down, right = self.files.spacing(self.places[case])
        return (down or math.nan, right or math.nan)

    @property
    def distance_unit(self) -> str:
        """The unit of distances: mm if every spacing is known, pixels if none is."""
        steps = [self.files.stores[store].items[index].spacing for store, index in self.places]
        known = [bool(down and right) for down, right in steps]
        if all(known):
            return "mm"
        return "pixels where mm are unknown" if any(known) else "pixels"

    def turned(self, case: int) -> bool:
        """Whether rows and columns are to be shown turned round: of images they never are."""
        return False

    def read(self, case: int, start: Sequence[int], shape: Sequence[int]) -> NDArray[np.float32]:
        """A part of an image, (C, *shape) in [0, 1]; 0 beyond its border."""
        whole = self.files.read(self.places[case])
        out = np.zeros((len(whole), *shape), np.float32)
        fill_box(out, Box(whole), whole.shape[1:], start)
        return out

    def truth(self, case: int) -> NDArray[np.uint8]:
        """A whole label map (H, W), or regions (R, H, W)."""
        store, index = self.places[case]
        return np.asarray(self.maps[store].read(index))

    def crops(self, train: Integers, *, window: Sequence[int], seed: int) -> CropSource:
        """Crops of some cases, for learning."""
        return ImageCrops(
            self.files,
            [self.places[case] for case in train],
            self.maps,
            None if self.regions else label_values(self.structures).tolist(),
            window=window,
            modality=[self.modality[case] for case in train],
            seed=seed,
        )
