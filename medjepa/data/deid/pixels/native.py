"""Uncompressed pixels: exactly as many bytes as the header says, and only the bits it says."""

from typing import TYPE_CHECKING

import numpy as np

from medjepa.data.decode.dicom_library import pydicom

if TYPE_CHECKING:
    from pydicom import Dataset
else:  # pydicom is imported guarded, on first use
    Dataset = object

_FLOATS = {"FloatPixelData": 4, "DoubleFloatPixelData": 8}


def clean_native(target: Dataset, steps: list[str]) -> str:
    """Trim and mask in place; returns why the file must not leave, "" if it may."""
    for keyword, itemsize in _FLOATS.items():
        if keyword in target:
            return _trim(target, keyword, _num_values(target) * itemsize, steps)
    expected = int(pydicom().pixels.utils.get_expected_length(target))
    reason = _trim(target, "PixelData", expected, steps)
    if not reason and int(target.BitsAllocated) > 1:
        _mask(target, expected, steps)
    return reason


def _num_values(target: Dataset) -> int:
    frames = int(target.get("NumberOfFrames") or 1)
    return frames * int(target.Rows) * int(target.Columns) * int(target.get("SamplesPerPixel") or 1)


def _trim(target: Dataset, keyword: str, expected: int, steps: list[str]) -> str:
    content = bytes(target[keyword].value)
    if len(content) < expected:
        return f"{keyword} holds {len(content)} bytes of {expected}: it is truncated"
    kept = content[:expected] + b"\0" * (expected % 2)
    if kept != content:
        target[keyword].value = kept
        steps.append("bytes after the last pixel removed")
    return ""


def _mask(target: Dataset, expected: int, steps: list[str]) -> None:
    """Clear the bits outside the stored ones; old files kept overlays there."""
    allocated, stored = int(target.BitsAllocated), int(target.BitsStored)
    shift = int(target.HighBit) + 1 - stored
    if allocated not in (8, 16, 32) or not 0 <= shift <= allocated - stored:
        raise ValueError("BitsAllocated, BitsStored and HighBit do not fit together")
    if stored == allocated:
        return
    order = ">" if target.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.2" else "<"
    if allocated == 8:
        order = "|"
    itemsize = allocated // 8
    values = np.frombuffer(
        target.PixelData, dtype=f"{order}u{itemsize}", count=expected // itemsize
    )
    mask = values.dtype.type(((1 << stored) - 1) << shift)
    clean = values & mask
    if target.get("PixelRepresentation") == 1 and shift == 0:
        sign = values.dtype.type(1 << (stored - 1))
        # The sign goes on into the unused bits, as readers that do not mask expect.
        clean = np.where(clean & sign, clean | ~mask, clean)
    if not np.array_equal(clean, values):
        packed = clean.astype(values.dtype).tobytes()
        target["PixelData"].value = packed + b"\0" * (len(packed) % 2)
        steps.append("bits that are not part of the image cleared")
