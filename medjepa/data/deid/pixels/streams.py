"""Compressed pixels: each frame's code stream without comments, application data and remainders."""

import struct
from typing import TYPE_CHECKING

import numpy as np

from medjepa.data.decode.dicom_library import errors, pydicom
from medjepa.data.deid.pixels.jpeg import clean_jpeg
from medjepa.data.deid.pixels.jpeg_2000 import START, clean_jpeg_2000, code_stream
from medjepa.data.deid.pixels.rewrite import raw_pixels
from medjepa.data.deid.pixels.rle import clean_rle
from medjepa.data.deid.pixels.stream_error import StreamError
from medjepa.data.deid.pixels.stream_tails import without_text
from medjepa.errors import InputError

if TYPE_CHECKING:
    from pydicom import Dataset
else:  # pydicom is imported guarded, on first use
    Dataset = object

__all__ = ["StreamError", "clean_frame", "clean_streams"]

_RLE = "1.2.840.10008.1.2.5"
_VIDEO = tuple(f"1.2.840.10008.1.2.4.{n}" for n in range(100, 109))
_JPEG = b"\xff\xd8"


def clean_streams(target: Dataset, steps: list[str]) -> str:
    """Rebuild every frame in place; returns why the file must not leave, "" if it may."""
    syntax = str(target.file_meta.TransferSyntaxUID)
    if syntax in _VIDEO:
        return "a video stream: what it carries beside the images cannot be cleaned"
    num_frames = int(target.get("NumberOfFrames") or 1)
    num_pixels = int(target.Rows) * int(target.Columns)
    encaps = pydicom().encaps
    frames = list(encaps.generate_frames(target.PixelData, number_of_frames=num_frames))
    if len(frames) != num_frames:
        return f"{len(frames)} of {num_frames} frames are there"
    try:
        clean = [clean_frame(code_stream(frame), syntax, num_pixels) for frame in frames]
    except (StreamError, struct.error, IndexError) as error:
        return f"a frame's code stream is damaged or unknown ({error})"
    before = raw_pixels(target)
    # Bytes between the fragments, and the table of offsets, are made anew in any case.
    target["PixelData"].value = encaps.encapsulate(clean)
    target["PixelData"].is_undefined_length = True
    if any(a != b.rstrip(b"\0") for a, b in zip(clean, frames, strict=True)):
        if not np.array_equal(before, raw_pixels(target)):
            return "its pixels would change with the comments of its code stream"
        steps.append("comments and application data of the code stream removed")
    if syntax != _RLE and _cut_text(target, clean, before):
        steps.append("text that is no part of the image removed from the code stream")
    return ""


def _cut_text(target: Dataset, frames: list[bytes], before: np.ndarray) -> bool:
    """Take out what reads as text and changes no pixel; True if there was any."""
    found, encapsulate = False, pydicom().encaps.encapsulate
    for number in range(len(frames)):
        # A cut moves what follows, so the search begins anew after each.
        while (shorter := _first_without_effect(target, frames, number, before)) is not None:
            frames[number], found = shorter, True
    target["PixelData"].value = encapsulate(frames)
    return found


def _first_without_effect(
    target: Dataset, frames: list[bytes], number: int, before: np.ndarray
) -> bytes | None:
    for candidate in without_text(frames[number]):
        if candidate == frames[number]:
            continue
        content = [*frames[:number], candidate, *frames[number + 1 :]]
        target["PixelData"].value = pydicom().encaps.encapsulate(content)
        if _shows(target, before):
            return candidate
    return None


def _shows(target: Dataset, before: np.ndarray) -> bool:
    try:
        return np.array_equal(before, raw_pixels(target))
    except InputError:
        return False
    except errors():
        return False  # the decoder misses bytes


def clean_frame(frame: bytes, syntax: str, num_pixels: int) -> bytes:
    """One frame without anything that is not needed to decode it.

    Raises:
        StreamError: it is no stream of a kind that is known here.
    """
    if syntax == _RLE:
        return clean_rle(frame, num_pixels)
    if frame[:2] == START:
        return clean_jpeg_2000(frame)
    if frame[:2] == _JPEG:
        return clean_jpeg(frame)
    raise StreamError("neither JPEG, JPEG-LS, JPEG 2000 nor RLE")
