"""What in a file could name its patient: the header, its path, a picture's metadata.

Only keywords leave these functions, never values; they run in decoding processes.
"""

import re
import struct
from dataclasses import dataclass, field
from pathlib import PurePath

from PIL import ExifTags, Image

from medjepa.data.decode.dicom_header import read_dataset
from medjepa.data.decode.dicom_library import errors
from medjepa.data.deid.pixels.risk import needs_regions, why_at_risk
from medjepa.data.privacy import IDENTIFYING, identifies
from medjepa.errors import InputError

_NUMBERS = (
    "PatientID", "OtherPatientIDs", "AccessionNumber", "StudyID", "PatientBirthDate",
    "AdmissionID",
)  # fmt: skip
_NAMES = (
    "PatientName", "OtherPatientNames", "PatientBirthName", "PatientMotherBirthName",
    "ReferringPhysicianName", "PerformingPhysicianName", "OperatorsName",
    "NameOfPhysiciansReadingStudy", "RequestingPhysician", "ResponsiblePerson",
)  # fmt: skip
_OTHER = (
    "PatientIdentityRemoved", "PhotometricInterpretation", "SOPClassUID", "Modality", "ImageType",
    "BurnedInAnnotation", "ConversionType",
)  # fmt: skip
_OF_THE_PATIENT = frozenset(IDENTIFYING) & {*_NUMBERS, *_NAMES}
_MIN_NUMBER, _MIN_NAME = 4, 3
_GPS_IFD, _EXIF_IFD = 0x8825, 0x8769
_EXIF = (
    "Artist", "ImageDescription", "XPAuthor", "XPComment", "XPTitle", "XPSubject", "XPKeywords",
    "Copyright", "DateTime", "HostComputer", "UserComment", "CameraOwnerName", "BodySerialNumber",
    "DateTimeOriginal", "ImageUniqueID",
)  # fmt: skip
_TEXTS = (
    "comment",
    "Comment",
    "Author",
    "Description",
    "Title",
    "Source",
    "xmp",
    "XML:com.adobe.xmp",
)
_DATE = re.compile(
    r"(?<!\d)(?:(?:19|20)\d\d([-_.]?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12]\d|3[01])"
    r"|(?:0[1-9]|[12]\d|3[01])([-_.])(?:0[1-9]|1[0-2])\2(?:19|20)\d\d)(?!\d)"
)


@dataclass(frozen=True)
class Identity:
    """What a DICOM header says of who it is.

    Attributes:
        identifying: keywords of attributes that name the patient.
        in_path: keywords of attributes whose value stands in the path.
        photometric: PhotometricInterpretation.
        at_risk: whether objects of its kind often have text burned in.
        values: the names and numbers themselves; they do not leave the process.
    """

    identifying: tuple[str, ...] = ()
    in_path: tuple[str, ...] = ()
    photometric: str = ""
    at_risk: bool = False
    values: tuple[str, ...] = field(default=(), repr=False)


NOBODY = Identity()


def identity_of(path: str, relative: str) -> Identity:
    """Read a DICOM header for names; a header that cannot be parsed names nobody."""
    tags = [*_NUMBERS, *_NAMES, *_OTHER]
    try:
        dataset = read_dataset(path, header_only=True, tags=tags)
        texts = {name: str(dataset.get(name) or "").strip() for name in (*_NUMBERS, *_NAMES)}
        removed = str(dataset.get("PatientIdentityRemoved") or "").strip().upper() == "YES"
        photometric = str(dataset.get("PhotometricInterpretation") or "").strip().upper()
        at_risk = needs_regions(dataset) or bool(why_at_risk(dataset))
        identifying = tuple(identifies(path))
    except InputError:
        return NOBODY
    except errors():
        return NOBODY
    parts = {name: _parts(name, text) for name, text in texts.items()}
    # The pseudonyms of a file without its patient may well name the file.
    in_path = () if removed else tuple(n for n, p in parts.items() if _stands_in(relative, n, p))
    values = tuple(part for found in parts.values() for part in found)
    return Identity(identifying, in_path, photometric, at_risk, values)


def without_names(text: str, path: str, identity: Identity) -> str:
    """A message without the path, and without anything that the header says of a person."""
    text = text.removeprefix(path).lstrip(": ")
    for value in sorted({*identity.values, path, PurePath(path).name}, key=len, reverse=True):
        text = re.sub(re.escape(value), "[removed]", text, flags=re.IGNORECASE)
    return text


def dated(relative: str) -> bool:
    """Whether a date stands in a path, as of a birth or an examination."""
    return bool(_DATE.search(relative))


def remarks(path: str, kind: str) -> tuple[str, ...]:
    """Names of the metadata of a picture that may say who, where and when."""
    if kind not in ("JPEG", "PNG", "TIFF"):
        return ()
    try:
        with Image.open(path) as image:
            exif = image.getexif()
            tags = {**exif, **exif.get_ifd(_EXIF_IFD)}
            found = ["GPS"] if exif.get_ifd(_GPS_IFD) else []
            names = {ExifTags.TAGS.get(tag, ""): value for tag, value in tags.items()}
            found += [name for name in _EXIF if str(names.get(name) or "").strip(" \0")]
            found += [
                f"{name} (text)" for name in _TEXTS if str(image.info.get(name) or "").strip()
            ]
    except (OSError, ValueError, SyntaxError, struct.error, Image.DecompressionBombError):
        return ()  # the picture was read by a reader that looks at the pixels only
    return tuple(found)


def _parts(name: str, text: str) -> tuple[str, ...]:
    if name in _NUMBERS:
        return (text,) if len(text) >= _MIN_NUMBER else ()
    return tuple(p for p in re.split(r"[\W\d_]+", text) if len(p) >= _MIN_NAME)


def _stands_in(relative: str, name: str, parts: tuple[str, ...]) -> bool:
    if name not in _OF_THE_PATIENT:
        return False
    lowered = relative.lower()
    if name in _NUMBERS:
        bounds = (rf"(?<![a-z0-9]){re.escape(part.lower())}(?![a-z0-9])" for part in parts)
        return any(re.search(bound, lowered) for bound in bounds)
    words = set(re.split(r"[\W\d_]+", PurePath(lowered).as_posix()))
    return any(part.lower() in words for part in parts)
