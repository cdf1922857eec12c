"""One file to its stored images: the part of `prepare` that runs in worker processes."""

import hashlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from medjepa.data.contrasts import read_contrasts
from medjepa.data.decode import READABLE, read_at_least
from medjepa.data.decode.sniff import IMAGE_SUFFIXES, UnknownContentError, sniff, suffix_of
from medjepa.data.modality import IntensityPlan
from medjepa.data.planes import StoredImage, planes_of, stored_plane
from medjepa.data.preprocessing import enough_for
from medjepa.data.resize import Fit
from medjepa.data.volume_items import FourthAxis, StoredVolume, VolumeSteps
from medjepa.errors import InputError, InputWarning
from medjepa.types import MedicalImage

_CHUNK = 1 << 20
_KEY_DIGITS = 32
CANONICAL_ORIENTATION = "canonical"
"""Value of a store's "orientation": z, y, x of volumes grow to the head, the front, the right."""


@dataclass(frozen=True)
class IngestSettings:
    """What turns a file into stored images; the same for a whole store.

    Attributes:
        size: (H, W) of the images; of no meaning for volumes.
        channels: "auto" keeps grey as 1 and colour as 3.
        fit: "stretch" or "pad".
        dimensions: 2: every slice or frame is an image of `size`; 3: every volume or clip is one
            item, at its own resolution or at `spacing`.
        spacing: (z, y, x) in mm to which volumes are resampled; None: as they are.
        frame_size: (H, W) of the frames of clips that are kept whole; None: as they are.
        contrasts: in the names of the files of which one volume is made, one file for each.
        fourth_axis: what the volumes of a 4-D file that is kept whole are.
        frames_per_clip: most images taken from one clip, evenly by time; 0: every frame.
        intensity: the steps before resizing, by kind of image.
        selection: of DICOM files, in plain values; a store is continued only with the same.
    """

    size: tuple[int, int]
    channels: Literal["auto", 1, 3] = "auto"
    fit: Fit = "stretch"
    dimensions: Literal[2, 3] = 2
    spacing: tuple[float, float, float] | None = None
    frames_per_clip: int = 8
    intensity: IntensityPlan = field(default_factory=IntensityPlan)
    selection: Mapping[str, Any] = field(default_factory=dict)
    frame_size: tuple[int, int] | None = None
    contrasts: tuple[str, ...] = ()
    fourth_axis: FourthAxis = "time"

    @property
    def volume_steps(self) -> VolumeSteps:
        """What is done to what is kept whole."""
        return VolumeSteps(
            intensity=self.intensity,
            channels=self.channels,
            spacing=self.spacing,
            frame_size=self.frame_size,
            fit=self.fit,
            fourth_axis=self.fourth_axis,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for the store's index; a store is continued only with the same."""
        values: dict[str, Any] = {
            "dimensions": self.dimensions,
            "channels": self.channels,
            "spacing": None if self.spacing is None else list(self.spacing),
            "size": list(self.size),
            "fit": self.fit,
            "frames_per_clip": self.frames_per_clip,
            "intensity": self.intensity.to_dict(),
            "selection": dict(self.selection),
        }
        unused = ("spacing",) if self.dimensions == 2 else ("size", "fit", "frames_per_clip")
        if self.dimensions == 3:
            values |= {
                "orientation": CANONICAL_ORIENTATION,
                "frame_size": None if self.frame_size is None else [*self.frame_size, self.fit],
                "contrasts": list(self.contrasts),
                "fourth_axis": self.fourth_axis,
            }
        # As the index gives it back: lists, no tuples.
        read_back: dict[str, Any] = json.loads(json.dumps(values))
        return {name: value for name, value in read_back.items() if name not in unused}


@dataclass(frozen=True)
class IngestTask:
    """One file, or the slices of one series in order.

    Attributes:
        paths: of the files.
        modality: what the user says it is; None: as the header says.
    """

    paths: tuple[str, ...]
    modality: str | None = None


@dataclass(frozen=True)
class Ingested:
    """What became of one file.

    Attributes:
        status: "good", "known" (its content is in the store), "skipped" (not an image) or "failed".
        key: hash of its content, for a good or known one.
        images: the image, the slices of a volume, the frames of a clip; or one volume.
        modality: as asked, else by its header.
        group: the patient by its header; private.
        num_constant: slices left out because they show nothing.
        reason: why it was skipped or failed.
        warnings: what was doubtful in a good one.
    """

    status: Literal["good", "known", "skipped", "failed"]
    key: str = ""
    images: tuple[StoredImage | StoredVolume, ...] = ()
    modality: str = "generic"
    group: str = ""
    num_constant: int = 0
    reason: str = ""
    warnings: tuple[str, ...] = ()


def ingest(task: IngestTask, settings: IngestSettings, known: frozenset[str]) -> Ingested:
    """Hash, decode and resize a file, or the files of one series; a bad one gives its reason.

    What is `known` by its content is not decoded again.
    """
    paths = task.paths
    try:
        skipped = _why_not_an_image(paths[0]) if len(paths) == 1 else ""
        if skipped:
            return Ingested("skipped", reason=skipped)
        key = content_hash(*paths)
        if key in known:
            return Ingested("known", key=key)
        with warnings.catch_warnings(record=True) as doubts:
            warnings.simplefilter("always", InputWarning)
            result = _decode(task, key, settings)
        return replace(result, warnings=_texts(doubts, paths))
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


def _decode(task: IngestTask, key: str, settings: IngestSettings) -> Ingested:
    image, whole = _read(task, settings)
    if task.modality is not None:
        image = replace(image, modality=task.modality)
    if settings.dimensions == 3 and image.axes == "yx":
        return Ingested("skipped", reason="one image, neither a volume nor a clip")
    if settings.dimensions == 3:
        volume = settings.volume_steps(image)
        _check_content(task.paths[0], volume, settings.contrasts)
        return Ingested(
            "good", key=key, images=(volume,), modality=image.modality, group=image.group
        )
    image = settings.intensity(image)
    planes, num_constant = planes_of(image, settings.frames_per_clip)
    if not planes:
        return Ingested("failed", reason="every slice is constant: there is nothing to see")
    images = tuple(
        stored_plane(part, plane, settings.size, settings.channels, settings.fit, whole)
        for part, plane in planes
    )
    return Ingested(
        "good",
        key=key,
        images=images,
        modality=image.modality,
        group=image.group,
        num_constant=num_constant,
    )


def _check_content(path: str, volume: StoredVolume, contrasts: tuple[str, ...]) -> None:
    """Refuse a volume or clip that shows nothing; warn of a channel that does not."""
    is_blank = [bool(channel.min() == channel.max()) for channel in volume.pixels]
    if all(is_blank):
        raise InputError(path, "every value is the same: there is nothing to see")
    names = [
        contrasts[n] if len(contrasts) == len(is_blank) else f"channel {n + 1}"
        for n, blank in enumerate(is_blank)
        if blank
    ]
    if names:
        warnings.warn(
            f"{path}: every value of {', '.join(names)} is the same: nothing to see there",
            InputWarning,
            stacklevel=2,
        )
    low, high = volume.window
    least, most = (
        float(end) * volume.scale + volume.offset
        for end in (volume.pixels.min(), volume.pixels.max())
    )
    if most <= low or least >= high:
        shade = "black" if most <= low else "white"
        warnings.warn(
            f"{path}: in the window {low:g} to {high:g} it is {shade} throughout: another kind "
            "of image or unit? data.modality and data.intensity choose the window",
            InputWarning,
            stacklevel=2,
        )


def _read(
    task: IngestTask, settings: IngestSettings
) -> tuple[MedicalImage, tuple[int, int] | None]:
    """The image, and its whole (Y, X) where it was scaled while it was decoded."""
    if len(task.paths) == 1 and len(settings.contrasts) < 2:
        if settings.dimensions == 3:
            return settings.volume_steps.read(task.paths[0], task.modality), None
        enough = enough_for(settings.size, settings.intensity, task.modality)
        image, whole = read_at_least(task.paths[0], enough)
        return image, whole if image.axes == "yx" else None
    if settings.contrasts:
        return read_contrasts(task.paths, settings.contrasts), None
    from medjepa.data.decode.series import read_slices

    return read_slices(task.paths), None


def _texts(doubts: list[warnings.WarningMessage], paths: tuple[str, ...]) -> tuple[str, ...]:
    """What was doubtful, without the path with which it begins."""
    texts = [str(doubt.message) for doubt in doubts if issubclass(doubt.category, InputWarning)]
    for path in paths:
        texts = [text.removeprefix(path).lstrip(": ") for text in texts]
    return tuple(texts)


def content_hash(*paths: str) -> str:
    """SHA-256, the first 32 hexadecimal digits, of a file's bytes; of several, in any order."""
    hashes = sorted(map(_content_hash, paths))
    if len(hashes) == 1:
        return hashes[0]
    return hashlib.sha256("".join(hashes).encode()).hexdigest()[:_KEY_DIGITS]


def _content_hash(path: str) -> str:
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()[:_KEY_DIGITS]
