"""DICOM as numbers and a few facts, for those who want no more; one file without its patient."""

import os
from typing import TypedDict

import numpy as np

from medjepa.data.decode.dicom import decode
from medjepa.data.decode.dicom_header import read_dataset
from medjepa.data.decode.sniff import sniff
from medjepa.data.deid.single import anonymize_dicom
from medjepa.errors import InputError

__all__ = ["DicomInfo", "anonymize_dicom", "extract_pixel_data", "get_dicom_info"]


class DicomInfo(TypedDict):
    """What `get_dicom_info` tells; None where the file does not say. Nothing of the patient."""

    rows: int | None
    columns: int | None
    modality: str | None
    bits_stored: int | None
    pixel_spacing: tuple[float, ...] | None
    slice_thickness: float | None


def extract_pixel_data(path: str | os.PathLike[str]) -> np.ndarray:
    """Read one frame as float32 (H, W) or (H, W, 3) in its own units, HU for CT.

    Rescale and VOI LUT are applied and MONOCHROME1 is inverted; a window does not clip.

    Raises:
        InputError: not a DICOM image, or a damaged one.
    """
    name = _dicom(path)
    array = decode(name, "DICOM").array.astype(np.float32)
    return array[0] if array.shape[0] == 1 else np.ascontiguousarray(np.moveaxis(array, 0, 2))


def get_dicom_info(path: str | os.PathLike[str]) -> DicomInfo:
    """Read the size, modality, bits and spacing (mm) from the header.

    Raises:
        InputError: not a DICOM file, or a damaged one.
    """
    name = _dicom(path)
    dataset = read_dataset(name)
    try:
        return DicomInfo(
            rows=_whole(dataset.get("Rows")),
            columns=_whole(dataset.get("Columns")),
            modality=str(dataset.get("Modality") or "") or None,
            bits_stored=_whole(dataset.get("BitsStored")),
            pixel_spacing=tuple(float(v) for v in dataset.get("PixelSpacing") or ()) or None,
            slice_thickness=_number(dataset.get("SliceThickness")),
        )
    except (TypeError, ValueError) as error:
        raise InputError(name, f"the header is damaged: {error}", format="DICOM") from error


def _dicom(path: str | os.PathLike[str]) -> str:
    name = os.fspath(path)
    kind = sniff(name)
    if kind != "DICOM":
        raise InputError(name, "not a DICOM file", format=kind)
    return name


def _whole(value: str | int | None) -> int | None:
    return None if value is None or value == "" else int(value)


def _number(value: str | float | None) -> float | None:
    return None if value is None or value == "" else float(value)
