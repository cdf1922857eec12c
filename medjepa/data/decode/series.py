"""A folder of DICOM slices into volumes: one for each series, or an error that names the slice."""

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from medjepa.data.decode.dicom import decode
from medjepa.data.decode.dicom_frames import Placed, placed
from medjepa.data.decode.dicom_geometry import normal_of
from medjepa.data.decode.limits import check_budget
from medjepa.data.decode.series_headers import SliceHeader, slice_header
from medjepa.data.decode.sniff import IMAGE_SUFFIXES, UnknownContentError, sniff, suffix_of
from medjepa.data.decode.stacking import arrange, unequal
from medjepa.data.files import scan
from medjepa.errors import InputError, InputWarning
from medjepa.types import MedicalImage

_TIMED = (0,)
_FEWEST_FRAMES = 3
_ALIKE = (
    ("rows", "size"), ("columns", "size"), ("photometric", "PhotometricInterpretation"),
    ("modality", "modalities"),
)  # fmt: skip


@dataclass(frozen=True)
class Series:
    """Files that make one volume.

    Attributes:
        paths: sorted along the normal, moments outside; as found where they make no volume.
        problems: why they make none; empty if they do.
        uid: SeriesInstanceUID; private.
    """

    paths: tuple[str, ...]
    problems: tuple[str, ...] = ()
    uid: str = ""


def read_series(folder: str | os.PathLike[str]) -> MedicalImage:
    """Read the one DICOM series below a folder as a volume (1, Z, Y, X), or (1, T, Z, Y, X).

    Slices are sorted along the normal of their orientation. Values are in physical units.

    Raises:
        InputError: no series or several (`read_all_series` reads them), a slice that is missing,
            there twice, or unlike the others, or one that cannot be decoded: none is left out.
    """
    name = os.fspath(folder)
    series = _series_in(name)
    if len(series) > 1:
        sizes = ", ".join(f"{len(s.paths)} files" for s in series[:5])
        raise InputError(
            name, f"{len(series)} series ({sizes}): read_all_series reads each", format="DICOM"
        )
    return _volume(name, series[0])


def read_all_series(folder: str | os.PathLike[str]) -> list[MedicalImage]:
    """Read every DICOM series below a folder, as `read_series` does, in the order of the names.

    Raises:
        InputError: there is none, or one of them makes no volume.
    """
    name = os.fspath(folder)
    return [_volume(name, series) for series in _series_in(name)]


def group_series(paths: Sequence[str | os.PathLike[str]]) -> list[Series]:
    """Sort DICOM images into series by their headers alone; what is no image is left out.

    A file with several frames is a series of its own.
    """
    groups: dict[tuple[str, str], list[SliceHeader]] = {}
    for path in paths:
        header = slice_header(os.fspath(path))
        if header is not None:
            own = header.path if header.num_frames > 1 or not header.series else ""
            groups.setdefault((header.series, own), []).append(header)
    return [_sorted(group) for group in groups.values()]


def read_slices(paths: Sequence[str | os.PathLike[str]], source: str = "") -> MedicalImage:
    """Read the files of one series, as `group_series` names them, as a volume.

    Raises:
        InputError: they make no volume; the text begins with `source`, else the first path.
    """
    first = source or os.fspath(paths[0])
    headers = [_header(first, os.fspath(path)) for path in paths]
    return _read(first, headers)


def _series_in(folder: str) -> list[Series]:
    if not Path(folder).is_dir():
        raise InputError(folder, "not a folder")
    paths = []
    others = 0
    for entry in scan(0, Path(folder)):
        path = str(Path(folder) / entry.relative)
        try:
            kind = sniff(path)
        except UnknownContentError as error:
            if suffix_of(path) in IMAGE_SUFFIXES:
                raise InputError(folder, f"{entry.relative}: {error.reason}") from error
            others += 1
            continue
        except InputError as error:
            raise InputError(folder, f"{entry.relative}: {error.reason}") from error
        if kind == "DICOM":
            paths.append(path)
        else:
            others += 1
    if not paths:
        raise InputError(folder, "a folder without DICOM files; give the path of a file")
    try:
        series = group_series(paths)
    except InputError as error:
        raise _inside(folder, error) from error
    if not series:
        raise InputError(folder, "its DICOM files hold no images", format="DICOM")
    if others:
        warnings.warn(
            f"{folder}: {others} files that are not DICOM were left aside",
            InputWarning,
            stacklevel=3,
        )
    return series


def _volume(folder: str, series: Series) -> MedicalImage:
    if series.problems:
        raise InputError(folder, "; ".join(series.problems), format="DICOM")
    return read_slices(series.paths, folder)


def _header(source: str, path: str) -> SliceHeader:
    try:
        header = slice_header(path)
    except InputError as error:
        raise _inside(source, error) from error
    if header is None:
        raise InputError(source, f"{Path(path).name}: no pixel data", format="DICOM")
    return header


def _sorted(group: list[SliceHeader]) -> Series:
    """The series with its files in order, or with what is wrong."""
    uid = group[0].series
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)  # told when the volume is read
            order = _place(group[0].path, group).order
    except InputError as error:
        return Series(tuple(h.path for h in group), (error.reason,), uid)
    return Series(tuple(group[number].path for number in order), (), uid)


