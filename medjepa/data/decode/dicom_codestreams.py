"""What compressed frames say of themselves, checked before a decoder takes memory for them.

Decoders written in C trust these numbers, and some run for seconds, or end the process, on a
stream that was cut. The markers are those of JPEG (ITU-T T.81 annex B), JPEG-LS (T.87 annex C) and
JPEG 2000 (T.800 annex A).
"""

import re
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from medjepa.data.decode.dicom_library import pydicom
from medjepa.data.decode.jpeg_scan import MAX_SCANS, ends_in_grey, has_too_many_scans, is_cut
from medjepa.errors import InputError, InputWarning

if TYPE_CHECKING:
    from medjepa.data.decode.dicom_header import Header

LOSSLESS_JPEG = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
"""Transfer syntaxes of lossless JPEG, with any predictor and with the first."""
_JPEG = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", *LOSSLESS_JPEG)
JPEG_LS = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")
"""Transfer syntaxes of JPEG-LS, lossless and near-lossless."""
JPEG_2000 = ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.201",
             "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203")  # fmt: skip
"""Transfer syntaxes of JPEG 2000 and High-Throughput JPEG 2000."""
_NO_LENGTH = {0x01, *range(0xD0, 0xD9)}
_START_OF_FRAME = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
_START_OF_IMAGE = re.compile(rb"\xff\xd8\xff")
_START_OF_CODESTREAM = b"\xff\x4f\xff\x51"
_START_OF_TILE_PART = b"\xff\x90\x00\x0a"
# An end, perhaps a byte of padding, and the next start: neither occurs within coded data.
_NEXT_IMAGE = re.compile(rb"\xff\xd9\0?\xff(\xd8\xff|\x4f\xff\x51)")
_MAX_TAIL = 64
_MAX_TILES = 65535


@dataclass(frozen=True)
class Size:
    """What the head of a stream asks memory for."""

    rows: int
    columns: int
    components: int
    bits: int


def check_frames(header: "Header", syntax: str) -> None:
    """Compare every frame's own size with the header's, and look for its end.

    Raises:
        InputError: a frame is cut, has no head, or is larger than the header says.
    """
    family = next((f for f in (_JPEG, JPEG_LS, JPEG_2000) if syntax in f), None)
    if family is None:
        return
    for number, frame in enumerate(frames_of(header)):
        where = f"frame {number + 1}: " if header.frames > 1 else ""
        size = jpeg_2000_size(frame) if family is JPEG_2000 else jpeg_size(frame)
        if size is None:
            raise _refusal(
                header, f"{where}cannot decode it: no size in the head of the JPEG frame"
            )
        if (size.rows, size.columns, size.components) != (
            header.rows,
            header.columns,
            header.samples,
        ):
            raise _refusal(
                header,
                f"{where}size mismatch: the compressed frame is {size.rows} x {size.columns} of "
                f"{size.components}, the header says {header.rows} x {header.columns} of "
                f"{header.samples}",
            )
        if size.bits > header.bits_allocated:
            raise _refusal(
                header,
                f"{where}{size.bits} bits in the compressed frame, {header.bits_allocated} "
                "allocated",
            )
        if family is _JPEG and has_too_many_scans(frame):
            raise _refusal(header, f"{where}too large: over {MAX_SCANS} scans of one image")
        if family is JPEG_2000:
            _check_tiles(header, where, frame)
        if header.frames == 1 and _NEXT_IMAGE.search(frame):
            warnings.warn(
                f"{header.path}: several images in the pixel data, the header announces one, "
                "the first is read",
                InputWarning,
                stacklevel=5,
            )
        # Decoders of the other families refuse what was cut by themselves, and fast.
        if family is JPEG_LS and b"\xff\xd9" not in frame[-_MAX_TAIL:]:
            raise _refusal(header, f"{where}truncated: the compressed frame has no end")


def frames_of(header: "Header") -> Iterator[bytes]:
    """The encapsulated frames, one after another."""
    dataset = header.dataset
    offsets = None
    if "ExtendedOffsetTable" in dataset and "ExtendedOffsetTableLengths" in dataset:
        offsets = (dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths)
    frames: Iterator[bytes] = pydicom().encaps.generate_frames(
        dataset.PixelData, number_of_frames=header.frames, extended_offsets=offsets
    )
    return frames


