"""Images and their boxes, joined, shared out by patients, and brought to the network's size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from medjepa.config import Config
from medjepa.data.boxes import Boxes, BoxTable, boxes_beside, read_boxes
from medjepa.data.image_files import ImageFiles, Place
from medjepa.data.preprocessing import Pipeline
from medjepa.data.store import Store
from medjepa.data.store_dataset import per_store
from medjepa.data.tables import FileMatcher
from medjepa.data.unread import tell_unread
from medjepa.errors import DataError
from medjepa.evaluation.metrics import Integers
from medjepa.evaluation.segmentation_data import Cases, share_out
from medjepa.evaluation.segmentation_open import parts_and_patients
from medjepa.training.detection import BoxedImage
from medjepa.types import MODALITIES

_BEYOND = 2.0
"""Pixels that a box may stick out of its image: more is another image, or another size."""


@dataclass(frozen=True, kw_only=True)
class BoxCases:
    """Labelled images in the order of the cases.

    Attributes:
        files: reads them.
        places: which file each is.
        boxes: of each, in pixels of the file, inside of it.
        class_names: of all classes, by name.
        modality: index into `MODALITIES` of each.
        layout: how the boxes were written.
        notes: what a reader of the results should know.
    """

    files: ImageFiles
    places: tuple[Place, ...]
    boxes: tuple[Boxes, ...]
    class_names: tuple[str, ...]
    modality: tuple[int, ...]
    layout: str
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.places)

    def store_of(self, case: int) -> int:
        """Number of the store that an image lies in."""
        return self.places[case][0]

    def labels(self, case: int) -> Integers:
        """Class number of each box."""
        numbers = {name: place for place, name in enumerate(self.class_names)}
        return np.asarray([numbers[label] for label in self.boxes[case].labels], np.int64)

    def corners(self, case: int) -> np.ndarray:
        """(M, 4) corners in pixels of the file."""
        return np.asarray(self.boxes[case].corners, np.float64).reshape(-1, 4)

    def factor(self, case: int) -> np.ndarray:
        """(4,) from pixels of the file to those of the network's input, for x, y, x, y."""
        (height, width), (new_height, new_width) = (
            self.files.original(self.places[case]),
            self.files.shape(self.places[case]),
        )
        return np.asarray([new_width / width, new_height / height] * 2)

    def boxed(self, case: int) -> BoxedImage:
        """An image with its boxes, at the network's size."""
        image = torch.from_numpy(np.array(self.files.read(self.places[case])))
        corners = self.corners(case) * self.factor(case)
        return BoxedImage(
            image,
            torch.from_numpy(corners.astype(np.float32)),
            torch.from_numpy(self.labels(case)),
            self.modality[case],
        )


class BoxSubset:
    """Some of the cases, for learning; see `training.detection.BoxSource`."""

    def __init__(self, cases: BoxCases, chosen: Integers) -> None:
        self.cases, self.chosen = cases, chosen

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, index: int) -> BoxedImage:
        return self.cases.boxed(int(self.chosen[index]))


class Joined(NamedTuple):
    """Boxes of the images that have a row: (place, name as the source writes it)."""

    places: list[Place]
    names: list[str]


