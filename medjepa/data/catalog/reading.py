"""A folder of a known set to its images, with labels, groups and the official split."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from medjepa.data.catalog.arrays import array_items, array_parts
from medjepa.data.catalog.decathlon import decathlon_items
from medjepa.data.catalog.entry import Entry, Layout
from medjepa.data.catalog.folder import Folder
from medjepa.data.catalog.items import Item, Reading
from medjepa.data.catalog.joining import (
    Image,
    check_lists,
    images_below,
    join_lists,
    join_masks,
    join_sidecars,
    join_tables,
)
from medjepa.data.catalog.labelling import group_of, known_part, label_of, part_of
from medjepa.errors import DataError


def read_items(entry: Entry, folder: str | Path) -> Reading:
    """List the images of a set as its entry describes them; nothing is decoded.

    What does not fit is collected in the reading, so that a check can name all of it.

    Raises:
        DataError: the folder does not hold this set at all.
        InputError: a table, list or side file is damaged.
    """
    place = Folder(Path(folder))
    root = place.root_of(entry.layout)
    if root is None:  # perhaps all but a table is there: then say what is missing
        layouts = [Layout(marks=(text,)) for text in entry.layout.images]
        root = next((r for one in layouts if (r := place.root_of(one)) is not None), None)
    if root is None:
        raise DataError(_not_this_set(entry, place))
    reading = Reading(root=root)
    if entry.layout.reader == "arrays":
        array_items(entry, array_parts(entry, place, root), reading)
    elif entry.layout.reader == "decathlon":
        decathlon_items(entry, place, root, reading)
    else:
        _read_files(entry, place, reading)
    return reading


def recognise(folder: str | Path, known: Iterable[Entry]) -> list[Entry]:
    """The entries whose layout is found in the folder; none, one, or several that look alike."""
    place = Folder(Path(folder))
    return [e for e in known if place.root_of(e.layout, sampled=True) is not None]


def _read_files(entry: Entry, folder: Folder, reading: Reading) -> None:
    files = folder.below(reading.root)
    images = images_below(entry, files, reading)
    join_tables(entry, folder, reading.root, images, reading)
    join_sidecars(entry, folder, reading.root, images)
    join_masks(entry, files, images)
    join_lists(entry, folder, reading.root, images, reading)
    check_lists(images)
    reading.items = [_item(entry, image, reading) for image in images]


def _item(entry: Entry, image: Image, reading: Reading) -> Item:
    label = label_of(entry, image.fields, image.rows)
    if label.strange:
        reading.strange.append(f"{image.path}: {label.strange}")
    part = part_of(entry, image.fields, image.rows, image.table_part)
    if entry.split.kind == "lists":
        part = image.list_parts[0] if image.list_parts else None
    part = part or entry.split.rest or None
    if not known_part(part):
        reading.strange.append(f"{image.path}: part {part!r} of the split")
        part = None
    return Item(
        path=reading.root + image.path,
        labels=label.labels,
        findings=label.findings or {},
        group=group_of(entry, image.fields, image.rows),
        split=part,
        masks=tuple(reading.root + path for path in sorted(image.masks)),
    )


def _not_this_set(entry: Entry, folder: Folder) -> str:
    archives = _archives(entry, folder.files)
    if archives:
        named = ", ".join(archives[:3]) + (", ..." if len(archives) > 3 else "")
        return (
            f"{folder.path}: holds the packed files of {entry.title} ({named}); unpack them with "
            f"`medjepa data download {entry.name} dir={folder.path}`"
        )
    lacking = [m for m in entry.layout.marks if folder.root_of(Layout(marks=(m,))) is None]
    wanted = " and ".join(lacking or entry.layout.marks)
    seen = ", ".join(folder.files[:3]) or "no files"
    return (
        f"{folder.path}: does not look like {entry.title}: nothing here is named {wanted} "
        f"(there are {seen}{', ...' if len(folder.files) > 3 else ''}). "
        f"`medjepa data show {entry.name}` prints the layout"
    )


def _archives(entry: Entry, files: Sequence[str]) -> list[str]:
    packed = (".zip", ".tar", ".gz", ".tgz")
    names = {file.name for file in entry.download.files if file.name.endswith(packed)}
    return [path for path in files if path.rpartition("/")[2] in names]
