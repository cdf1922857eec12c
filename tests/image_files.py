"""Small medical files made in code, for the tests of the readers and of `prepare`."""

import struct
import zlib
from pathlib import Path

import nibabel
import numpy as np
from PIL import Image

from medjepa.data.decode.dicom_library import pydicom


def grey(seed: int, shape=(20, 24), dtype=np.uint8) -> np.ndarray:
    """Return an image of its own, over the whole range of the dtype."""
    info = np.iinfo(dtype)
    return np.random.default_rng(seed).integers(info.min, info.max, shape, dtype=dtype)


def write_png(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def write_dicom(path: Path, stored: np.ndarray, **tags) -> Path:
    """Write a CT image of 16 bits; `tags` overrides, None leaves out."""
    library = pydicom()
    from pydicom.dataset import FileDataset, FileMetaDataset

    path.parent.mkdir(parents=True, exist_ok=True)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = library.uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    meta.MediaStorageSOPInstanceUID = library.uid.generate_uid()
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    values = {
        "SOPClassUID": meta.MediaStorageSOPClassUID,
        "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
        "PatientID": "SECRET-77",
        "PatientName": "Doe^Jane",
        "PatientIdentityRemoved": "YES",
        "Modality": "CT",
        "Rows": stored.shape[0],
        "Columns": stored.shape[1],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": stored.dtype.itemsize * 8,
        "BitsStored": stored.dtype.itemsize * 8,
        "HighBit": stored.dtype.itemsize * 8 - 1,
        "PixelRepresentation": int(stored.dtype.kind == "i"),
        "PixelSpacing": [0.5, 0.75],
        **tags,
    }
    for name, value in values.items():
        if value is not None:
            setattr(dataset, name, value)
    dataset.PixelData = stored.tobytes() + b"\0" * (stored.nbytes % 2)
    dataset.save_as(path, enforce_file_format=True)
    return path


def write_nifti(path: Path, array_xyz: np.ndarray, affine: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array_xyz, affine), path)
    return path


def png_bomb() -> bytes:
    """Return the beginning of a PNG whose valid header asks for 2^31 x 2^31 pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 0, 0, 0, 0)
    end = struct.pack(">I", zlib.crc32(header)) + struct.pack(">I", 0) + b"IDAT"
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + end


def broken_files(folder: Path, count: int) -> list[str]:
    """Write `count` files that should be images and are not; returns their names."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = write_png(folder / "whole.png", grey(7, (64, 64))).read_bytes()
    (folder / "whole.png").unlink()
    dicom = write_dicom(folder / "whole.dcm", grey(8, dtype=np.uint16)).read_bytes()
    (folder / "whole.dcm").unlink()
    nan = np.full((8, 8), np.nan, np.float32)
    makers = [
        lambda path: path.with_suffix(".png").write_bytes(whole[: len(whole) // 2]),
        lambda path: path.with_suffix(".png").write_bytes(b""),
        lambda path: path.with_suffix(".jpg").write_text("<svg>not a picture</svg>"),
        lambda path: path.with_suffix(".dcm").write_bytes(dicom[:-200]),
        lambda path: path.with_suffix(".png").write_bytes(png_bomb()),
        lambda path: np.save(path.with_suffix(".npy"), nan),
        lambda path: np.save(path.with_suffix(".npy"), np.array([{}], object), allow_pickle=True),
        lambda path: path.with_suffix(".nii").write_bytes(b"\x5c\x01\0\0" + b"\xff" * 400),
    ]
    for number in range(count):
        makers[number % len(makers)](folder / f"broken{number:02d}")
    return sorted(path.name for path in folder.iterdir())
