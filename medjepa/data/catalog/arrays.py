"""Sets that are published as arrays: npz of MedMNIST, HDF5 of PatchCamelyon; one image at a time.

No pickle is ever read. A part is an array of images with an array of labels.
"""

import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import Any, cast

import numpy as np

from medjepa.data.catalog.entry import Entry
from medjepa.data.catalog.folder import Folder
from medjepa.data.catalog.items import Item, Reading
from medjepa.data.catalog.patterns import pattern
from medjepa.data.tables import read_table
from medjepa.errors import DataError, InputError

_NPZ_PARTS = ("train", "val", "test")
_DAMAGED = (zipfile.BadZipFile, ValueError, OSError, EOFError, KeyError, SyntaxError)


@dataclass(frozen=True)
class ArrayPart:
    """The images of one part of the split.

    Attributes:
        path: the file, below the folder that was read.
        array: what the array is called in it.
        split: train, val or test.
        shape: (N, Y, X), (N, Y, X, 3) or (N, Z, Y, X).
        labels: (N, L) integers.
        groups: (N,) what each image belongs to, None where nobody says.
        images: opens the file and gives the images in order.
    """

    path: str
    array: str
    split: str
    shape: tuple[int, ...]
    labels: np.ndarray
    groups: list[str] | None
    images: Callable[[], Iterator[np.ndarray]]


def array_parts(entry: Entry, folder: Folder, root: str) -> list[ArrayPart]:
    """The parts that lie in a folder; of several sizes of one set, the first of the layout.

    Raises:
        InputError: a file is damaged, holds pickled objects, or labels for other images.
        DataError: HDF5 cannot be read here.
    """
    files = folder.below(root)
    for text in entry.layout.images:
        paths = [path for path in files if pattern(text).fits(path)]
        if paths:
            return [part for path in paths for part in _parts(entry, folder, root + path, text)]
    return []


def array_items(entry: Entry, parts: Sequence[ArrayPart], reading: Reading) -> None:
    """Fill a reading with the images of the parts; label number i is the i-th class."""
    classes = list(entry.classes)
    for part in parts:
        if len(part.labels) != part.shape[0]:
            raise InputError(
                part.path, f"{part.shape[0]} images in {part.array} but {len(part.labels)} labels"
            )
        for index, marks in enumerate(part.labels.tolist()):
            labels, findings = _labels(entry, classes, marks)
            if labels is None:
                reading.strange.append(f"{part.path} {part.array}[{index}]: label {marks}")
            reading.items.append(
                Item(
                    path=part.path,
                    array=part.array,
                    index=index,
                    labels=labels,
                    findings=findings,
                    group=part.groups[index] if part.groups else None,
                    split=part.split,
                )
            )


def _labels(
    entry: Entry, classes: list[str], marks: list[int]
) -> tuple[tuple[str, ...] | None, dict[str, str]]:
    if entry.task == "multilabel":
        if len(marks) != len(classes) or not set(marks) <= {0, 1}:
            return None, {}
        present = tuple(name for name, mark in zip(classes, marks, strict=True) if mark)
        return present, {name: str(m) for name, m in zip(classes, marks, strict=True)}
    if len(marks) != 1 or not 0 <= marks[0] < len(classes):
        return None, {}
    return (classes[marks[0]],), {}


def _parts(entry: Entry, folder: Folder, path: str, text: str) -> Iterator[ArrayPart]:
    try:
        if path.endswith(".npz"):
            yield from _npz_parts(folder.path, path)
        else:
            yield _hdf5_part(entry, folder, path, text)
    except InputError:
        raise
    except _DAMAGED as error:
        raise InputError(folder.path / path, f"truncated or damaged: {error}") from error


