"""What a code stream carries that no decoder shows: gaps, tails, segments, tables without a use."""

import re
from collections.abc import Iterator

from medjepa.data.verify.elements import Element, Walked, fragments

RLE = "1.2.840.10008.1.2.5"
_MARKER = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")
_NO_LENGTH = frozenset((0x01, *range(0xD0, 0xD9)))
_DQT, _DHT, _SOS, _EOI, _COMMENT = 0xDB, 0xC4, 0xDA, 0xD9, 0xFE
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_RLE_HEADER = 64


def gaps(walked: Walked, element: Element) -> Iterator[bytes]:
    """The bytes of an encapsulated value that are no part of the image."""
    if not element.encapsulated:
        return
    for begin, end in fragments(walked, element):
        stream = bytes(walked.content[begin:end])
        if stream[:2] == b"\xff\xd8":
            yield from _jpeg(stream)
        elif stream[:4] == b"\xff\x4f\xff\x51":
            yield stream[stream.rfind(b"\xff\xd9") + 2 :] if b"\xff\xd9" in stream else b""
        elif walked.syntax == RLE and len(stream) >= _RLE_HEADER:
            yield from _rle(stream, _num_pixels(walked))


def _jpeg(stream: bytes) -> Iterator[bytes]:
    """Application data, comments, unused tables, what is between and behind (ITU T.81 annex B)."""
    tables: dict[tuple[int, int], bytes] = {}
    used: set[tuple[int, int]] = set()
    position = 2
    while found := _MARKER.search(stream, position):
        yield stream[position : found.start()] if position else b""
        marker, body_begin = stream[found.start() + 1], found.end() + 2
        if marker == _EOI:
            yield stream[found.end() :]
            break
        if marker in _NO_LENGTH:
            position = found.end()
            continue
        end = found.end() + max(2, int.from_bytes(stream[found.end() : body_begin], "big"))
        body = stream[body_begin:end]
        if marker == _COMMENT or 0xE0 <= marker <= 0xEF:
            yield body
        elif marker in (_DQT, _DHT):
            tables |= {(marker, number): table for number, table in _tables(marker, body)}
        elif marker in _FRAMES:
            used |= {(_DQT, number) for number in body[8::3]}
        elif marker == _SOS:
            for both in body[2 : 1 + 2 * (body[0] if body else 0) : 2]:
                used |= {(_DHT, both >> 4), (_DHT, 0x10 | both & 15)}
            # What follows is the scan itself; the next marker is behind it.
            after = _MARKER.search(stream, end)
            end = after.start() if after else len(stream)
        position = end
    yield from (table for key, table in tables.items() if key not in used)


def _tables(marker: int, body: bytes) -> Iterator[tuple[int, bytes]]:
    """(its number, its values) of each table in a segment."""
    position = 0
    while position < len(body):
        head = body[position]
        if marker == _DQT:
            number, size = head & 15, 128 if head >> 4 else 64
        else:
            number, size = head, 16 + sum(body[position + 1 : position + 17])
        yield number, body[position + 1 : position + 1 + size]
        position += 1 + size


def _rle(stream: bytes, num_pixels: int) -> Iterator[bytes]:
    """The unused header, and what is behind the last pixel of each segment (PS3.5 annex G)."""
    count = min(15, int.from_bytes(stream[:4], "little"))
    begins = [int.from_bytes(stream[4 * n : 4 * n + 4], "little") for n in range(1, count + 1)]
    yield stream[4 + 4 * count : max(_RLE_HEADER, min(begins, default=_RLE_HEADER))]
    ordered = sorted(begin for begin in begins if _RLE_HEADER <= begin <= len(stream))
    for begin, end in zip(ordered, [*ordered[1:], len(stream)], strict=True):
        yield stream[_end_of_segment(stream, begin, end, num_pixels) : end]


def _end_of_segment(stream: bytes, begin: int, end: int, num_pixels: int) -> int:
    position, left = begin, num_pixels
    while left > 0 and position < end:
        code = stream[position]
        if code < 128:
            position, left = position + code + 2, left - code - 1
        elif code > 128:
            position, left = position + 2, left - 257 + code
        else:
            position += 1
    return position


def _num_pixels(walked: Walked) -> int:
    return (walked.number("0028,0010") or 0) * (walked.number("0028,0011") or 0)
