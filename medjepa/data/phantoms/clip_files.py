"""A synthetic clip as a file that needs no extra to be read: multi-frame DICOM, GIF, APNG."""

from pathlib import Path

import numpy as np
from PIL import Image
from pydicom.uid import UltrasoundMultiFrameImageStorage

from medjepa.data.phantoms.files import save, synthetic_header
from medjepa.data.phantoms.render import Site
from medjepa.data.phantoms.texture import FloatArray

FIELD_MM = 160.0  # width of the imaged field, so that a spacing can be told


def write_animation(path: Path, frames: FloatArray, frame_seconds: float) -> None:
    """Write frames (T, H, W) in [0, 1] as 8-bit grey GIF or APNG, by the name's ending."""
    images = [Image.fromarray(frame) for frame in _stored(frames)]
    images[0].save(
        path, save_all=True, append_images=images[1:], duration=round(1000 * frame_seconds), loop=0
    )


def write_cine(
    path: Path, frames: FloatArray, frame_seconds: float, *, site: Site, patient: str, key: str
) -> None:
    """Write frames (T, H, W) in [0, 1] as an ultrasound cine that says it is synthetic."""
    header = synthetic_header(UltrasoundMultiFrameImageStorage, key=key, patient=patient, site=site)
    header.ImageType = ["ORIGINAL", "PRIMARY"]
    header.Modality = "US"
    header.BodyPartExamined = "HEART"
    header.PatientOrientation = ""
    num_frames, rows, columns = frames.shape
    header.PixelSpacing = [f"{FIELD_MM / side:.6g}" for side in (rows, columns)]
    header.NumberOfFrames = num_frames
    header.FrameTime = f"{1000 * frame_seconds:.6g}"
    header.FrameIncrementPointer = 0x00181063  # FrameTime
    header.LossyImageCompression = "00"
    header.SamplesPerPixel = 1
    header.PhotometricInterpretation = "MONOCHROME2"
    header.Rows, header.Columns = rows, columns
    header.BitsAllocated = header.BitsStored = 8
    header.HighBit, header.PixelRepresentation = 7, 0
    header.PixelData = _stored(frames).tobytes()
    save(header, path)


def _stored(frames: FloatArray) -> "np.ndarray":
    return np.round(frames * 255).astype(np.uint8)
