"""Changed pixels go back without compression: a second lossy coding would change the rest."""

from typing import TYPE_CHECKING

import numpy as np

from medjepa.data.decode.dicom_header import check_header
from medjepa.data.decode.dicom_library import pydicom
from medjepa.data.decode.dicom_syntaxes import own_decoder

if TYPE_CHECKING:
    from pydicom import Dataset
else:  # pydicom is imported guarded, on first use
    Dataset = object

_EXPLICIT = "1.2.840.10008.1.2.1"
_JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
_BYTE = 8


def raw_pixels(target: Dataset) -> np.ndarray:
    """A copy of the stored values in their own colours; frames and samples only if several.

    Raises:
        InputError: the header cannot be, or a frame has another size.
    """
    syntax = str(target.file_meta.TransferSyntaxUID)
    if syntax == _JPEG_EXTENDED and int(target.get("BitsStored") or 0) > _BYTE:
        header = check_header("", target)
        decode = own_decoder(header, syntax)
        if decode is not None:
            return decode(header)
    return np.array(pydicom().pixels.pixel_array(target, raw=True))


def store_uncompressed(target: Dataset, pixels: np.ndarray) -> None:
    """Write raw pixels (frames, Y, X, samples) as explicit little endian, colour by pixel."""
    if int(target.SamplesPerPixel) > 1:
        target.PlanarConfiguration = 0
        if str(target.PhotometricInterpretation) in ("YBR_FULL_422", "YBR_PARTIAL_422"):
            target.PhotometricInterpretation = "YBR_FULL"  # decoding has filled up the colours
        if str(target.PhotometricInterpretation) in ("YBR_ICT", "YBR_RCT"):
            target.PhotometricInterpretation = "RGB"  # undone by the decoder
    content = np.ascontiguousarray(pixels).astype(pixels.dtype.newbyteorder("<")).tobytes()
    element = pydicom().DataElement(
        "PixelData",
        "OB" if int(target.BitsAllocated) == 8 else "OW",
        content + b"\0" * (len(content) % 2),
    )
    target["PixelData"] = element
    target.file_meta.TransferSyntaxUID = pydicom().uid.UID(_EXPLICIT)


def black(target: Dataset) -> np.ndarray:
    """The samples that are shown as black."""
    photometric = str(target.PhotometricInterpretation)
    if photometric.startswith("YBR"):
        return np.array([0, 128, 128])
    if photometric == "MONOCHROME1":
        return np.array([(1 << int(target.BitsStored)) - 1])
    return np.zeros(int(target.SamplesPerPixel), dtype=int)
