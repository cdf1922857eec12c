"""What stands beside the image in pixel data: marker segments, and bytes behind the last pixel."""

from collections.abc import Iterator

from medjepa.data.verify.elements import Element, Walked, fragments

NATIVE = ("7FE0,0010", "7FE0,0008", "7FE0,0009")
"""Paths of whole numbers, floats and doubles."""
_BITS_OF_FLOATS = {0x7FE00008: 32, 0x7FE00009: 64}
_SEGMENTS = {0xFE: "a comment", **{0xE0 + n: f"application data (APP{n})" for n in range(1, 16)}}
_SCAN, _END = 0xDA, 0xD9
# Adobe's APP14 and APP8 of JPEG-LS say how the colours are coded.
_COLOUR = {0xEE: b"Adobe", 0xE8: b"mrfx"}
_J2K_COMMENT = 0x64
_J2K_TILE = 0x90


def beside_the_image(walked: Walked, element: Element) -> Iterator[bytes]:
    """The bytes of all that is not the image."""
    if element.encapsulated:
        yield from (body for _, _, body in segments_of(walked, element))
    else:
        yield behind_the_last_pixel(walked, element)


def behind_the_last_pixel(walked: Walked, element: Element) -> bytes:
    """Bytes of native pixels beyond what the size says, but for one that makes the length even."""
    wanted = _num_bytes(walked, element.tag) if element.path in NATIVE else None
    if wanted is None or element.end - element.begin <= wanted + wanted % 2:
        return b""
    return bytes(walked.content[element.begin + wanted : element.end])


def segments_of(walked: Walked, element: Element) -> Iterator[tuple[int, str, bytes]]:
    """(number of the fragment, what, its bytes) of comments and application data."""
    for number, (begin, end) in enumerate(fragments(walked, element)):
        # Headers of a code stream come first, and are not long.
        stream = bytes(walked.content[begin : min(end, begin + (1 << 20))])
        if stream[:2] == b"\xff\xd8":
            yield from ((number, *found) for found in _jpeg(stream))
        elif stream[:4] == b"\xff\x4f\xff\x51":
            yield from ((number, *found) for found in _jpeg_2000(stream))


def _jpeg(stream: bytes) -> Iterator[tuple[str, bytes]]:
    """Marker segments of a JPEG stream that are no part of the image (ITU T.81 annex B)."""
    for marker, body in _markers(stream, (_SCAN, _END)):
        if marker in _SEGMENTS and body[: len(_COLOUR.get(marker, b"?"))] != _COLOUR.get(marker):
            yield _SEGMENTS[marker], body


def _jpeg_2000(stream: bytes) -> Iterator[tuple[str, bytes]]:
    """Comments of a JPEG 2000 code stream (ITU T.800 section A.9)."""
    for marker, body in _markers(stream, (_J2K_TILE,)):
        if marker == _J2K_COMMENT:
            yield "a comment", body[2:]


def _markers(stream: bytes, stops: tuple[int, ...]) -> Iterator[tuple[int, bytes]]:
    position = 2
    while position + 4 <= len(stream) and stream[position] == 0xFF:
        marker = stream[position + 1]
        if marker in stops:
            return
        length = int.from_bytes(stream[position + 2 : position + 4], "big")
        yield marker, stream[position + 4 : position + 2 + length]
        position += 2 + max(2, length)


def _num_bytes(walked: Walked, tag: int) -> int | None:
    """How many bytes native pixels have by the header (PS3.5 section 8.2)."""
    sizes = [walked.number(path) for path in ("0028,0010", "0028,0011", "0028,0002", "0028,0100")]
    if None in sizes:
        return None
    rows, columns, samples, bits = (size or 0 for size in sizes)
    bits = _BITS_OF_FLOATS.get(tag, bits)
    frames = walked.text("0028,0008")
    count = int(frames) if frames.isdigit() else 1
    if walked.text("0028,0004") == "YBR_FULL_422":
        samples = 2
    return -(-rows * columns * samples * count * bits // 8)
