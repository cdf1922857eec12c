"""Whether a JPEG's Huffman-coded data lasts for the whole image, and is not there too often.

Decoders fill what is missing with mid-grey and do not say so where an end of image follows. A
last corner of exactly that grey is the sign on which the codes are counted here; ITU-T T.81
annexes E to H.
"""

from dataclasses import dataclass, field

import numpy as np

_GREY = 128
_CORNER = 4
_MAX_BLOCKS = 4_000_000
_SEQUENTIAL, _PROGRESSIVE, _LOSSLESS = (0xC0, 0xC1), 0xC2, 0xC3
MAX_SCANS = 100
"""Each costs as much as the whole image, however short it is; cameras write up to about ten."""
_NO_LENGTH = (0x01, 0xD8, *range(0xD0, 0xD8))


def ends_in_grey(array: np.ndarray) -> bool:
    """Whether the last corner of (Y, X) or (Y, X, C) looks as decoders fill it."""
    return bool((array[-_CORNER:, -_CORNER:] == _GREY).all())


def has_too_many_scans(stream: bytes) -> bool:
    """Whether an image has more than `MAX_SCANS` scans."""
    if stream.count(b"\xff\xda") <= MAX_SCANS:
        return False  # the marker itself cannot occur in coded data, only in metadata
    reader, at, count = _Reader(stream), 2, 0
    while at + 4 <= len(stream) and count <= MAX_SCANS:
        marker = stream[at + 1]
        if stream[at] != 0xFF or marker == 0xFF or marker in _NO_LENGTH:
            at += 2 if stream[at] == 0xFF != marker else 1
            continue
        at += 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
        if marker == 0xDA:
            count += 1
            at = reader.end_of_coded(at)
    return count > MAX_SCANS


def is_cut(stream: bytes) -> bool:
    """Whether a scan ends before its last block; False where it cannot be told.

    Of a progressive image only the first scan is looked at, without which there is no block at all.
    """
    reader = _Reader(stream)
    try:
        return reader.is_cut()
    except (IndexError, KeyError, ValueError, ZeroDivisionError):
        return False


@dataclass
class _Component:
    across: int
    down: int
    dc: int = 0
    ac: int = 0


