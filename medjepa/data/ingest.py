"""One file to its stored images: the part of `prepare` that runs in worker processes."""

import hashlib
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from medjepa.data.decode import READABLE, read
from medjepa.data.decode.limits import CANONICAL
from medjepa.data.decode.sniff import IMAGE_SUFFIXES, UnknownContentError, sniff, suffix_of
from medjepa.data.intensity import is_grey, match_channels, robust_range, to_stored, window_of
from medjepa.data.preprocessing import fill_value
from medjepa.data.resize import Fit, fit_to
from medjepa.errors import InputError, InputWarning
from medjepa.types import MedicalImage

_CHUNK = 1 << 20
_KEY_DIGITS = 32


@dataclass(frozen=True)
class IngestSettings:
    """What turns a file into stored images; the same for a whole store."""

    size: tuple[int, int]
    channels: Literal["auto", 1, 3]
    fit: Fit


@dataclass(frozen=True)
class StoredImage:
    """One image as it goes into a shard, with what the index says of it."""

    pixels: np.ndarray
    part: int
    height: int
    width: int
    spacing: tuple[float | None, float | None]
    scale: float
    offset: float
    window: tuple[float, float]


@dataclass(frozen=True)
class Ingested:
    """What became of one file.

    Attributes:
        status: "good", "known" (its content is in the store), "skipped" (not an image) or "failed".
        key: hash of its content, for a good or known one.
        images: the image, or the slices of a volume.
        modality: by its header.
        group: the patient by its header; private.
        num_constant: slices left out because they show nothing.
        reason: why it was skipped or failed.
        warnings: what was doubtful in a good one.
    """

    status: Literal["good", "known", "skipped", "failed"]
    key: str = ""
    images: tuple[StoredImage, ...] = ()
    modality: str = "generic"
    group: str = ""
    num_constant: int = 0
    reason: str = ""
    warnings: tuple[str, ...] = ()


def ingest(path: str, settings: IngestSettings, known: frozenset[str]) -> Ingested:
    """Hash, decode and resize one file; one that is no image or cannot be read gives its reason.

    What is `known` by its content is not decoded again.
    """
    try:
        skipped = _why_not_an_image(path)
        if skipped:
            return Ingested("skipped", reason=skipped)
        key = content_hash(path)
        if key in known:
            return Ingested("known", key=key)
        with warnings.catch_warnings(record=True) as doubts:
            warnings.simplefilter("always", InputWarning)
            return _decode(path, key, settings, doubts)
    except InputError as error:
        kind = f"{error.format}: " if error.format else ""
        return Ingested("failed", reason=f"{kind}{error.reason}")
    except OSError as error:
        return Ingested("failed", reason=f"cannot be opened: {error.strerror}")
    except MemoryError:
        return Ingested("failed", reason="needs more memory than a decoding process may take")


def _why_not_an_image(path: str) -> str:
    """A reason for skipping what is not meant to be an image; "" for what is."""
    try:
        kind = sniff(path)
    except UnknownContentError as error:
        if suffix_of(path) in IMAGE_SUFFIXES:
            raise
        return error.reason
    return "" if kind in READABLE else f"{kind}: this format is not read"


def _decode(
    path: str, key: str, settings: IngestSettings, doubts: list[warnings.WarningMessage]
) -> Ingested:
    image = read(path)
    planes, num_constant = _planes(image)
    if not planes:
        return Ingested("failed", reason="every slice is constant: there is nothing to see")
    return Ingested(
        "good",
        key=key,
        images=tuple(_store(part, plane, settings) for part, plane in planes),
        modality=image.modality,
        group=image.group,
        num_constant=num_constant,
        warnings=tuple(
            str(doubt.message).removeprefix(path).lstrip(": ")
            for doubt in doubts
            if issubclass(doubt.category, InputWarning)
        ),
    )


def content_hash(path: str) -> str:
    """SHA-256 of the file's bytes, the first 32 hexadecimal digits."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()[:_KEY_DIGITS]


def _planes(image: MedicalImage) -> tuple[list[tuple[int, MedicalImage]], int]:
    """A volume's axial slices that show something, with one window for all; an image as it is."""
    if image.axes == "yx":
        return [(0, image)], 0
    window = image.display_range or robust_range(image.array)
    volume = image.array
    if CANONICAL in image.history:
        # As a viewer and as axial DICOM show a slice: front at the top, the right side at the left.
        volume = volume[:, :, ::-1, ::-1]
    slices = [
        (number, volume[:, number])
        for number in range(volume.shape[1])
        if volume[:, number].min() < volume[:, number].max()
    ]
    planes = [
        (
            number,
            replace(image, array=array, axes="yx", spacing=image.spacing[1:], display_range=window),
        )
        for number, array in slices
    ]
    return planes, volume.shape[1] - len(slices)


def _store(part: int, image: MedicalImage, settings: IngestSettings) -> StoredImage:
    window = window_of(image)
    array = image.array[:1] if is_grey(image.array) else image.array
    height, width = image.spacing[-2:]
    resized = fit_to(
        array,
        settings.size,
        fit=settings.fit,
        spacing=(height, width),
        fill=fill_value(array, window),
    )
    if settings.channels != "auto" and resized.shape[0] != settings.channels:
        resized = _with_channels(resized, settings.channels)
    stored = to_stored(resized)
    return StoredImage(
        pixels=stored.pixels,
        part=part,
        height=image.array.shape[1],
        width=image.array.shape[2],
        spacing=(height, width),
        scale=stored.scale,
        offset=stored.offset,
        window=window,
    )


def _with_channels(array: np.ndarray, channels: int) -> np.ndarray:
    values = match_channels(array.astype(np.float32), channels, axis=0)
    return values if array.dtype.kind == "f" else np.rint(values).astype(array.dtype)
