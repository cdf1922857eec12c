"""A DICOM header, read with limits and checked before any pixel is."""

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from medjepa.data.decode.dicom_deflated import read_deflated
from medjepa.data.decode.dicom_library import errors, pydicom
from medjepa.data.decode.limits import check_budget
from medjepa.errors import InputError, InputWarning

if TYPE_CHECKING:
    from pydicom import Dataset
else:  # pydicom is imported guarded, on first use
    Dataset = object

_MODALITIES = {
    "CR": "xray", "DX": "xray", "DR": "xray", "RG": "xray", "MG": "xray", "PX": "xray",
    "IO": "xray", "RF": "xray", "XA": "xray", "XC": "generic", "CT": "ct", "MR": "mri",
    "US": "ultrasound", "IVUS": "ultrasound", "OP": "retina", "OPT": "retina", "OCT": "retina",
    "SM": "histology", "GM": "histology", "DMS": "skin", "ES": "generic",
}  # fmt: skip
_SAMPLES = {
    "MONOCHROME1": 1, "MONOCHROME2": 1, "PALETTE COLOR": 1, "RGB": 3, "YBR_FULL": 3,
    "YBR_FULL_422": 3, "YBR_PARTIAL_420": 3, "YBR_PARTIAL_422": 3, "YBR_ICT": 3, "YBR_RCT": 3,
}  # fmt: skip
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_SQUARE_TOLERANCE = 0.01


@dataclass(frozen=True)
class Header:
    """The checked part of a header.

    Attributes:
        path: of the file.
        dataset: the whole of it (pydicom).
        frames: how many.
        rows: height.
        columns: width.
        samples: per pixel.
        photometric: a known PhotometricInterpretation.
        signed: whether stored values are.
        bits_allocated: per sample.
        bits_stored: per sample.
        spacing: (y, x) in mm, None where it does not say.
        modality: one of `medjepa.types.MODALITIES`.
        patient: PatientID; private.
    """

    path: str
    dataset: Dataset
    frames: int
    rows: int
    columns: int
    samples: int
    photometric: str
    signed: bool
    bits_allocated: int
    bits_stored: int
    spacing: tuple[float | None, float | None]
    modality: str
    patient: str


@contextmanager
def naming(path: str, doing: str) -> Iterator[None]:
    """Turn what pydicom raises into an `InputError`, and its character set warnings into ours."""
    with warnings.catch_warnings(record=True) as doubts:
        warnings.simplefilter("always")
        try:
            yield
        except InputError:
            raise
        except RecursionError as error:
            raise InputError(
                path, "sequences are nested too deep (recursion limit)", format="DICOM"
            ) from error
        except MemoryError as error:
            raise InputError(
                path, f"{doing}: a length in it is larger than the memory", format="DICOM"
            ) from error
        except errors() as error:
            text = " ".join(str(error).split())[:200] or type(error).__name__
            raise InputError(path, f"{doing}: {text}", format="DICOM") from error
    for doubt in doubts:
        text = str(doubt.message)
        if issubclass(doubt.category, InputWarning):
            warnings.warn(doubt.message, stacklevel=4)
        elif "encoding" in text.lower() or "character set" in text.lower():
            warnings.warn(f"{path}: character set: {text}", InputWarning, stacklevel=4)


def read_header(path: str) -> Header:
    """Read and check an image's header; the pixels stay as bytes in the dataset.

    Raises:
        InputError: no image, or values that cannot be.
    """
    dataset = read_dataset(path)
    with naming(path, "the header is damaged"):
        if not any(name in dataset for name in _PIXELS):
            what = getattr(dataset.get("SOPClassUID"), "name", "not an image")
            raise InputError(path, f"no pixel data: {what}", format="DICOM")
        return check_header(path, dataset)


def read_dataset(
    path: str, *, header_only: bool = False, tags: Sequence[str] | None = None
) -> Dataset:
    """Parse the file, or what stands before its pixels; a deflated one is inflated with a limit.

    `tags` are the keywords of what is wanted, all by default.
    """
    library = pydicom()
    wanted = None if tags is None else list(tags)
    with naming(path, "truncated or damaged"), Path(path).open("rb") as file:
        dataset = read_deflated(path, file, header_only=header_only, tags=wanted)
        if dataset is None:
            file.seek(0)
            dataset = library.dcmread(
                file, force=True, stop_before_pixels=header_only, specific_tags=wanted
            )
        if not dataset and tags is None:
            raise InputError(path, "no data elements: truncated after the preamble", format="DICOM")
        return dataset


