"""JPEG and JPEG-LS streams of the segments that decoding needs, and no others.

Kept is what is on a list, so that a segment of a new kind cannot carry anything out.
"""

import struct
from dataclasses import dataclass, field

from medjepa.data.deid.pixels.stream_error import StreamError

_EOI, _SOS, _DQT, _DHT, _DRI, _DNL, _ADOBE, _COM = 0xD9, 0xDA, 0xDB, 0xC4, 0xDD, 0xDC, 0xEE, 0xFE
_SOF_JPEG_LS, _LSE = 0xF7, 0xF8
_FRAMES = (0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, _SOF_JPEG_LS)
_LOSSLESS = (0xC3, 0xC7)
_LENGTHS = {_DRI: 4, _DNL: 4}
_LSE_PRESETS = 13
_AC = 0x10
_NUM_COEFFICIENTS = 64


@dataclass
class _Stream:
    """What has been read so far.

    Attributes:
        out: what is kept.
        kind: marker of the frame's header.
        quantisers: numbers of the tables that the frame's components name.
        pending: tables that no scan has needed yet, by kind and number: the last of each counts.
    """

    out: list[bytes]
    kind: int = 0
    quantisers: tuple[int, ...] = ()
    pending: dict[tuple[int, int], bytes] = field(default_factory=dict)


def clean_jpeg(frame: bytes) -> bytes:
    """One frame without comments, application data and tables that nothing uses.

    ISO 10918-1 annex B and ISO 14495-1 annex C: segments up to the scan, scans, end of image.

    Raises:
        StreamError: it is built otherwise, or has a segment that is not known here.
    """
    stream, place = _Stream([frame[:2]]), 2
    while True:
        while frame[place] == 0xFF and frame[place + 1] == 0xFF:  # fill bytes
            place += 1
        if frame[place] != 0xFF:
            raise StreamError("bytes between two JPEG segments")
        marker = frame[place + 1]
        if marker == _EOI:
            stream.out.append(frame[place : place + 2])
            return b"".join(stream.out)
        (length,) = struct.unpack(">H", frame[place + 2 : place + 4])
        segment = frame[place : place + 2 + length]
        if length < 2 or len(segment) < 2 + length:
            raise StreamError("a JPEG segment is cut")
        place += 2 + length
        _take(stream, marker, segment)
        if marker == _SOS:
            end = end_of_scan(frame, place)
            stream.out.append(frame[place:end])
            place = end


def _take(stream: _Stream, marker: int, segment: bytes) -> None:
    body = segment[4:]
    if marker in (_DQT, _DHT):
        stream.pending |= _quantisers(body) if marker == _DQT else _codes(body)
    elif marker == _SOS:
        stream.out += [*_needed(stream, body), segment]
    elif marker in _FRAMES:
        if len(body) != 6 + 3 * body[5]:
            raise StreamError("a frame's header has another length than its components")
        stream.kind, stream.quantisers = marker, tuple(body[8::3])
        stream.out.append(segment)
    elif marker == _ADOBE and body[:5] == b"Adobe":
        # It says which colours the components are: 5 letters and 7 bytes of numbers.
        stream.out.append(b"\xff\xee\x00\x0e" + body[:12])
    elif marker == _COM or 0xE0 <= marker <= 0xEF:
        return
    elif _is_of_length(marker, segment):
        stream.out.append(segment)
    else:
        raise StreamError(f"a JPEG segment of a kind that is not expected ({marker:02X})")


def _is_of_length(marker: int, segment: bytes) -> bool:
    """Restart intervals, number of lines, and the preset parameters of JPEG-LS; no palettes."""
    length = len(segment) - 2
    if marker == _LSE:
        return segment[4] == 1 and length == _LSE_PRESETS
    return _LENGTHS.get(marker) == length


def _quantisers(body: bytes) -> dict[tuple[int, int], bytes]:
    """Each table of a DQT segment, as a segment of its own."""
    tables, place = {}, 0
    while place < len(body):
        head = body[place]
        size = 1 + _NUM_COEFFICIENTS * (2 if head >> 4 else 1)
        table = body[place : place + size]
        if len(table) < size:
            raise StreamError("a JPEG quantisation table is cut")
        tables[_DQT, head & 0x0F] = _segment(_DQT, table)
        place += size
    return tables


def _codes(body: bytes) -> dict[tuple[int, int], bytes]:
    """Each table of a DHT segment, as a segment of its own."""
    tables, place = {}, 0
    while place < len(body):
        size = 17 + sum(body[place + 1 : place + 17])
        table = body[place : place + size]
        if len(table) < size:
            raise StreamError("a JPEG code table is cut")
        tables[_DHT, body[place]] = _segment(_DHT, table)
        place += size
    return tables


def _needed(stream: _Stream, body: bytes) -> list[bytes]:
    """The waiting tables that a scan uses: its components' codes, and the frame's quantisers."""
    count = body[0]
    if len(body) != 4 + 2 * count:
        raise StreamError("a scan's header has another length than its components")
    wanted = {(_DQT, number) for number in stream.quantisers}
    for selector in body[2 : 2 + 2 * count : 2]:
        wanted.add((_DHT, selector >> 4))
        if stream.kind not in _LOSSLESS:
            wanted.add((_DHT, _AC | selector & 0x0F))
    return [stream.pending.pop(key) for key in list(stream.pending) if key in wanted]


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def end_of_scan(frame: bytes, place: int) -> int:
    """Where entropy-coded data ends: at a marker that is neither stuffing nor a restart."""
    while True:
        place = frame.find(b"\xff", place)
        if place < 0 or place + 1 >= len(frame):
            raise StreamError("no end of image")
        code = frame[place + 1]
        # JPEG-LS stuffs a bit, so that what follows FF is below 80 there.
        if code < 0x80 or 0xD0 <= code <= 0xD7:
            place += 2
        elif code == 0xFF:
            place += 1
        else:
            return place
