"""Masks of images: one file for each, on the image's own grid, read on the grid that is asked for.

The number that a pixel holds is its class; masks drawn as 0 and 255 have the class 255.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from medjepa.data.decode import read
from medjepa.data.image_files import ImageFiles
from medjepa.data.label_maps import LabelMaps, whole_numbers
from medjepa.data.label_names import names_beside
from medjepa.data.label_sources import label_paths
from medjepa.errors import DataError, InputError

MOST_VALUES = 64
"""More different values than this are no classes: the file was saved as a picture."""


class ImageLabelMaps(LabelMaps):
    """Label maps of the images of one store, as `LabelMaps` of volumes.

    `background` is the value that becomes 0; where it is not 0, what was 0 takes its value.
    """

    def __init__(
        self,
        files: ImageFiles,
        number: int,
        paths: Mapping[int, Path],
        names: Mapping[int, str],
        regions: Mapping[str, Sequence[int]] | None = None,
        *,
        background: int = 0,
    ) -> None:
        super().__init__(files.stores[number], paths, names, regions)
        self._files, self._number, self._background = files, number, background

    def _load(self, index: int) -> np.ndarray:
        path, place = self.path(index), (self._number, index)
        labels = read_mask(path)
        if labels.shape != self._files.original(place):
            raise InputError(
                str(path),
                f"the mask has {labels.shape[0]} x {labels.shape[1]} pixels (rows x columns), its "
                "image {} x {}: save both at one size".format(*self._files.original(place)),
            )
        if self._background:
            swapped = labels.copy()
            swapped[labels == self._background] = 0
            swapped[labels == 0] = self._background
            labels = swapped
        # The middle of each new pixel, counted in old ones: both grids have one extent.
        rows, columns = (
            (np.arange(new) * 2 + 1) * old // (2 * new)
            for old, new in zip(labels.shape, self._files.shape(place), strict=True)
        )
        return np.ascontiguousarray(labels[np.ix_(rows, columns)])


def open_image_labels(
    files: ImageFiles,
    number: int,
    source: str | Path | None = None,
    *,
    table: str | Path | None = None,
    regions: Mapping[str, Sequence[int]] | None = None,
    background: int = 0,
) -> ImageLabelMaps:
    """Find the mask of each image of a store; arguments as `open_label_maps`.

    Raises:
        DataError: no image has a mask, or several fit one.
    """
    store = files.stores[number]
    own = {index for owner, index in files.places if owner == number}
    paths = {
        index: path
        for index, path in label_paths(store, source, table).items()
        if index in own and path != files.path((number, index))
    }
    if not paths:
        where = "beside the images" if source is None else f"by labels={source}"
        raise DataError(
            f"no mask was found {where}; name their folder, a table's column, or how their names "
            "follow from the image's, as labels='{name}_mask.png'"
        )
    names = names_beside(next(iter(paths.values())))
    return ImageLabelMaps(files, number, paths, names, regions, background=background)


def read_mask(path: Path) -> np.ndarray:
    """Read the classes of an image's pixels, uint8 (H, W).

    Raises:
        InputError: it is coloured, or its values are no classes.
    """
    image = read(path)
    if image.axes != "yx":
        raise InputError(str(path), f"a mask is an image, this has axes {image.axes}")
    array = image.array
    if any(not np.array_equal(array[0], other) for other in array[1:3]):
        raise InputError(
            str(path), "a coloured mask: save the number of each pixel's class in one channel"
        )
    labels = whole_numbers(str(path), array[0])
    if (num := np.count_nonzero(np.bincount(labels.ravel()))) > MOST_VALUES:
        raise InputError(
            str(path),
            f"{num} different values, which are no classes: it was saved with loss (JPEG), or "
            "resized as a picture",
        )
    return labels
