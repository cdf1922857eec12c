"""Compressed pixels: each frame's code stream without comments, application data and remainders."""

import struct
from typing import TYPE_CHECKING

import numpy as np

from medjepa.data.decode.dicom_library import pydicom
from medjepa.data.deid.pixels.rewrite import raw_pixels

if TYPE_CHECKING:
    from pydicom import Dataset
else:  # pydicom is imported guarded, on first use
    Dataset = object

_RLE = "1.2.840.10008.1.2.5"
_VIDEO = tuple(f"1.2.840.10008.1.2.4.{n}" for n in range(100, 109))
_SOI, _EOI, _SOS, _COM, _ADOBE = 0xD8, 0xD9, 0xDA, 0xFE, 0xEE
_J2K_START, _J2K_TILE, _J2K_COM, _J2K_END = b"\xff\x4f", 0xFF90, 0xFF64, b"\xff\xd9"
_RLE_HEADER = 64
_JP2 = b"\0\0\0\x0cjP  \r\n\x87\n"


class StreamError(ValueError):
    """A code stream is not built as its standard says."""


def clean_streams(target: Dataset, steps: list[str]) -> str:
    """Rebuild every frame in place; returns why the file must not leave, "" if it may."""
    syntax = str(target.file_meta.TransferSyntaxUID)
    if syntax in _VIDEO:
        return "a video stream: what it carries beside the images cannot be cleaned"
    num_frames = int(target.get("NumberOfFrames") or 1)
    encaps = pydicom().encaps
    frames = list(encaps.generate_frames(target.PixelData, number_of_frames=num_frames))
    if len(frames) != num_frames:
        return f"{len(frames)} of {num_frames} frames are there"
    try:
        clean = [clean_frame(_code_stream(frame), syntax) for frame in frames]
    except (StreamError, struct.error, IndexError) as error:
        return f"a frame's code stream is damaged or unknown ({error})"
    if any(a != b.rstrip(b"\0") for a, b in zip(clean, frames, strict=True)):
        before = raw_pixels(target)
        target["PixelData"].value = encaps.encapsulate(clean)
        if not np.array_equal(before, raw_pixels(target)):
            return "its pixels would change with the comments of its code stream"
        steps.append("comments and application data of the code stream removed")
    else:
        # Bytes between the fragments, and the table of offsets, are made anew in any case.
        target["PixelData"].value = encaps.encapsulate(clean)
        raw_pixels(target)
    target["PixelData"].is_undefined_length = True
    return ""


def clean_frame(frame: bytes, syntax: str) -> bytes:
    """One frame without anything that is not needed to decode it.

    Raises:
        StreamError: it is no stream of a kind that is known here.
    """
    if syntax == _RLE:
        return _clean_rle(frame)
    if frame[:2] == _J2K_START:
        return _clean_jpeg_2000(frame)
    if frame[:2] == bytes((0xFF, _SOI)):
        return _clean_jpeg(frame)
    raise StreamError("neither JPEG, JPEG-LS, JPEG 2000 nor RLE")


def _code_stream(frame: bytes) -> bytes:
    """Take the JPEG 2000 code stream out of a JP2 file, which DICOM does not allow but some write.

    ISO 15444-1 annex I: boxes of 4 bytes length, 4 bytes type; a length of 0 is up to the end.
    """
    if not frame.startswith(_JP2):
        return frame
    place = 0
    while place + 8 <= len(frame):
        length, kind = struct.unpack(">I4s", frame[place : place + 8])
        start = place + 8
        if length == 1:
            (length,) = struct.unpack(">Q", frame[start : start + 8])
            start += 8
        end = place + length if length else len(frame)
        if kind == b"jp2c":
            return frame[start:end]
        if end <= start - 1:
            break
        place = end
    raise StreamError("a JP2 file without a code stream")