def jpeg_size(frame: bytes) -> Size | None:
    """From the start of frame of a JPEG or JPEG-LS stream; None if there is none."""
    start = _START_OF_IMAGE.search(frame)
    if start is None:
        return None
    at = start.start() + 2
    while at + 4 <= len(frame):
        if frame[at] != 0xFF:
            return None
        marker = frame[at + 1]
        if marker == 0xFF:  # filling
            at += 1
        elif marker in _NO_LENGTH:
            at += 2
        elif marker in _START_OF_FRAME:
            if at + 10 > len(frame):
                return None
            bits, rows, columns, components = struct.unpack_from(">BHHB", frame, at + 4)
            return Size(rows, columns, components, bits)
        elif marker in (0xD9, 0xDA):  # the image before its frame
            return None
        else:
            at += 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
    return None


def jpeg_2000_size(frame: bytes) -> Size | None:
    """From the SIZ segment of a codestream, bare or in a JP2 file; None if it cannot be."""
    at = frame.find(_START_OF_CODESTREAM)
    if at < 0 or at + 45 > len(frame):
        return None
    x1, y1, x0, y0, tile_x, tile_y, _, _, components = struct.unpack_from(">8IH", frame, at + 8)
    if x1 <= x0 or y1 <= y0 or not tile_x or not tile_y:
        return None
    if -(-x1 // tile_x) * -(-y1 // tile_y) > _MAX_TILES:
        return None
    return Size(y1 - y0, x1 - x0, components, (frame[at + 42] & 0x7F) + 1)


def check_not_cut(header: "Header", syntax: str, stored: np.ndarray) -> None:
    """Look for JPEG frames whose coded data ends early, which the decoders filled up in silence.

    Raises:
        InputError: names the frame.
    """
    frames = stored if header.frames > 1 else stored[None]
    for number, (frame, stream) in enumerate(zip(frames, frames_of(header), strict=False)):
        if syntax in LOSSLESS_JPEG:
            suspicious = header.samples == 1 and not _decodes_alike(header, stream, frame)
        else:
            suspicious = ends_in_grey(frame)
        if suspicious and is_cut(stream):
            where = f"frame {number + 1}: " if header.frames > 1 else ""
            raise _refusal(
                header, f"{where}truncated: the JPEG's coded data ends before the image does"
            )


def _decodes_alike(header: "Header", stream: bytes, frame: np.ndarray) -> bool:
    """Whether a second decoder gives the same; there is good data that it cannot read."""
    import imagecodecs

    try:
        again = np.asarray(imagecodecs.ljpeg_decode(stream))
    except (RuntimeError, ValueError):
        return False
    used = (1 << header.bits_stored) - 1
    return np.array_equal(again.astype(np.int64) & used, frame.astype(np.int64) & used)


def _check_tiles(header: "Header", where: str, frame: bytes) -> None:
    """Count the tiles that have a part in the codestream; a decoder leaves the others black."""
    start = frame.find(_START_OF_CODESTREAM)
    x1, y1, _, _, tile_x, tile_y, tile_x0, tile_y0 = struct.unpack_from(">8I", frame, start + 8)
    across, down = -(-(x1 - tile_x0) // tile_x), -(-(y1 - tile_y0) // tile_y)
    at, found = frame.find(_START_OF_TILE_PART, start), set()
    while at >= 0 and frame[at : at + 4] == _START_OF_TILE_PART and at + 10 <= len(frame):
        tile, length = struct.unpack_from(">HI", frame, at + 4)
        found.add(tile)
        if not length:  # up to the end
            break
        at += max(length, 12)
    if len(found) < across * down:
        raise _refusal(
            header,
            f"{where}truncated: {len(found)} of {across * down} tiles of the JPEG 2000 image are "
            "there",
        )


def _refusal(header: "Header", reason: str) -> InputError:
    return InputError(header.path, reason, format="DICOM")
