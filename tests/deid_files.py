"""DICOM objects made in code for the tests of de-identification; every name in them is invented."""

import io

import numpy as np

from medjepa.data.decode.dicom_library import pydicom
from medjepa.data.deid.engine import clean_header
from medjepa.data.deid.options import Options
from medjepa.data.deid.pseudonyms import Pseudonyms

SECRET = b"a secret of the tests, 32 bytes!"
CT = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT = "1.2.840.10008.1.2"


def ct(**tags):
    """Return a small CT image; `tags` overrides, None leaves out."""
    from pydicom.dataset import FileMetaDataset

    dataset = pydicom().Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom().uid.UID(IMPLICIT)
    values = {
        "SOPClassUID": CT, "SOPInstanceUID": "1.2.3.4.5", "StudyInstanceUID": "1.2.3.4.6",
        "SeriesInstanceUID": "1.2.3.4.7", "Modality": "CT", "PatientID": "MRN-4711",
        "PatientName": "Doe^Jane", "StudyDate": "20010203", "Rows": 8, "Columns": 8,
        "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": 16,
        "BitsStored": 12, "HighBit": 11, "PixelRepresentation": 0, "RescaleSlope": "1",
        "RescaleIntercept": "-1024", **tags,
    }  # fmt: skip
    for name, value in values.items():
        if value is not None:
            setattr(dataset, name, value)
    dataset.add_new(0x7FE00010, "OW", np.arange(64, dtype="<u2").tobytes())
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def written(dataset) -> bytes:
    """Return the bytes of the file, as wrong as its values may be."""
    buffer = io.BytesIO()
    settings = pydicom().config.settings
    before = settings.writing_validation_mode
    settings.writing_validation_mode = pydicom().config.IGNORE
    try:
        pydicom().dcmwrite(buffer, dataset, enforce_file_format=True)
    finally:
        settings.writing_validation_mode = before
    return buffer.getvalue()


def reread(dataset):
    """Return the object as read from its file, so that every value is still raw."""
    return pydicom().dcmread(io.BytesIO(written(dataset)))


def clean(dataset, secret: bytes = SECRET, **options):
    """Return the header without the patient."""
    return clean_header(dataset, Pseudonyms(secret), Options(**options))[0]


def plant(dataset, tag: int, vr: str, value: str | bytes) -> None:
    """Add an element of any type with any bytes; implicit VR leaves the type to the reader."""
    kind = "OB" if isinstance(value, bytes) else "LT"
    element = pydicom().DataElement(0x00091001, kind, value)
    element.tag = pydicom().tag.Tag(tag)
    dataset.add(element)