def _place(source: str, headers: list[SliceHeader]) -> Placed:
    """Check that the slices belong together, and put them in order.

    Raises:
        InputError: they do not; the text begins with `source`.
    """
    if len(headers) == 1 and headers[0].num_frames > 1:
        return Placed((0,), "tyx", (1,), (None, None, None))
    _check_alike(source, headers)
    names = [Path(header.path).name for header in headers]
    first = headers[0]
    if any(header.position is None or header.plane is None for header in headers):
        return _by_number(source, headers)
    assert first.plane is not None
    positions = np.array([header.position for header in headers])
    keys: list[tuple[object, ...]] = [header.moment for header in headers]
    if _are_frames_without_time(headers, positions):
        keys = [(float(header.number or 0),) for header in headers]
        warnings.warn(
            f"{source}: {len(headers)} images of one place without times (de-identified?): they "
            "are frames in the order of InstanceNumber",
            InputWarning,
            stacklevel=2,
        )
    timed = _TIMED if keys[0] == first.moment else ()
    layout = arrange(source, positions, normal_of(first.plane), keys, "slice", names, timed)
    if (
        layout.num_slices == 2
        and first.slice_gap
        and layout.step
        and (layout.step > 1.5 * first.slice_gap)
    ):
        raise InputError(
            source,
            f"missing slice: {layout.step:.3g} mm between {names[0]} and {names[1]}, the header "
            f"says {first.slice_gap:.3g} mm",
            format="DICOM",
        )
    return placed(layout, positions, first.plane, first.spacing, first.thickness)


def _are_frames_without_time(headers: list[SliceHeader], positions: np.ndarray) -> bool:
    """A cine series whose times of day were removed: one place, many numbers, nothing else.

    Two images at one place may well be one slice that is there twice.
    """
    numbers = {header.number for header in headers}
    columns = zip(*(header.moment for header in headers), strict=True)
    return (
        len(headers) >= _FEWEST_FRAMES
        and None not in numbers
        and len(numbers) == len(headers)
        and not np.ptp(positions, axis=0).any()
        and all(len(set(column)) < len(headers) for column in columns)
    )


def _check_alike(source: str, headers: list[SliceHeader]) -> None:
    first = headers[0]

    def refuse(header: SliceHeader, what: str) -> InputError:
        names = f"{Path(first.path).name} and {Path(header.path).name}"
        return InputError(source, f"mixed {what}: {names} differ", format="DICOM")

    for header in headers[1:]:
        if header.num_frames != 1 or first.num_frames != 1:
            raise refuse(header, "numbers of frames")
        if header.patient != first.patient:
            raise refuse(header, "patients")
        for name, what in _ALIKE:
            if getattr(header, name) != getattr(first, name):
                raise refuse(header, what)
        planes = [None if h.plane is None else np.concatenate(h.plane) for h in (first, header)]
        if unequal(planes, 1e-3):
            raise refuse(header, "orientation")
        spacings = [np.array([s or 0.0 for s in h.spacing]) for h in (first, header)]
        if unequal(list(spacings), 1e-3 * max(1e-3, float(spacings[0].max()))):
            raise refuse(header, "spacing")
        if header.frame_of_reference != first.frame_of_reference:
            raise refuse(header, "frames of reference")


def _by_number(source: str, headers: list[SliceHeader]) -> Placed:
    """Without positions: InstanceNumber, and a warning."""
    first = headers[0]
    numbers = [header.number for header in headers]
    if len(headers) > 1:
        if None in numbers:
            raise InputError(
                source,
                "slices without position (ImagePositionPatient) and without InstanceNumber have no "
                "order",
                format="DICOM",
            )
        if len(set(numbers)) < len(numbers):
            raise InputError(source, "duplicate InstanceNumber among slices", format="DICOM")
        warnings.warn(
            f"{source}: slices have no position (ImagePositionPatient), they are in the order of "
            "InstanceNumber",
            InputWarning,
            stacklevel=2,
        )
    order = sorted(range(len(headers)), key=lambda n: numbers[n] or 0)
    return Placed(tuple(order), "zyx", (len(headers),), (first.slice_gap, *first.spacing))


def _read(source: str, headers: list[SliceHeader]) -> MedicalImage:
    place = _place(source, headers)
    if len(headers) == 1 and headers[0].num_frames > 1:
        return replace(_decoded(source, headers[0].path), source=source)
    first = headers[0]
    check_budget(source, (len(headers), first.rows, first.columns), 4, "DICOM")
    slices = [_decoded(source, headers[number].path) for number in place.order]
    dtype = np.result_type(*{image.array.dtype for image in slices})
    if dtype.kind == "f":
        dtype = np.dtype(np.float32)
    shape = (slices[0].array.shape[0], len(slices), *slices[0].array.shape[1:])
    array = np.empty(shape, dtype=dtype)
    for number, image in enumerate(slices):
        array[:, number] = image.array
    ranges = {image.display_range for image in slices}
    display = None
    if None not in ranges:
        known = [r for r in ranges if r is not None]
        display = (min(low for low, _ in known), max(high for _, high in known))
    return replace(
        slices[0],
        array=array.reshape(array.shape[0], *place.shape, *array.shape[2:]),
        axes=place.axes,
        spacing=place.spacing,
        source=source,
        display_range=display,
        history=(*slices[0].history, f"{len(slices)} slices stacked"),
        directions=place.directions,
        position=place.position,
        times=place.times,
    )


def _decoded(source: str, path: str) -> MedicalImage:
    try:
        return decode(path, "DICOM")
    except InputError as error:
        raise _inside(source, error) from error


def _inside(folder: str, error: InputError) -> InputError:
    name = os.path.relpath(error.path, folder) if Path(folder).is_dir() else Path(error.path).name
    return InputError(folder, f"{name}: {error.reason}", format=error.format)


__all__ = ["Series", "group_series", "read_all_series", "read_series", "read_slices"]
