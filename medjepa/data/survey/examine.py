"""One file, decoded and measured; these functions run in decoding processes."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from medjepa.data.decode import READABLE, read
from medjepa.data.decode.dicom_library import errors, pydicom
from medjepa.data.decode.sniff import IMAGE_SUFFIXES, UnknownContentError, sniff, suffix_of
from medjepa.data.duplicates import fingerprints, pixel_hash, thumbnail
from medjepa.data.ingest import content_hash
from medjepa.data.intensity import is_grey
from medjepa.data.planes import planes_of
from medjepa.data.private_map import keyed_hash
from medjepa.data.resize import resize
from medjepa.data.selection import header_facts
from medjepa.data.survey.identity import NOBODY, Identity, identity_of, remarks, without_names
from medjepa.errors import InputError, InputWarning
from medjepa.types import MedicalImage

LOOK_SIDE = 16
"""Pixels of the picture by which images are compared with the typical one of their kind."""

MASK_VALUES = 8
"""Different whole numbers that a mask or a drawing has at most."""

_LOOK_UNIT = 32
_PERCENTILES = (1, 50, 99)
_FEW = 1 << 14
_MANY_VALUES = 32


@dataclass(frozen=True, slots=True)
class Seen:
    """What one file holds; about 4 KB, whatever the file's size, and nothing that names anyone.

    Attributes:
        status: "good", "skipped" (not an image) or "broken".
        reason: why it is skipped or broken.
        format: by content.
        key: hash of its bytes.
        pixel_key: hash of its decoded values.
        modality: kind of image.
        axes: as of `MedicalImage`.
        shape: (C, *spatial).
        dtype: of the decoded values.
        used_bits: that the greatest value needs; 0 for floats.
        spacing: mm (s for t), 0 where unknown; as long as `axes`.
        facts: header facts that identify nobody.
        syntax: transfer syntax of DICOM.
        photometric: PhotometricInterpretation of DICOM.
        identifying: keywords of header attributes that name the patient.
        at_risk: whether objects of its kind often have text burned in.
        in_path: keywords of header attributes whose value stands in the path.
        remarks: what a picture's metadata hold beside the picture: "GPS", "Artist", ...
        patient: keyed hash of the patient whom the header names, "" if none.
        values: percentiles 1, 50 and 99 of the middle plane.
        coloured: whether the channels of the middle plane differ.
        num_values: different values in the middle plane, at most 32 are told apart.
        constant: whether all values are equal.
        num_constant: slices or frames without structure.
        fingerprint: (D,) float32, of the middle plane; empty for a broken file.
        look: (16, 16) int8 of it, of mean 0 and standard deviation 32; likewise.
        warnings: what was doubtful.
    """

    status: str
    reason: str = ""
    format: str = ""
    key: str = ""
    pixel_key: str = ""
    modality: str = ""
    axes: str = ""
    shape: tuple[int, ...] = ()
    dtype: str = ""
    used_bits: int = 0
    spacing: tuple[float, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    syntax: str = ""
    photometric: str = ""
    identifying: tuple[str, ...] = ()
    at_risk: bool = False
    in_path: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    patient: str = ""
    values: tuple[float, ...] = ()
    coloured: bool = False
    num_values: int = 0
    constant: bool = False
    num_constant: int = 0
    fingerprint: np.ndarray | None = None
    look: np.ndarray | None = None
    warnings: tuple[str, ...] = ()

    @property
    def is_mask(self) -> bool:
        """Whether it has so few values that it looks like a mask or a drawing."""
        return 0 < self.num_values <= MASK_VALUES


def examine(path: str, relative: str, secret: str) -> Seen:
    """Read one file and measure it; whatever is wrong with it becomes its reason.

    `relative` is its path below the folder, in which names are looked for; `secret` is the key of
    the patients' hashes.
    """
    seen, identity = Seen("broken"), NOBODY
    try:
        kind, skipped = _format(path)
        seen = Seen("skipped" if skipped else "broken", skipped, kind)
        if skipped:
            return seen
        if kind == "DICOM":
            identity = identity_of(path, relative)
            seen = _with_header(seen, path, identity)
        seen = replace(seen, key=content_hash(path))
        with warnings.catch_warnings(record=True) as doubts:
            warnings.simplefilter("always")
            image = read(path)
        seen = _measured(seen, image, secret)
        texts = [str(d.message) for d in doubts if issubclass(d.category, InputWarning)]
        texts = [without_names(text, path, identity) for text in texts]
        return replace(seen, remarks=remarks(path, kind), warnings=tuple(dict.fromkeys(texts)))
    except InputError as error:
        reason = without_names(error.reason, path, identity)
        return replace(seen, status="broken", reason=reason, format=error.format or seen.format)
    except OSError as error:
        return replace(seen, status="broken", reason=f"cannot be opened: {error.strerror}")
    except MemoryError:
        reason = "needs more memory than a decoding process may take"
        return replace(seen, status="broken", reason=reason)


def examine_task(task: tuple[str, str], secret: str) -> Seen:
    """`examine` with the path and the path below the folder as one task."""
    return examine(*task, secret)


def middle(image: MedicalImage) -> MedicalImage:
    """The plane in the middle of a volume or clip that shows something."""
    if image.axes == "yx":
        return image
    if image.axes.startswith("t"):
        spatial = replace(
            image,
            array=image.array[:, image.array.shape[1] // 2],
            axes=image.axes[1:],
            spacing=image.spacing[1:],
            times=None,
        )
        return middle(spatial)
    planes, _ = planes_of(image, 0)
    if planes:
        return planes[len(planes) // 2][1]
    return replace(image, array=image.array[:, 0], axes="yx", spacing=image.spacing[-2:])


def _format(path: str) -> tuple[str, str]:
    """(format, why it is not meant to be an image or "")."""
    try:
        kind = sniff(path)
    except UnknownContentError as error:
        if suffix_of(path) in IMAGE_SUFFIXES:
            raise
        return "other", error.reason
    return kind, "" if kind in READABLE else f"{kind}: this format is not read"


def _with_header(seen: Seen, path: str, identity: Identity) -> Seen:
    """What a DICOM header says, pixels or none."""
    library = pydicom()
    facts: dict[str, str] = {}
    syntax = photometric = ""
    try:
        facts = header_facts(path)
        meta = library.filereader.read_file_meta_info(path)
        uid = library.uid.UID(str(meta.get("TransferSyntaxUID", "")))
        syntax = uid.name if uid.name != str(uid) else "unknown"
    except InputError:  # the decoder says what is wrong, by itself
        syntax = "not given"
    except errors():
        syntax = "not given"
    if identity.photometric in ("MONOCHROME1", "MONOCHROME2", "RGB", "PALETTE COLOR"):
        photometric = identity.photometric
    elif identity.photometric:
        photometric = "YBR" if identity.photometric.startswith("YBR") else "other"
    return replace(
        seen,
        facts=facts,
        syntax=syntax,
        photometric=photometric,
        identifying=identity.identifying,
        at_risk=identity.at_risk,
        in_path=identity.in_path,
    )


def _measured(seen: Seen, image: MedicalImage, secret: str) -> Seen:
    array = image.array
    plane = middle(image).array
    shown = plane.reshape(-1)[:: max(1, plane.size // _FEW)]
    low, median, high = np.percentile(shown, _PERCENTILES)
    least, greatest = array.min(), array.max()
    constant = bool(least == greatest)
    num_constant = 0
    if image.axes != "yx" and not constant:
        planes = array.reshape(len(array), -1, *array.shape[-2:])
        num_constant = int((planes.min(axis=(0, 2, 3)) == planes.max(axis=(0, 2, 3))).sum())
    small = thumbnail(plane)
    return replace(
        seen,
        status="good",
        pixel_key=pixel_hash(array),
        modality=image.modality,
        axes=image.axes,
        shape=tuple(array.shape),
        dtype=str(array.dtype),
        used_bits=_used_bits(least, greatest) if array.dtype.kind in "iu" else 0,
        spacing=tuple(float(step or 0) for step in image.spacing),
        patient=keyed_hash(bytes.fromhex(secret), image.group),
        values=(float(low), float(median), float(high)),
        coloured=len(plane) == 3 and not is_grey(plane),
        num_values=min(len(np.unique(shown)), _MANY_VALUES) if array.dtype.kind in "iub" else 0,
        constant=constant,
        num_constant=num_constant,
        fingerprint=fingerprints(small[None])[0],
        look=look_of(small),
    )


def _used_bits(least: np.generic, greatest: np.generic) -> int:
    low, high = int(least), int(greatest)
    return max(high.bit_length(), 1) if low >= 0 else max(high, -low - 1).bit_length() + 1


def look_of(small: np.ndarray) -> np.ndarray:
    """A thumbnail as (16, 16) int8 of mean 0 and standard deviation 32; all 0 if it is constant."""
    picture = resize(small[None], (LOOK_SIDE, LOOK_SIDE))[0]
    spread = float(picture.std())
    scaled = (picture - picture.mean()) * (_LOOK_UNIT / spread if spread > 0 else 0)
    look: np.ndarray = np.clip(np.rint(scaled), -127, 127).astype(np.int8)
    return look
