"""JPEG 2000 and HTJ2K code streams of the segments that decoding needs, and no others."""

import struct

from medjepa.data.deid.pixels.stream_error import StreamError

START, END = b"\xff\x4f", b"\xff\xd9"
_TILE, _DATA, _COM, _CRG, _PLM = 0xFF90, 0xFF93, 0xFF64, 0xFF63, 0xFF57
# SIZ COD COC RGN QCD QCC POC TLM PPM, and CAP PRF CPF of HTJ2K (ISO 15444-1 and -15, annex A).
_MAIN = (0xFF51, 0xFF52, 0xFF53, 0xFF5E, 0xFF5C, 0xFF5D, 0xFF5F, 0xFF55, 0xFF60, 0xFF50, 0xFF56,
         0xFF59)  # fmt: skip
_OF_A_TILE = (0xFF52, 0xFF53, 0xFF5E, 0xFF5C, 0xFF5D, 0xFF5F, 0xFF58, 0xFF61)
_JP2 = b"\0\0\0\x0cjP  \r\n\x87\n"


def code_stream(frame: bytes) -> bytes:
    """Take the JPEG 2000 code stream out of a JP2 file, which DICOM does not allow but some write.

    ISO 15444-1 annex I: boxes of 4 bytes length, 4 bytes type; a length of 0 is up to the end.

    Raises:
        StreamError: there is none in the file.
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


def clean_jpeg_2000(frame: bytes) -> bytes:
    """One frame without comments and what only helps to find one's way in it.

    Raises:
        StreamError: it is built otherwise, or has a segment that is not known here.
    """
    end = frame.rfind(END)
    if end < 0:
        raise StreamError("no end of the JPEG 2000 stream")
    out, place = [frame[:2]], 2
    while True:
        marker, length = struct.unpack(">HH", frame[place : place + 4])
        if marker == _TILE:
            break
        if marker >> 8 != 0xFF or length < 2:
            raise StreamError("a JPEG 2000 segment is damaged")
        if marker in _MAIN:
            out.append(frame[place : place + 2 + length])
        elif marker not in (_COM, _CRG, _PLM):
            raise StreamError(f"a JPEG 2000 segment of an unknown kind ({marker:04X})")
        place += 2 + length
    rest = frame[place : end + 2]
    _check_tiles(rest)
    return b"".join(out) + rest


def _check_tiles(rest: bytes) -> None:
    """Tile parts to the end of the stream; taking a segment out would change a tile's length."""
    place = 0
    while rest[place : place + 2] == b"\xff\x90":
        (tile_length,) = struct.unpack(">I", rest[place + 6 : place + 10])
        inner = place + 12
        while True:
            (marker,) = struct.unpack(">H", rest[inner : inner + 2])
            if marker == _DATA:
                break
            if marker == _COM:
                raise StreamError("a comment in the header of a tile")
            if marker not in _OF_A_TILE:
                raise StreamError(f"a tile's segment of an unknown kind ({marker:04X})")
            inner += 2 + int.from_bytes(rest[inner + 2 : inner + 4], "big")
        if tile_length == 0:  # the last one, up to the end of the stream
            return
        if tile_length < inner + 2 - place:
            raise StreamError("a tile that is shorter than its header")
        place += tile_length
    if rest[place : place + 2] != END or place + 2 != len(rest):
        raise StreamError("bytes after the last tile of JPEG 2000")