@dataclass
class _Reader:
    stream: bytes
    tables: dict[int, list[int]] = field(default_factory=dict)
    components: dict[int, _Component] = field(default_factory=dict)
    height: int = 0
    width: int = 0
    interval: int = 0
    is_progressive: bool = False
    is_lossless: bool = False

    def is_cut(self) -> bool:
        at = self.stream.index(b"\xff\xd8") + 2
        while at + 4 <= len(self.stream):
            if self.stream[at] != 0xFF:
                at += 1
                continue
            marker = self.stream[at + 1]
            if marker == 0xFF or marker in _NO_LENGTH:
                at += 1 if marker == 0xFF else 2
                continue
            if marker == 0xD9:
                return False
            length = int.from_bytes(self.stream[at + 2 : at + 4], "big")
            segment = self.stream[at + 4 : at + 2 + length]
            at += 2 + length
            if marker in (*_SEQUENTIAL, _PROGRESSIVE, _LOSSLESS):
                self._frame(segment, marker)
            elif marker == 0xC4:
                self._huffman(segment)
            elif marker == 0xDD:
                self.interval = int.from_bytes(segment[:2], "big")
            elif marker == 0xDA:
                parts, at = self._coded(at)
                if self._scan_is_cut(segment, parts):
                    return True
                if self.is_progressive:
                    return False
        return False

    def _frame(self, segment: bytes, marker: int) -> None:
        self.is_progressive, self.is_lossless = marker == _PROGRESSIVE, marker == _LOSSLESS
        self.height, self.width = (int.from_bytes(segment[i : i + 2], "big") for i in (1, 3))
        for number in range(segment[5]):
            name, sampling = segment[6 + 3 * number], segment[7 + 3 * number]
            self.components[name] = _Component(sampling >> 4, sampling & 15)

    def _huffman(self, segment: bytes) -> None:
        """For each 16 bits that may follow: length of the code times 256 plus its symbol."""
        while segment:
            counts, code = segment[1:17], 0
            symbols = iter(segment[17:])
            table: list[int] = []
            for length, count in enumerate(counts, 1):
                for _ in range(count):
                    table += [length << 8 | next(symbols)] * (1 << (16 - length))
                    code += 1
            self.tables[segment[0]] = table + [0] * (65536 - len(table))
            segment = segment[17 + sum(counts) :]

    def _coded(self, at: int) -> tuple[list[bytes], int]:
        """The coded bytes between restart markers, without stuffing, and where they end."""
        parts, start = [], at
        while True:
            at = self.stream.find(b"\xff", at)
            if at < 0 or at + 1 >= len(self.stream):
                at = len(self.stream)
                break
            marker = self.stream[at + 1]
            if 0xD0 <= marker <= 0xD7:
                parts.append(self.stream[start:at])
                start = at + 2
            elif marker not in (0x00, 0xFF):
                break
            at += 1 if marker == 0xFF else 2
        parts.append(self.stream[start:at])
        return [part.replace(b"\xff\x00", b"\xff") for part in parts], at

    def end_of_coded(self, at: int) -> int:
        """Where the coded bytes that begin at `at` end."""
        return self._coded(at)[1]

    def _scan_is_cut(self, segment: bytes, parts: list[bytes]) -> bool:
        chosen = []
        for number in range(segment[0]):
            component = self.components[segment[1 + 2 * number]]
            selector = segment[2 + 2 * number]
            component.dc, component.ac = selector >> 4, 0x10 | (selector & 15)
            chosen.append(component)
        num_units = self._num_units(chosen)
        blocks = [c for c in chosen for _ in range(c.across * c.down if len(chosen) > 1 else 1)]
        if num_units * len(blocks) > _MAX_BLOCKS:
            return False
        per_part = self.interval or num_units
        for number in range(-(-num_units // per_part)):
            units = min(per_part, num_units - number * per_part)
            if number >= len(parts) or self._part_is_cut(parts[number], blocks, units):
                return True
        return False

    def _num_units(self, chosen: list[_Component]) -> int:
        side = 1 if self.is_lossless else 8
        most_across = max(c.across for c in self.components.values())
        most_down = max(c.down for c in self.components.values())
        if len(chosen) > 1:
            return -(-self.width // (side * most_across)) * -(-self.height // (side * most_down))
        width = -(-self.width * chosen[0].across // most_across)
        height = -(-self.height * chosen[0].down // most_down)
        return -(-width // side) * -(-height // side)

    def _part_is_cut(self, part: bytes, blocks: list[_Component], units: int) -> bool:
        # The most that one block can ask for lies behind; no code is all ones.
        data, at, end = part + b"\xff" * 300, 0, 8 * len(part)
        tables = [(self.tables[c.dc], self.tables.get(c.ac, [])) for c in blocks]
        first_position = 64 if self.is_progressive or self.is_lossless else 1
        for _ in range(units):
            for dc, ac in tables:
                byte = at >> 3
                window = data[byte] << 16 | data[byte + 1] << 8 | data[byte + 2]
                entry = dc[window >> (8 - (at & 7)) & 0xFFFF]
                # A lossless difference of 2^15 has no bits of its own (T.81 annex H).
                at += (entry >> 8) + ((entry & 255) % 16 if self.is_lossless else entry & 255)
                position = first_position
                while position < 64 and entry:
                    byte = at >> 3
                    window = data[byte] << 16 | data[byte + 1] << 8 | data[byte + 2]
                    entry = ac[window >> (8 - (at & 7)) & 0xFFFF]
                    at += (entry >> 8) + (entry & 15)
                    if not entry & 15 and entry & 0xF0 != 0xF0:
                        break
                    position += (entry >> 4 & 15) + 1
                if at > end or not entry:
                    return True
        return False
