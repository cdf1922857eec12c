"""Images inside arrays to files: PNG for pictures, .npy for volumes, and their table."""

from contextlib import nullcontext
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from medjepa.data.catalog.arrays import ArrayPart, array_items, array_parts
from medjepa.data.catalog.entry import Entry
from medjepa.data.catalog.folder import Folder
from medjepa.data.catalog.items import Item, Reading
from medjepa.data.catalog.table import write_table
from medjepa.data.files import check_free_space, write_atomic
from medjepa.data.prepare_report import Progress
from medjepa.errors import DataError

TABLE = "labels.csv"
_IMAGES_PER_FOLDER = 10_000


def unpack(
    entry: Entry, folder: str | Path, into: str | Path, *, progress: Progress | None = None
) -> list[Item]:
    """Write every image of a set of arrays below `into`, and `labels.csv` beside them.

    One image is in memory at a time; files that are there already are kept, so that the same call
    goes on where it was stopped. Names are part/thousands/number, in the order of the arrays.

    Raises:
        DataError: the set is not one of arrays, or the folder does not hold it.
        InputError: a file is damaged.
    """
    if entry.layout.reader != "arrays":
        raise DataError(f"{entry.title}: its images are files already, nothing is to be unpacked")
    place, target = Folder(Path(folder)), Path(into)
    root = place.root_of(entry.layout)
    if root is None:
        raise DataError(f"{folder}: does not hold {entry.title} ({entry.layout.marks[0]})")
    parts = array_parts(entry, place, root)
    reading = Reading(root=root)
    array_items(entry, parts, reading)
    check_free_space(target, sum(int(np.prod(part.shape)) for part in parts))
    names = []
    shown = progress("unpack", len(reading.items)) if progress else nullcontext(lambda _: None)
    with shown as advance:
        for part in parts:
            for index, array in enumerate(part.images()):
                names.append(_name(part, index))
                _write(target / names[-1], array, part)
                advance(1)
    items = [
        replace(item, path=name, array=None, index=None)
        for item, name in zip(reading.items, names, strict=True)
    ]
    write_table(entry, items, target / TABLE, overwrite=True)
    return items


def _name(part: ArrayPart, index: int) -> str:
    suffix = "npy" if _is_volume(part) else "png"
    return f"{part.split}/{index // _IMAGES_PER_FOLDER:02d}/{part.split}_{index:06d}.{suffix}"


def _is_volume(part: ArrayPart) -> bool:
    return len(part.shape) == 4 and part.shape[3] not in (3, 4)


def _write(path: Path, array: np.ndarray, part: ArrayPart) -> None:
    if path.is_file():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    file = BytesIO()
    if _is_volume(part):
        np.save(file, array, allow_pickle=False)
    else:
        Image.fromarray(array).save(file, format="PNG")
    write_atomic(path, file.getvalue())
