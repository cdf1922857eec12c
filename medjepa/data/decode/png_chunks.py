"""The checksums of a PNG's chunks: Pillow does not look at those of the pixels."""

import os
import struct
import zlib
from pathlib import Path

from medjepa.errors import InputError

_SIGNATURE_BYTES = 8
_CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"fdAT", b"tRNS")
_CHUNK = 1 << 20


def check_chunks(path: str, kind: str) -> None:
    """Check what the pixels are made of; what is cut is left for the decoder to find.

    Raises:
        InputError: a checksum is wrong.
    """
    with Path(path).open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        offset = _SIGNATURE_BYTES
        while offset + 12 <= size:
            file.seek(offset)
            length, name = struct.unpack(">I4s", file.read(8))
            offset += 12 + length
            if name == b"IEND" or offset > size:
                return
            if name not in _CRITICAL:
                continue
            checksum, left = zlib.crc32(name), length
            while left:
                part = file.read(min(left, _CHUNK))
                checksum, left = zlib.crc32(part, checksum), left - len(part)
            if struct.unpack(">I", file.read(4))[0] != checksum:
                raise InputError(
                    path, f"damaged: the checksum of chunk {name.decode()} is wrong", format=kind
                )