def modality_of(dataset: Dataset) -> str:
    """The kind of image, by the Modality tag."""
    return _MODALITIES.get(str(dataset.get("Modality", "")).strip().upper(), "generic")


def check_header(path: str, dataset: Dataset) -> Header:
    """The checked part of a header that has been read.

    Raises:
        InputError: values that cannot be; its text begins with `path`.
    """

    def refuse(reason: str) -> InputError:
        return InputError(path, reason, format="DICOM")

    frames = _integer(dataset, "NumberOfFrames", 1)
    if frames is None or frames < 1:
        raise refuse("NumberOfFrames is not a positive number")
    rows, columns = _integer(dataset, "Rows", 0), _integer(dataset, "Columns", 0)
    if not rows or not columns or rows < 0 or columns < 0:
        raise refuse(f"Rows and Columns must be positive, the size is {rows} x {columns}")
    photometric = str(dataset.get("PhotometricInterpretation", "")).strip()
    if photometric not in _SAMPLES:
        raise refuse(f"PhotometricInterpretation {photometric or 'is missing'!r} is unknown")
    samples = _integer(dataset, "SamplesPerPixel", 1)
    if samples != _SAMPLES[photometric]:
        raise refuse(
            f"{photometric} needs {_SAMPLES[photometric]} samples per pixel, not {samples}"
        )
    allocated = _integer(dataset, "BitsAllocated", 0)
    if allocated not in (1, 8, 16, 32, 64):
        raise refuse(f"BitsAllocated is {allocated}: 1, 8, 16 or 32 bits are possible")
    stored = _integer(dataset, "BitsStored", allocated)
    if stored is None or not 1 <= stored <= allocated:
        raise refuse(f"BitsStored is {stored} of {allocated} allocated bits")
    highest = _integer(dataset, "HighBit", stored - 1)
    if highest is not None and highest >= stored:
        # pydicom would cut off what lies above the stored bits, with most of the value.
        raise refuse(f"HighBit is {highest} with {stored} bits stored: they do not begin at bit 0")
    if highest != stored - 1:
        warnings.warn(
            f"{path}: HighBit is {highest} with {stored} bits stored, {stored - 1} is taken",
            InputWarning,
            stacklevel=5,
        )
    signed = _integer(dataset, "PixelRepresentation", None)
    if "PixelData" in dataset and signed not in (0, 1):
        raise refuse("PixelRepresentation is missing: are the values signed?")
    check_budget(path, (frames, rows, columns, samples), max(1, allocated // 8), "DICOM")
    _check_orientation(path, dataset)
    return Header(
        path=path,
        dataset=dataset,
        frames=frames,
        rows=rows,
        columns=columns,
        samples=samples,
        photometric=photometric,
        signed=bool(signed),
        bits_allocated=allocated,
        bits_stored=stored,
        spacing=_spacing(path, dataset),
        modality=modality_of(dataset),
        patient=str(dataset.get("PatientID", "") or "").strip(),
    )


def _integer(dataset: Dataset, name: str, default: int | None) -> int | None:
    value = dataset.get(name)
    if value is None or value == "":
        return default
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


def _spacing(path: str, dataset: Dataset) -> tuple[float | None, float | None]:
    for name in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        value = dataset.get(name)
        if value:
            numbers = [float(v) for v in value]
            if len(numbers) != 2 or not all(math.isfinite(v) and v > 0 for v in numbers):
                raise InputError(
                    path, f"{name}: spacing must be two positive numbers", format="DICOM"
                )
            return numbers[0], numbers[1]
    return None, None


def _check_orientation(path: str, dataset: Dataset) -> None:
    value = dataset.get("ImageOrientationPatient")
    if not value:
        return
    numbers = [float(v) for v in value]
    if len(numbers) != 6 or not all(math.isfinite(v) for v in numbers):
        raise InputError(
            path, "ImageOrientationPatient: orientation needs 6 numbers", format="DICOM"
        )
    row, column = numbers[:3], numbers[3:]
    lengths = math.hypot(*row), math.hypot(*column)
    dot = sum(r * c for r, c in zip(row, column, strict=True))
    if abs(dot) > _SQUARE_TOLERANCE or any(abs(n - 1) > _SQUARE_TOLERANCE for n in lengths):
        raise InputError(
            path, "ImageOrientationPatient: the orientation's axes are not at right angles",
            format="DICOM",
        )  # fmt: skip
