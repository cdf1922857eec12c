"""One radiograph as a file: 16-bit PNG, or DICOM with fake headers; what all such headers say."""

import hashlib
import uuid
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

from medjepa.data.phantoms.render import Site
from medjepa.data.phantoms.texture import FloatArray

FIELD_MM = 400.0  # width of the imaged field, so that a spacing can be told


def write_png(path: Path, image: FloatArray) -> None:
    """Write displayed grey in [0, 1] as 16-bit PNG."""
    Image.fromarray(_stored(image, 16)).save(path, format="PNG", compress_level=6)


def write_mask(path: Path, mask: NDArray[np.bool_]) -> None:
    """Write a mask as 8-bit PNG: 255 where the finding is."""
    Image.fromarray(mask.astype(np.uint8) * 255).save(path, format="PNG")


def write_dicom(
    path: Path, image: FloatArray, *, site: Site, patient: str, number: int, seed: int
) -> None:
    """Write displayed grey in [0, 1] as a DX image that says it is synthetic.

    Unique identifiers are 2.25 UIDs of a hash (PS3.5 B.2), so that a seed gives the same bytes.
    """
    header = synthetic_header(
        DigitalXRayImageStorageForPresentation,
        key=f"{seed}/{image.shape[0]}/{patient}/{number}", patient=patient, site=site,
    )  # fmt: skip
    header.ImageType = ["DERIVED", "PRIMARY"]
    header.Modality = "DX"
    header.PresentationIntentType = "FOR PRESENTATION"
    header.BodyPartExamined = "CHEST"
    header.ViewPosition = "PA"
    header.PatientOrientation = ["L", "F"]
    header.ImagerPixelSpacing = [f"{FIELD_MM / side:.6g}" for side in image.shape]
    header.PixelIntensityRelationship = "LOG"
    header.PixelIntensityRelationshipSign = 1 if site.inverted else -1
    header.PresentationLUTShape = "INVERSE" if site.inverted else "IDENTITY"
    header.LossyImageCompression = "00"
    highest = 2**site.bits - 1
    header.WindowCenter, header.WindowWidth = (highest + 1) // 2, highest + 1
    header.RescaleIntercept, header.RescaleSlope, header.RescaleType = 0, 1, "US"
    header.SamplesPerPixel = 1
    header.PhotometricInterpretation = "MONOCHROME1" if site.inverted else "MONOCHROME2"
    header.Rows, header.Columns = image.shape
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, site.bits, site.bits - 1
    header.PixelRepresentation = 0
    stored = _stored(image, site.bits)
    header.PixelData = (highest - stored if site.inverted else stored).astype("<u2").tobytes()
    save(header, path)


def synthetic_header(storage: UID, *, key: str, patient: str, site: Site) -> Dataset:
    """Start a header that says there is no patient; `key` decides its unique identifiers."""
    header = Dataset()
    header.SpecificCharacterSet = "ISO_IR 192"
    header.SOPClassUID = storage
    header.SOPInstanceUID = _uid("instance", key)
    header.StudyDate = header.StudyTime = header.AccessionNumber = ""
    header.Manufacturer = "MedJEPA phantom"
    header.InstitutionName = f"SYNTHETIC {site.name.upper()}"
    header.ReferringPhysicianName = ""
    header.StudyDescription = "Synthetic phantom, not a patient"
    header.PatientName = patient.replace("-", "^", 1)
    header.PatientID = patient
    header.PatientBirthDate = header.PatientSex = ""
    header.PatientIdentityRemoved = "YES"
    header.DeidentificationMethod = "Synthetic phantom: there never was a patient"
    header.StudyInstanceUID = _uid("study", key)
    header.SeriesInstanceUID = _uid("series", key)
    header.StudyID = ""
    header.SeriesNumber, header.InstanceNumber = 1, 1
    header.BurnedInAnnotation = "NO"
    return header


def save(header: Dataset, path: Path) -> None:
    """Write a header with its pixels, uncompressed."""
    header.file_meta = _file_meta(header)
    header.save_as(path, enforce_file_format=True)


def _file_meta(header: Dataset) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = header.SOPClassUID
    meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    # Named here, or the bytes would depend on pydicom's version.
    meta.ImplementationClassUID = _uid("implementation", "medjepa phantoms")
    meta.ImplementationVersionName = "MEDJEPA_PHANTOM"
    return meta


def _uid(kind: str, key: str) -> UID:
    digest = hashlib.sha256(f"{kind}:{key}".encode()).digest()
    return UID(f"2.25.{uuid.UUID(bytes=digest[:16], version=4).int}")


def _stored(image: FloatArray, bits: int) -> NDArray[np.uint16]:
    stored: NDArray[np.uint16] = np.round(image.astype(np.float64) * (2**bits - 1)).astype("<u2")
    return stored