def _npz_parts(folder: Path, path: str) -> Iterator[ArrayPart]:
    with zipfile.ZipFile(folder / path) as archive:
        names = set(archive.namelist())
    for part in _NPZ_PARTS:
        array = f"{part}_images"
        if f"{array}.npy" in names:
            with zipfile.ZipFile(folder / path) as archive:
                shape, _ = _open_member(archive, array, folder / path)[:2]
                labels = _whole(archive, f"{part}_labels", folder / path)
            yield ArrayPart(
                path=path,
                array=array,
                split=part,
                shape=shape,
                labels=labels.reshape(len(labels), -1).astype(np.int64),
                groups=None,
                images=lambda array=array: _npz_images(folder / path, array),  # type: ignore[misc]
            )


def _open_member(
    archive: zipfile.ZipFile, array: str, path: Path
) -> tuple[tuple[int, ...], np.dtype, BufferedIOBase]:
    """The shape and type of a .npy inside an archive, and its bytes from the first value on."""
    file = cast("BufferedIOBase", archive.open(f"{array}.npy"))
    version = np.lib.format.read_magic(file)
    read = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, fortran, dtype = read(file)
    if dtype.hasobject:
        raise InputError(path, f"unsafe: {array} is a pickle, and loading it runs code")
    if fortran or not shape:
        raise InputError(path, f"{array} is not an array of images in C order")
    return shape, dtype, file


def _whole(archive: zipfile.ZipFile, array: str, path: Path) -> np.ndarray:
    shape, dtype, file = _open_member(archive, array, path)
    with file:
        values = np.frombuffer(_exactly(file, int(np.prod(shape)) * dtype.itemsize), dtype)
    return values.reshape(shape)


def _npz_images(path: Path, array: str) -> Iterator[np.ndarray]:
    with zipfile.ZipFile(path) as archive:
        shape, dtype, file = _open_member(archive, array, path)
        size = int(np.prod(shape[1:])) * dtype.itemsize
        with file:
            for _ in range(shape[0]):
                yield np.frombuffer(_exactly(file, size), dtype).reshape(shape[1:])


def _exactly(file: BufferedIOBase, size: int) -> bytes:
    content = file.read(size)
    if len(content) != size:
        raise EOFError(f"{size:,} bytes are announced, {len(content):,} are there")
    return content


def _hdf5_part(entry: Entry, folder: Folder, path: str, text: str) -> ArrayPart:
    """Images as `x` in `..._x.h5`, labels as `y` in `..._y.h5`, groups in `..._meta.csv`."""
    fields = pattern(text).match(path[path.rfind("/") + 1 :]) or {}
    stem = path.removesuffix("_x.h5")
    with _hdf5_file(folder.path / path) as file:
        shape = tuple(file["x"].shape)
    labels_path = folder.path / f"{stem}_y.h5"
    if not labels_path.is_file():
        raise InputError(labels_path, f"cannot be opened: it holds the labels of {path}")
    with _hdf5_file(labels_path) as file:
        labels = np.asarray(file["y"][:])
    meta, groups = folder.path / f"{stem}_meta.csv", None
    if entry.group.kind == "column" and meta.is_file():
        groups = read_table(meta, check=False).column(entry.group.name, "the groups")
        if len(groups) != shape[0]:
            raise InputError(meta, f"{len(groups)} rows for {shape[0]} images")
    word = fields.get(entry.split.name, "")
    return ArrayPart(
        path=path,
        array="x",
        split=entry.split.values.get(word, word),
        shape=shape,
        labels=labels.reshape(len(labels), -1).astype(np.int64),
        groups=groups,
        images=lambda: _hdf5_images(folder.path / path),
    )


def _hdf5_images(path: Path) -> Iterator[np.ndarray]:
    with _hdf5_file(path) as file:
        images = file["x"]
        for index in range(images.shape[0]):
            yield np.asarray(images[index])


def _hdf5_file(path: Path) -> Any:  # noqa: ANN401 - h5py has no types
    try:
        import h5py
    except ImportError as error:
        raise DataError(f"{path}: HDF5 needs h5py; pip install 'medjepa[hdf5]'") from error
    return h5py.File(path, "r")
