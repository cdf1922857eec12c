"""What the stacking of slices needs of each header."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from medjepa.data.decode.dicom_geometry import plane_of, position_of, positive
from medjepa.data.decode.dicom_header import naming, read_dataset

_MOMENT = (
    "TriggerTime", "TemporalPositionIdentifier", "EchoTime", "EchoNumbers", "DiffusionBValue",
    "AcquisitionNumber", "AcquisitionTime", "ContentTime",
)  # fmt: skip


@dataclass(frozen=True)
class SliceHeader:
    """The part of a DICOM image's header that places it among others.

    Attributes:
        path: of the file.
        series: SeriesInstanceUID, "" if none.
        patient: PatientID; private.
        frame_of_reference: FrameOfReferenceUID.
        num_frames: in the file.
        rows: height.
        columns: width.
        photometric: PhotometricInterpretation.
        modality: Modality.
        spacing: (y, x) in mm.
        plane: unit vectors along y and x, None if unknown.
        position: of the first pixel, None if unknown.
        number: InstanceNumber.
        thickness: SliceThickness in mm.
        slice_gap: SpacingBetweenSlices, else the thickness, in mm.
        moment: attributes that tell slices at one place apart.
    """

    path: str
    series: str
    patient: str
    frame_of_reference: str
    num_frames: int
    rows: int
    columns: int
    photometric: str
    modality: str
    spacing: tuple[float | None, float | None]
    plane: tuple[np.ndarray, np.ndarray] | None
    position: np.ndarray | None
    number: int | None
    thickness: float | None
    slice_gap: float | None
    moment: tuple[Any, ...]


def slice_header(path: str) -> SliceHeader | None:
    """Read a header; None for an object that is no image.

    Raises:
        InputError: it cannot be read.
    """
    dataset = read_dataset(path, header_only=True)
    with naming(path, "the header is damaged"):
        if not dataset.get("Rows") or not dataset.get("Columns"):
            return None
        number = dataset.get("InstanceNumber")
        steps = dataset.get("PixelSpacing") or dataset.get("ImagerPixelSpacing") or (None, None)
        thickness = positive(dataset.get("SliceThickness"))
        return SliceHeader(
            path=path,
            series=str(dataset.get("SeriesInstanceUID") or ""),
            patient=str(dataset.get("PatientID") or "").strip(),
            frame_of_reference=str(dataset.get("FrameOfReferenceUID") or ""),
            num_frames=int(dataset.get("NumberOfFrames") or 1),
            rows=int(dataset.Rows),
            columns=int(dataset.Columns),
            photometric=str(dataset.get("PhotometricInterpretation") or ""),
            modality=str(dataset.get("Modality") or ""),
            spacing=(positive(steps[0]), positive(steps[1])),
            plane=plane_of(dataset),
            position=position_of(dataset),
            number=int(number) if number not in (None, "") else None,
            thickness=thickness,
            slice_gap=positive(dataset.get("SpacingBetweenSlices")) or thickness,
            moment=tuple(_plain(dataset.get(name)) for name in _MOMENT),
        )


def _plain(value: object) -> float | str:
    if value is None or value == "":
        return ""
    try:
        return float(str(value))
    except ValueError:
        return str(value)
