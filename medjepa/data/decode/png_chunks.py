"""A PNG's chunks: their checksums, and whether the pixels are all there; Pillow does not look."""

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from isal import isal_zlib
from PIL import Image

from medjepa.errors import InputError

_INFLATE_ERROR = cast("type[Exception]", isal_zlib.error)  # its stub calls it an instance
_SIGNATURE_BYTES = 8
_CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"fdAT", b"tRNS")
_CHUNK = 1 << 20
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_PALETTE = 3
# (first row, first column, step of rows, step of columns) of each pass of Adam7.
_PASSES = (
    (0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2),
    (1, 0, 2, 1),
)  # fmt: skip


def check_chunks(path: str, kind: str) -> None:
    """Check what the pixels are made of; what is cut is left for the decoder to find.

    Raises:
        InputError: a checksum is wrong, or a palette is missing.
    """
    needs_palette = False
    with Path(path).open("rb") as file:
        for name, length in _chunks(file):
            if name == b"IDAT" and needs_palette:
                raise InputError(path, "damaged: the palette is missing", format=kind)
            if name not in _CRITICAL:
                continue
            checksum, left = zlib.crc32(name), length
            while left:
                part = file.read(min(left, _CHUNK))
                checksum, left = zlib.crc32(part, checksum), left - len(part)
                if name == b"IHDR" and len(part) > 9:
                    needs_palette = part[9] == _PALETTE
            if name == b"PLTE":
                needs_palette = False
            if struct.unpack(">I", file.read(4))[0] != checksum:
                raise InputError(
                    path, f"damaged: the checksum of chunk {name.decode()} is wrong", format=kind
                )


def check_palette(path: str, kind: str, image: Image.Image) -> None:
    """Refuse pixels of colours that the palette does not have, which decoders paint black.

    Raises:
        InputError: names the first of them.
    """
    if image.mode != "P" or image.palette is None:
        return
    num_colours = len(image.palette.palette) // len(image.palette.mode)
    highest = int(np.asarray(image).max())
    if highest >= num_colours:
        raise InputError(
            path,
            f"damaged: a pixel has colour {highest}, the palette has {num_colours}",
            format=kind,
        )


def check_pixels(path: str, kind: str, array: np.ndarray) -> None:
    """Count the bytes of the pixels where the last row is empty: a decoder may have left it so.

    Raises:
        InputError: there are too few.
    """
    if array[-1].any():
        return
    expected, found = 0, 0
    inflater = isal_zlib.decompressobj()
    with Path(path).open("rb") as file:
        for name, length in _chunks(file):
            if name == b"IHDR":
                expected = _num_bytes(file.read(length))
            while name == b"IDAT" and length and found < expected:
                part = file.read(min(length, _CHUNK))
                length -= len(part)
                found += _inflated(inflater, part)
    if found < expected:
        raise InputError(
            path, f"truncated: {found:,} of {expected:,} bytes of pixels are there", format=kind
        )


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Names and lengths of whole chunks up to the end; the file stands at their content."""
    size = os.fstat(file.fileno()).st_size
    offset = _SIGNATURE_BYTES
    while offset + 12 <= size:
        file.seek(offset)
        length, name = struct.unpack(">I4s", file.read(8))
        offset += 12 + length
        if name == b"IEND" or offset > size:
            return
        yield name, length


def _inflated(inflater: "isal_zlib.Decompress", part: bytes) -> int:
    """How many bytes come out; they are not kept."""
    count = 0
    try:
        while part and not inflater.eof:
            count += len(inflater.decompress(part, _CHUNK))
            part = inflater.unconsumed_tail
    except _INFLATE_ERROR:
        return count
    return count


def _num_bytes(header: bytes) -> int:
    """Bytes of all rows, each with its filter byte; 0 for a header that is none."""
    width, height, depth, colour, _, _, interlace = struct.unpack(">2I5B", header[:13])
    bits = depth * _SAMPLES.get(colour, 0)
    if not interlace:
        return int(height * (1 + -(-width * bits // 8)))
    total = 0
    for first_row, first_column, down, across in _PASSES:
        rows, columns = -(-(height - first_row) // down), -(-(width - first_column) // across)
        if rows > 0 and columns > 0:
            total += rows * (1 + -(-columns * bits // 8))
    return total
