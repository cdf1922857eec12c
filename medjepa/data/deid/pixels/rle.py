"""RLE frames (PS3.5 annex G) of exactly the bytes that their pixels are made of."""

import struct

from medjepa.data.deid.pixels.stream_error import StreamError

_HEADER_BYTES, _MOST_SEGMENTS = 64, 15
_NOTHING = 128


def clean_rle(frame: bytes, num_pixels: int) -> bytes:
    """One frame; every segment decodes to `num_pixels` bytes and holds nothing else.

    Raises:
        StreamError: its header does not add up, or a segment is cut or goes beyond the image.
    """
    if len(frame) < _HEADER_BYTES:
        raise StreamError("an RLE frame without its header")
    numbers = struct.unpack("<16I", frame[:_HEADER_BYTES])
    count = numbers[0]
    offsets = list(numbers[1 : 1 + count])
    if (
        not 1 <= count <= _MOST_SEGMENTS
        or offsets[0] != _HEADER_BYTES
        or offsets != sorted(offsets)
    ):
        raise StreamError("an RLE header that does not add up")
    ends = [*offsets[1:], len(frame)]
    segments = [
        _trimmed(frame[begin:end], num_pixels) for begin, end in zip(offsets, ends, strict=True)
    ]
    places, place = [], _HEADER_BYTES
    for segment in segments:
        places.append(place)
        place += len(segment)
    header = struct.pack("<16I", count, *places, *[0] * (_MOST_SEGMENTS - count))
    return header + b"".join(segments)


def _trimmed(segment: bytes, num_bytes: int) -> bytes:
    """The runs up to the last pixel, without those that stand for nothing."""
    out, place, have = [], 0, 0
    while have < num_bytes:
        if place >= len(segment):
            raise StreamError("an RLE segment is cut")
        code = segment[place]
        if code == _NOTHING:
            place += 1
            continue
        size, gives = (code + 2, code + 1) if code < _NOTHING else (2, 257 - code)
        out.append(segment[place : place + size])
        place += size
        have += gives
    if have > num_bytes:
        raise StreamError("an RLE segment goes beyond the image")
    content = b"".join(out)
    return content + b"\0" * (len(content) % 2)