def _clean_jpeg(frame: bytes) -> bytes:
    """ISO 10918-1 annex B: marker segments up to the scan, scans, end of image."""
    out, place = [frame[:2]], 2
    while True:
        while frame[place] == 0xFF and frame[place + 1] == 0xFF:  # fill bytes
            place += 1
        if frame[place] != 0xFF:
            raise StreamError("bytes between two JPEG segments")
        marker = frame[place + 1]
        if marker == _EOI:
            out.append(frame[place : place + 2])
            return b"".join(out)
        (length,) = struct.unpack(">H", frame[place + 2 : place + 4])
        segment = frame[place : place + 2 + length]
        if len(segment) < 2 + length:
            raise StreamError("a JPEG segment is cut")
        place += 2 + length
        # Adobe's segment says which colours the components are: 5 letters and 7 bytes of numbers.
        if marker == _ADOBE and segment[4:9] == b"Adobe":
            out.append(b"\xff\xee\x00\x0e" + segment[4:16])
        elif marker == _COM or 0xE0 <= marker <= 0xEF:
            continue
        else:
            out.append(segment)
        if marker == _SOS:
            end = _end_of_scan(frame, place)
            out.append(frame[place:end])
            place = end


def _end_of_scan(frame: bytes, place: int) -> int:
    """Where entropy-coded data ends: at a marker that is neither stuffing nor a restart."""
    while True:
        place = frame.index(b"\xff", place) if b"\xff" in frame[place:] else len(frame)
        if place + 1 >= len(frame):
            raise StreamError("no end of image")
        code = frame[place + 1]
        # JPEG-LS stuffs a bit, so that what follows FF is below 80 there.
        if code < 0x80 or 0xD0 <= code <= 0xD7:
            place += 2
        elif code == 0xFF:
            place += 1
        else:
            return place


def _clean_jpeg_2000(frame: bytes) -> bytes:
    """ISO 15444-1 annex A: comments leave the main header and those of the tiles."""
    end = frame.rfind(_J2K_END)
    if end < 0:
        raise StreamError("no end of the JPEG 2000 stream")
    out, place = [frame[:2]], 2
    while True:
        marker, length = struct.unpack(">HH", frame[place : place + 4])
        if marker == _J2K_TILE:
            break
        if marker >> 8 != 0xFF or length < 2:
            raise StreamError("a JPEG 2000 segment is damaged")
        if marker != _J2K_COM:
            out.append(frame[place : place + 2 + length])
        place += 2 + length
    rest = frame[place : end + 2]
    if _tile_comment(rest):
        raise StreamError("a comment in the header of a tile")
    return b"".join(out) + rest


def _tile_comment(rest: bytes) -> bool:
    """True if a tile part has a comment: taking it out would change the tile's length."""
    place = 0
    while rest[place : place + 2] == b"\xff\x90":
        (tile_length,) = struct.unpack(">I", rest[place + 6 : place + 10])
        inner = place + 12
        while rest[inner : inner + 2] != b"\xff\x93":
            marker, length = struct.unpack(">HH", rest[inner : inner + 4])
            if marker == _J2K_COM:
                return True
            inner += 2 + length
        if tile_length == 0:
            return False
        place += tile_length
    if rest[place : place + 2] != _J2K_END or place + 2 != len(rest):
        raise StreamError("bytes after the last tile of JPEG 2000")
    return False


def _clean_rle(frame: bytes) -> bytes:
    """PS3.5 annex G: a header of 16 numbers, then segments without a gap."""
    if len(frame) < _RLE_HEADER:
        raise StreamError("an RLE frame without its header")
    numbers = struct.unpack("<16I", frame[:_RLE_HEADER])
    count = numbers[0]
    offsets = list(numbers[1 : 1 + count])
    if not 1 <= count <= 15 or offsets[0] != _RLE_HEADER or offsets != sorted(offsets):
        raise StreamError("an RLE header that does not add up")
    header = struct.pack("<16I", count, *offsets, *[0] * (15 - count))
    return header + frame[_RLE_HEADER:]