def open_boxes(
    config: Config, stores: Sequence[Store], pipeline: Pipeline, *, longer_side: int
) -> tuple[Cases, BoxCases]:
    """Join images with their boxes and their table.

    Args:
        config: sections data and finetune.
        stores: prepared images.
        pipeline: as pre-training saw them.
        longer_side: pixels to which they are brought.

    Raises:
        DataError: no boxes are there, they do not fit the images, or the table has not the column.
    """
    table = read_boxes(_source(config))
    files = ImageFiles(stores, pipeline, longer_side=longer_side)
    joined = _join(table, files)
    if not joined.places:
        raise DataError("no image has the name that a row of the boxes gives (boxes=)")
    column, parts, groups = parts_and_patients(config, stores, joined.places)
    if column is None and table.parts:
        column, parts = "ImageSets/Main", [table.parts.get(name, "") for name in joined.names]
    cases = share_out(
        [stores[store].keys[index] for store, index in joined.places],
        groups,
        parts,
        column=column,
        seed=config.seed,
    )
    kinds = per_store(config.data.kinds_of_image, len(stores))
    boxes = [
        _inside(table.images[name], files.original(place), name)
        for place, name in zip(joined.places, joined.names, strict=True)
    ]
    notes = [*tell_unread(stores), *table.notes]
    if without := len(files.places) - len(joined.places):
        notes.append(f"{without:,} images have no row in the boxes and were left out.")
    if missing := len(table.images) - len(joined.places):
        notes.append(f"{missing:,} images that have boxes are not among the images.")
    if nowhere := sum(not part for part in cases.parts):
        notes.append(f"{nowhere:,} images belong to no part of the split and were left out.")
    return cases, BoxCases(
        files=files,
        places=tuple(joined.places),
        boxes=tuple(boxes),
        class_names=tuple(sorted({label for own in boxes for label in own.labels})),
        modality=tuple(
            MODALITIES.index(kinds[store] or stores[store].items[index].modality)
            for store, index in joined.places
        ),
        layout=table.layout,
        notes=tuple(notes),
    )


def _source(config: Config) -> str:
    """The boxes that were asked for, or those that lie beside the images."""
    if config.finetune.boxes:
        return config.finetune.boxes
    found = [boxes_beside(source) for source in config.data.sources]
    there = [str(one) for one in found if one is not None]
    if len(there) != 1:
        raise DataError(
            "boxes=: name the CSV of the boxes, or a folder of Pascal VOC files; none lies beside "
            "the images"
            if not there
            else "boxes=: several folders Annotations; name one"
        )
    return there[0]


def _join(table: BoxTable, files: ImageFiles) -> Joined:
    """Each image of the boxes with its file."""
    places: dict[Place, str] = {}
    for number, store in enumerate(files.stores):
        own = {store.keys[index]: index for owner, index in files.places if owner == number}
        records = {r.path: r for r in store.private_map().files if r.key in own}
        matcher = FileMatcher(list(records))
        for name in table.images:
            path = matcher.find(name)
            if path is None:
                continue
            place = (number, own[records[path].key])
            if place in places and places[place] != name:
                if table.images[places[place]] != table.images[name]:
                    raise DataError(
                        f"boxes: “{places[place]}” and “{name}” are one image with other boxes"
                    )
                continue
            places[place] = name
    ordered = sorted(places)
    return Joined(ordered, [places[place] for place in ordered])


def _inside(boxes: Boxes, size: tuple[int, int], name: str) -> Boxes:
    """Boxes cut to their image."""
    height, width = size
    if boxes.size is not None and boxes.size != size:
        raise DataError(
            f"boxes of “{name}” are of an image of {boxes.size[0]} x {boxes.size[1]} pixels (rows "
            f"x columns), the file has {height} x {width}"
        )
    corners, labels = [], []
    for (x0, y0, x1, y1), label in zip(boxes.corners, boxes.labels, strict=True):
        if x0 < -_BEYOND or y0 < -_BEYOND or x1 > width + _BEYOND or y1 > height + _BEYOND:
            raise DataError(
                f"boxes of “{name}”: {x0:g}, {y0:g} to {x1:g}, {y1:g} is not in its image of "
                f"{width} x {height} pixels: are they of another size of it?"
            )
        corners.append((max(x0, 0.0), max(y0, 0.0), min(x1, width), min(y1, height)))
        labels.append(label)
    return Boxes(tuple(corners), tuple(labels), size)


def count_labels(cases: BoxCases, chosen: Sequence[int]) -> Mapping[str, int]:
    """How many boxes of each class some cases hold."""
    count = dict.fromkeys(cases.class_names, 0)
    for case in chosen:
        for label in cases.boxes[case].labels:
            count[label] += 1
    return count
