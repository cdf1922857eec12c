"""From the items of a store to the files of their label maps."""

from pathlib import Path, PurePosixPath

from medjepa.data.files import scan
from medjepa.data.label_files import FOLDERS, label_of
from medjepa.data.labels import labelled
from medjepa.data.private_map import PrivateMap
from medjepa.data.store import Store
from medjepa.data.tables import stem_of
from medjepa.data.volume_store import VolumeStore
from medjepa.errors import DataError

NAME = "{name}"
"""Stands for the image's name in that of its label map."""


def label_paths(
    store: Store | VolumeStore, source: str | Path | None, table: str | Path | None
) -> dict[int, Path]:
    """Index of an item to the file of its label map; items without one are not in it.

    `source` is a folder, a column of the table, or a name in which {name} stands for the image's
    without its ending, from the folder of the image: {name}_mask.png, ../masks/{name}.gif.

    Raises:
        DataError: several files fit an item, or a file that a table names is not there.
    """
    private = store.private_map()
    numbers = {key: index for index, key in enumerate(store.keys)}
    images = _images(private, numbers)
    if source is None:
        return _beside(private, images)
    if NAME in str(source):
        return _by_name(private, str(source), images)
    if Path(source).is_dir():
        return _in_folder(Path(source), images)
    return _from_table(store, str(source), table, private, images)


def _images(private: PrivateMap, numbers: dict[str, int]) -> dict[int, list[tuple[int, str]]]:
    """The files of each item, by source and path; of slices in one folder the folder as well."""
    images: dict[int, list[tuple[int, str]]] = {}
    for record in private.files:
        if record.key in numbers:
            images.setdefault(numbers[record.key], []).append((record.source, record.path))
    for places in images.values():
        folders = {(source, path.rpartition("/")[0]) for source, path in places}
        if len(places) > 1 and len(folders) == 1:
            places += [place for place in folders if place[1]]
    return images


def _beside(private: PrivateMap, images: dict[int, list[tuple[int, str]]]) -> dict[int, Path]:
    """In the folders of the images, and beside them."""
    paths: dict[int, Path] = {}
    for number, name in enumerate(private.sources):
        root, prefix = Path(name), ""
        if root.name.lower() in FOLDERS:  # imagesTr itself was prepared: labelsTr is beside it
            root, prefix = root.parent, f"{root.name}/"
        if not root.is_dir():
            continue
        files = {entry.relative for entry in scan(0, root)}
        for index, places in images.items():
            for place, path in places:
                if place == number and index not in paths:
                    found = _one(f"{prefix}{path}", files)
                    if found is not None:
                        paths[index] = root / found
    return paths


def _one(image: str, files: set[str]) -> str | None:
    try:
        return label_of(image, files)
    except ValueError as error:
        raise DataError(f"{error}; name the folder of the right ones") from error


def _by_name(
    private: PrivateMap, given: str, images: dict[int, list[tuple[int, str]]]
) -> dict[int, Path]:
    """Files whose names follow from the image's."""
    paths: dict[int, Path] = {}
    for index, places in images.items():
        for source, path in places:
            image = Path(private.sources[source]) / path
            label = image.parent / given.replace(NAME, stem_of(path))
            if label != image and label.is_file():
                paths.setdefault(index, label)
    return paths


def _in_folder(folder: Path, images: dict[int, list[tuple[int, str]]]) -> dict[int, Path]:
    """Files of a folder that are named as the images, by path or by name."""
    by_stem: dict[str, list[str]] = {}
    files = [entry.relative for entry in scan(0, folder)]
    for path in files:
        by_stem.setdefault(stem_of(path).lower(), []).append(path)
    there = set(files)
    paths: dict[int, Path] = {}
    for index, places in images.items():
        for _, path in places:
            stem = stem_of(path).lower()
            found = [path] if path in there else by_stem.get(stem, [])
            if not found and stem[-5:-4] == "_" and stem[-4:].isdigit():
                found = by_stem.get(stem[:-5], [])  # the number of a channel, as nnU-Net has it
            if not found:
                # The same place below `folder`, with "seg" or "mask" in the name.
                one = _one(path, there) or _one(PurePosixPath(path).name, there)
                found = [] if one is None else [one]
            if len(found) > 1:
                raise DataError(
                    f"several label maps in {folder} fit {path}: {', '.join(sorted(found)[:3])}"
                )
            if found and index not in paths:
                paths[index] = folder / found[0]
    return paths


def _from_table(
    store: Store | VolumeStore,
    column: str,
    table: str | Path | None,
    private: PrivateMap,
    images: dict[int, list[tuple[int, str]]],
) -> dict[int, Path]:
    """Files that a column names, below the table's folder or the source."""
    try:
        given = labelled(store, column, split="auto", table=table)
    except DataError as error:
        raise DataError(f"labels={column}: no such folder, nor a column: {error}") from error
    roots = [Path(name) for name in private.sources]
    if table is not None:
        roots.insert(0, Path(table).parent)
    paths = {}
    for index, cell in zip(given.indices.tolist(), given.labels, strict=True):
        # Below its own source first: two sources may have files of one name.
        own = [Path(private.sources[source]) for source, _ in images.get(index, [])]
        found = [r / cell for r in (*own, *roots) if (r / cell).is_file()]
        if not found:
            raise DataError(
                f"{cell}: named in column {column!r}, but no such file below "
                f"{' or '.join(str(r) for r in dict.fromkeys((*own, *roots)))}"
            )
        paths[int(index)] = found[0]
    return paths
