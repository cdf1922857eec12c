"""What a de-identified file says of itself (PS3.3 section C.12.1, PS3.15 section E.1.1)."""

from typing import TYPE_CHECKING

from medjepa import __version__
from medjepa.data.decode.dicom_library import pydicom
from medjepa.data.deid.options import Options

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
else:  # pydicom is imported guarded, on first use
    Dataset = FileMetaDataset = object

IMPLEMENTATION_UID = "2.25.268903745127940336481150903312086194227"
# PS3.16 CID 7050.
_CODES = {
    "basic": ("113100", "Basic Application Confidentiality Profile"),
    "clean_pixels": ("113101", "Clean Pixel Data Option"),
    "clean_faces": ("113102", "Clean Recognizable Visual Features Option"),
    "clean_graphics": ("113103", "Clean Graphics Option"),
    "clean_structured": ("113104", "Clean Structured Content Option"),
    "clean_descriptors": ("113105", "Clean Descriptors Option"),
    "keep_dates": ("113106", "Retain Longitudinal Temporal Information Full Dates Option"),
    "shift_dates": ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    "retain_patient_characteristics": ("113108", "Retain Patient Characteristics Option"),
    "retain_device": ("113109", "Retain Device Identity Option"),
    "retain_uids": ("113110", "Retain UIDs Option"),
    "retain_safe_private": ("113111", "Retain Safe Private Option"),
    "retain_institution": ("113112", "Retain Institution Identity Option"),
}


def mark(target: Dataset, options: Options) -> None:
    """Say that the patient is removed, how, and what happened to the dates."""
    target.SpecificCharacterSet = "ISO_IR 192"
    target.PatientIdentityRemoved = "YES"
    target.DeidentificationMethod = f"MedJEPA {__version__}, {options.profile} profile"
    names = ["basic", *options.columns()]
    if options.clean_faces:
        names.append("clean_faces")
    target.DeidentificationMethodCodeSequence = [_code(name) for name in names]
    target.LongitudinalTemporalInformationModified = {
        "shift": "MODIFIED", "remove": "REMOVED", "keep": "UNMODIFIED",
    }[options.dates]  # fmt: skip


def mark_pixels(target: Dataset) -> None:
    """Say that text was looked for in the pixels, and that what was found is gone."""
    target.BurnedInAnnotation = "NO"
    target.DeidentificationMethodCodeSequence.append(_code("clean_pixels"))


def new_meta(target: Dataset, transfer_syntax: str) -> FileMetaDataset:
    """File meta information that was never the original's: no titles, no private part."""
    meta: FileMetaDataset = pydicom().dataset.FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = target.SOPClassUID
    meta.MediaStorageSOPInstanceUID = target.SOPInstanceUID
    meta.TransferSyntaxUID = pydicom().uid.UID(transfer_syntax)
    meta.ImplementationClassUID = pydicom().uid.UID(IMPLEMENTATION_UID)
    meta.ImplementationVersionName = "MEDJEPA"
    return meta


def _code(name: str) -> Dataset:
    item: Dataset = pydicom().Dataset()
    item.CodeValue, item.CodeMeaning = _CODES[name]
    item.CodingSchemeDesignator = "DCM"
    return item
