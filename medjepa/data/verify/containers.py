"""What lies compressed within a file: members of archives, text of pictures, streams of PDF."""

import bz2
import gzip
import io
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator

Part = tuple[str, bytes]
"""(what it is, its bytes)"""
_MOST_BYTES = 256 << 20
_MOST_PARTS = 10_000
_MOST_NESTED = 3
_PDF_STREAM = re.compile(rb"stream\r?\n(.*?)endstream", re.DOTALL)
_ERRORS = (
    OSError, EOFError, ValueError, RuntimeError, NotImplementedError, struct.error, zlib.error,
    lzma.LZMAError, zipfile.BadZipFile,
)  # fmt: skip


def hidden_parts(content: bytes | memoryview, depth: int = 0) -> Iterator[Part]:
    """Everything that a search of the bytes alone would not see; what is damaged is passed by."""
    head = bytes(content[:8])
    if depth >= _MOST_NESTED:
        return
    parts = _parts(head, content)
    for _ in range(_MOST_PARTS):
        try:
            name, inner = next(parts)
        except (StopIteration, *_ERRORS):
            return
        yield name, inner
        yield from ((f"{name}: {label}", part) for label, part in hidden_parts(inner, depth + 1))


def _parts(head: bytes, content: bytes | memoryview) -> Iterator[Part]:
    if head[:2] == b"\x1f\x8b":
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
            yield "gzip", stream.read(_MOST_BYTES)
    elif head[:3] == b"BZh":
        with bz2.BZ2File(io.BytesIO(content)) as packed:
            yield "bzip2", packed.read(_MOST_BYTES)
    elif head[:6] == b"\xfd7zXZ\0":
        with lzma.LZMAFile(io.BytesIO(content)) as dense:
            yield "xz", dense.read(_MOST_BYTES)
    elif head[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.infolist():
                with archive.open(member) as file:
                    yield f"member {member.filename}", file.read(_MOST_BYTES)
    elif head == b"\x89PNG\r\n\x1a\n":
        yield from _png_texts(content)
    elif head[:4] == b"%PDF":
        for number, match in enumerate(_PDF_STREAM.finditer(content)):
            inflated = zlib.decompressobj().decompress(match[1], _MOST_BYTES)
            yield f"stream {number}", inflated


def _png_texts(content: bytes | memoryview) -> Iterator[Part]:
    position = 8
    while position + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, position)
        body = bytes(content[position + 8 : position + 8 + length])
        if kind == b"zTXt":
            yield "zTXt", zlib.decompressobj().decompress(body.split(b"\0", 1)[1][1:], _MOST_BYTES)
        elif kind == b"iTXt":
            rest = body.split(b"\0", 1)[1]
            if rest[:1] == b"\1":
                packed = rest[2:].split(b"\0", 2)[2]
                yield "iTXt", zlib.decompressobj().decompress(packed, _MOST_BYTES)
        position += 12 + length
