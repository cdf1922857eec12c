"""Whole files to damage: made in code, and real ones where they are at hand."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from fuzz.media import media
from medjepa.data.decode.dicom_library import pydicom

MAX_BYTES = 600_000


@dataclass(frozen=True)
class Source:
    """A file to damage.

    Attributes:
        name: for the record.
        content: its bytes.
    """

    name: str
    content: bytes


def made_in_code() -> list[Source]:
    """One small file of each format."""
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (24, 20), dtype=np.uint8)
    colour = rng.integers(0, 256, (24, 20, 3), dtype=np.uint8)
    deep = rng.integers(0, 65536, (24, 20), dtype=np.uint16)
    sources = [
        _pillow("grey.png", grey), _pillow("colour.png", colour), _pillow("deep.png", deep),
        _pillow("grey.jpg", grey), _pillow("colour.jpg", colour), _pillow("progressive.jpg",
        colour, progressive=True), _pillow("grey.gif", grey), _pillow("grey.tif", grey),
    ]  # fmt: skip
    frames = [Image.fromarray(rng.integers(0, 256, (24, 20), dtype=np.uint8)) for _ in range(4)]
    for name in ("frames.gif", "pages.tif"):
        sources.append(_pillow(name, grey, save_all=True, append_images=frames, duration=40))
    sources += [*_tiffs(deep, colour), *_niftis(rng), *_arrays(deep), *_dicoms(deep)]
    sources += [Source(name, content) for name, content in media(rng)]
    return sources


def real_files(folders: list[Path]) -> list[Source]:
    """Every file below the folders that is small enough to be damaged often."""
    return [
        Source(f"{folder.name}/{path.relative_to(folder).as_posix()}", path.read_bytes())
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file() and 0 < path.stat().st_size <= MAX_BYTES
    ]


def _pillow(name: str, array: np.ndarray, **options: object) -> Source:
    buffer = io.BytesIO()
    kind = {"jpg": "JPEG", "tif": "TIFF", "gif": "GIF"}.get(name.rpartition(".")[2], "PNG")
    Image.fromarray(array).save(buffer, kind, **options)
    return Source(name, buffer.getvalue())


def _tiffs(deep: np.ndarray, colour: np.ndarray) -> list[Source]:
    import tifffile

    sources = []
    for name, array, options in (
        ("deflate.tif", deep, {"compression": "zlib", "predictor": True}),
        ("tiles.tif", np.tile(deep, (3, 3)), {"tile": (16, 16)}),
        ("float.tif", deep.astype(np.float32), {}),
        ("big.tif", colour, {"bigtiff": True}),
        (
            "stack.tif",
            np.stack([deep, deep + 1, deep + 2, deep + 3]),
            {"byteorder": ">", "photometric": "minisblack"},
        ),
    ):
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, array, **options)  # type: ignore[arg-type]
        sources.append(Source(name, buffer.getvalue()))
    return sources


def _niftis(rng: np.random.Generator) -> list[Source]:
    import gzip

    import nibabel

    sources = []
    for name, shape, dtype in (
        ("short.nii", (8, 7, 6), np.int16),
        ("float.nii", (8, 7, 6), np.float32),
        ("series.nii", (6, 5, 4, 3), np.uint8),
    ):
        array = (rng.random(shape) * 200).astype(dtype)
        for kind in (nibabel.Nifti1Image, nibabel.Nifti2Image):
            content = kind(array, np.diag([1, 2, 3, 1])).to_bytes()
            sources.append(Source(f"{kind.__name__}-{name}", content))
    sources.append(Source("short.nii.gz", gzip.compress(sources[0].content)))
    return sources


def _arrays(deep: np.ndarray) -> list[Source]:
    sources = []
    for array in (deep, np.stack([deep] * 3).astype(np.float32)):
        buffer = io.BytesIO()
        np.save(buffer, array)
        sources.append(Source(f"{array.dtype}.npy", buffer.getvalue()))
    return sources


def _dicoms(deep: np.ndarray) -> list[Source]:
    library = pydicom()
    from pydicom.dataset import FileDataset, FileMetaDataset, Dataset  # noqa: I001

    sources = []
    for name, syntax, frames in (
        ("explicit.dcm", library.uid.ExplicitVRLittleEndian, 1),
        ("implicit.dcm", library.uid.ImplicitVRLittleEndian, 1),
        ("frames.dcm", library.uid.ExplicitVRLittleEndian, 3),
    ):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = syntax
        meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        meta.MediaStorageSOPInstanceUID = "1.2.3.4"
        dataset = FileDataset(name, {}, file_meta=meta, preamble=b"\0" * 128)
        values = {
            "SOPClassUID": meta.MediaStorageSOPClassUID, "SOPInstanceUID": "1.2.3.4",
            "PatientIdentityRemoved": "YES", "Modality": "CT", "Rows": deep.shape[0],
            "Columns": deep.shape[1], "SamplesPerPixel": 1, "BitsAllocated": 16, "BitsStored": 16,
            "PhotometricInterpretation": "MONOCHROME2", "HighBit": 15, "PixelRepresentation": 0,
            "PixelSpacing": [0.5, 0.7], "RescaleSlope": 1, "RescaleIntercept": -1024,
            "WindowCenter": 40, "WindowWidth": 400, "PixelPaddingValue": 0,
        }  # fmt: skip
        for key, value in values.items():
            setattr(dataset, key, value)
        if frames > 1:
            dataset.NumberOfFrames, dataset.FrameTime = frames, 33
        inner = Dataset()
        inner.CodeMeaning = "a nested item"
        dataset.ProcedureCodeSequence = [inner]
        dataset.PixelData = deep.tobytes() * frames
        buffer = io.BytesIO()
        dataset.save_as(buffer, enforce_file_format=True)
        sources.append(Source(name, buffer.getvalue()))
    return sources
