"""How many small files a second does the sandboxed decoding process read?

    python benchmarks/worker_speed.py [--count 1000]

PNG of 64 x 64, JPEG of 128 x 128 and DICOM of 64 x 64 are written; each kind is read in this
process and by one persistent decoding process with its limits, in turns. Its start, up to the first
answer, is told apart; it is paid once for a whole folder.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from medjepa.data.decode import read
from medjepa.data.decode.dicom_library import pydicom
from medjepa.data.workers import map_in_processes
from medjepa.types import MedicalImage

REPEATS = 3


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    count = parser.parse_args().count
    with tempfile.TemporaryDirectory() as temporary:
        print("files            here, a second   sandboxed, a second   ratio   start, s")
        for name, write in (
            ("PNG 64 x 64", write_png),
            ("JPEG 128 x 128", write_jpeg),
            ("DICOM 64 x 64", write_dicom),
        ):
            paths = write(Path(temporary) / name.split()[0], count)
            here, apart, starts = [], [], []
            for _ in range(REPEATS):
                here.append(rate_here(paths))
                rate, start = rate_in_process(paths)
                apart.append(rate)
                starts.append(start)
            ratio = np.median(np.array(apart) / np.array(here))
            print(
                f"{name:<15}  {np.median(here):>14,.0f}   {np.median(apart):>19,.0f}   {ratio:.2f}"
                f"   {np.median(starts):>8.2f}"
            )


def rate_here(paths: list[str]) -> float:
    """Files a second, read in this process."""
    begin = time.perf_counter()
    for path in paths:
        read(path)
    return len(paths) / (time.perf_counter() - begin)


def rate_in_process(paths: list[str]) -> tuple[float, float]:
    """Files a second after the first answer of one decoding process, and seconds up to it."""
    begin = time.perf_counter()
    results = map_in_processes(
        read, paths, (), on_death=str, num_workers=1, results=(MedicalImage,)
    )
    next(results)
    first = time.perf_counter()
    assert all(isinstance(result, MedicalImage) for result in results)
    return (len(paths) - 1) / (time.perf_counter() - first), first - begin


def write_png(folder: Path, count: int) -> list[str]:
    """Write grey noise."""
    return [_saved(folder / f"{n}.png", _noise(n, 64), compress_level=1) for n in range(count)]


def write_jpeg(folder: Path, count: int) -> list[str]:
    """Write smooth grey pictures."""
    ramp = np.add.outer(np.arange(128), np.arange(128)).astype(np.uint8)
    return [_saved(folder / f"{n}.jpg", ramp + np.uint8(n % 200)) for n in range(count)]


def write_dicom(folder: Path, count: int, side: int = 64, **tags: object) -> list[str]:
    """Write CT images of 16 bits."""
    library = pydicom()
    from pydicom.dataset import FileDataset, FileMetaDataset

    folder.mkdir(parents=True)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = library.uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    paths = []
    for number in range(count):
        dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        for name, value in {
            "SOPClassUID": meta.MediaStorageSOPClassUID, "SOPInstanceUID": "1.2.3",
            "Modality": "CT", "Rows": side, "Columns": side, "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": 16, "BitsStored": 16,
            "HighBit": 15, "PixelRepresentation": 0, "RescaleSlope": 1, "RescaleIntercept": -1024,
            "PixelSpacing": [0.5, 0.5], **tags,
        }.items():  # fmt: skip
            setattr(dataset, name, value)
        dataset.PixelData = _noise(number, side).astype(np.uint16).tobytes()
        path = folder / f"{number}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        paths.append(str(path))
    return paths


def _saved(path: Path, pixels: np.ndarray, **options: int) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)  # type: ignore[arg-type]
    return str(path)


def _noise(seed: int, side: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side), dtype=np.uint8)


if __name__ == "__main__":
    main()
