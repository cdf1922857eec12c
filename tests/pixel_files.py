"""DICOM data sets with pixels and little else, and texts to burn in."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from medjepa.data.decode.dicom_library import pydicom

CT, SC = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.7"
US = "1.2.840.10008.5.1.4.1.1.3.1"
EXPLICIT, BIG, JPEG, J2K = (
    "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.90",
)  # fmt: skip


def made(pixels, sop=CT, syntax=EXPLICIT, stored=12, **more):
    library = pydicom()
    data = library.Dataset()
    data.file_meta = library.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = library.uid.UID(syntax)
    data.SOPClassUID, data.Modality = sop, {CT: "CT", US: "US"}.get(sop, "OT")
    shape = pixels.shape
    colour = pixels.ndim > 2 and shape[-1] == 3
    data.Rows, data.Columns = shape[-3:-1] if colour else shape[-2:]
    data.NumberOfFrames = shape[0] if pixels.ndim == 3 + colour else 1
    data.SamplesPerPixel = 3 if colour else 1
    data.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        data.PlanarConfiguration = 0
    bits = pixels.dtype.itemsize * 8
    data.BitsAllocated, data.BitsStored = bits, min(stored, bits)
    data.HighBit, data.PixelRepresentation = data.BitsStored - 1, int(pixels.dtype.kind == "i")
    order = ">" if syntax == BIG else "<"
    data.PixelData = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    data["PixelData"].VR = "OB" if bits == 8 else "OW"
    for name, value in more.items():
        setattr(data, name, value)
    return data


def text(label, size=16):
    font = ImageFont.load_default(size)
    canvas = Image.new("L", (int(font.getlength(label)) + 4, 2 * size))
    ImageDraw.Draw(canvas).text((1, 1), label, 255, font=font)
    return np.asarray(canvas) > 127
