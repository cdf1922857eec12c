"""One DICOM file: read, cleaned in header and pixels, and written under a new name or none."""

import io
import os
import secrets
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from medjepa.data.decode.dicom_header import read_dataset
from medjepa.data.decode.dicom_library import errors, pydicom
from medjepa.data.decode.sniff import sniff
from medjepa.data.deid.engine import clean_header
from medjepa.data.deid.identity import Identity, Quarantined
from medjepa.data.deid.markers import mark_pixels, new_meta
from medjepa.data.deid.options import Options
from medjepa.data.deid.pixels import clean_pixels
from medjepa.data.deid.pseudonyms import SECRET_BYTES, Pseudonyms
from medjepa.data.deid.strict import PIXELS
from medjepa.data.files import write_atomic
from medjepa.errors import InputError, InputWarning

if TYPE_CHECKING:
    from pydicom import Dataset
else:  # pydicom is imported guarded, on first use
    Dataset = object

_DIRECTORY = "1.2.840.10008.1.3.10"
DEVICE_COLUMNS = ("Modality", "Manufacturer", "ManufacturerModelName", "StationName",
                  "DeviceSerialNumber", "SoftwareVersions", "InstitutionName",
                  "InstitutionalDepartmentName")  # fmt: skip
"""What the private side table says of each file's scanner and hospital."""
_IMPLICIT = "1.2.840.10008.1.2"
_EXPLICIT = "1.2.840.10008.1.2.1"
_BIG_ENDIAN = "1.2.840.10008.1.2.2"


@dataclass(frozen=True)
class Cleaned:
    """A de-identified file, not yet written.

    Attributes:
        content: its bytes.
        dataset: what they hold.
        identity: the patient; private.
        steps: what was done to the pixels.
        doubts: what its owner should know, such as a face that can be seen.
        device: what the header said of scanner and hospital, by `DEVICE_COLUMNS`; private.
    """

    content: bytes
    dataset: Dataset
    identity: Identity
    steps: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    device: tuple[str, ...] = ()


def anonymize_dicom(
    input_path: str | os.PathLike[str],
    output_path: str | os.PathLike[str],
    *,
    secret: bytes | None = None,
    options: Options | None = None,
) -> None:
    """De-identify one file after PS3.15 Annex E; the strict profile unless `options` say otherwise.

    Files that are de-identified with the same `secret` (32 bytes or more) keep their relations:
    one patient, one pseudonym, one shift of dates. Without one a random secret serves this process
    only, and nothing can be linked with another's output.

    Raises:
        InputError: no DICOM file, or one that cannot be made safe; nothing is written then.
    """
    name = os.fspath(input_path)
    if Path(output_path).exists() and Path(output_path).samefile(name):
        raise InputError(name, "input and output are the same file; an original is never replaced")
    pseudonyms = Pseudonyms(secret) if secret is not None else _of_this_process()
    try:
        cleaned = clean_file(name, pseudonyms, options or Options())
    except Quarantined as reason:
        raise InputError(name, f"not de-identified: {reason}", format="DICOM") from reason
    for doubt in cleaned.doubts:
        warnings.warn(f"{name}: {doubt}", InputWarning, stacklevel=2)
    write_atomic(Path(output_path), cleaned.content)


def clean_file(path: str, pseudonyms: Pseudonyms, options: Options) -> Cleaned:
    """Read and clean one file.

    Raises:
        InputError: it is no DICOM file, or is damaged.
        Quarantined: it cannot be made safe.
    """
    kind = sniff(path)
    if kind != "DICOM":
        raise InputError(path, "not a DICOM file", format=kind)
    source = read_dataset(path)
    if _is_directory(source):
        raise InputError(path, "a DICOMDIR: a list of files, not an object", format="DICOMDIR")
    syntax = transfer_syntax_of(source)
    target, identity = clean_header(source, pseudonyms, options)
    steps: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    target.file_meta = new_meta(target, syntax)
    if any(keyword in target for keyword in PIXELS):
        result = clean_pixels(target, source, options)
        if result.quarantine:
            raise Quarantined(result.quarantine)
        steps, doubts = tuple(result.steps), tuple(result.warnings)
        mark_pixels(target)
    device = tuple(_short(source, keyword) for keyword in DEVICE_COLUMNS)
    return Cleaned(written(target), target, identity, steps, doubts, device)


def _is_directory(source: Dataset) -> bool:
    meta = getattr(source, "file_meta", None) or {}
    return "DirectoryRecordSequence" in source or meta.get("MediaStorageSOPClassUID") == _DIRECTORY


def transfer_syntax_of(source: Dataset) -> str:
    """The file's own, or that of how it was read where the header has none."""
    syntax = source.file_meta.get("TransferSyntaxUID") if hasattr(source, "file_meta") else None
    if syntax:
        return str(syntax)
    implicit, little = source.original_encoding
    return _IMPLICIT if implicit else _EXPLICIT if little is not False else _BIG_ENDIAN


def _short(source: Dataset, keyword: str) -> str:
    try:
        return " ".join(str(source.get(keyword) or "").split())[:64]
    except errors():
        return ""


def written(target: Dataset) -> bytes:
    """Return the bytes of a file.

    Raises:
        Quarantined: the data set cannot be written.
    """
    target.preamble = b"\0" * 128
    buffer = io.BytesIO()
    config = pydicom().config
    before = config.settings.writing_validation_mode
    config.settings.writing_validation_mode = config.IGNORE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pydicom().dcmwrite(buffer, target, enforce_file_format=True)
    except errors() as error:
        raise Quarantined(f"it cannot be written again ({type(error).__name__})") from error
    finally:
        config.settings.writing_validation_mode = before
    return buffer.getvalue()


@cache
def _of_this_process() -> Pseudonyms:
    warnings.warn(
        "no secret was given: pseudonyms and shifted dates hold for this process only, and "
        "nothing can be linked with other files; pass secret= (32 random bytes, kept safe)",
        InputWarning,
        stacklevel=3,
    )
    return Pseudonyms(secrets.token_bytes(SECRET_BYTES))
