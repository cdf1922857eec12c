"""Many byte strings searched at once, in one pass over the data with NumPy.

The last bytes of each string are its anchor. Each position of the data is hashed into a table of
bits, which leaves few; those are looked up exactly, and the whole string is compared there.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

WIDE, NARROW = 8, 4
"""Bytes of an anchor; a string shorter than WIDE is found with the NARROW one."""
_BITS = 22
_CHUNK = 1 << 17
_LOWER = bytes(range(65)) + bytes(range(97, 123)) + bytes(range(91, 256))
_ODD = {WIDE: np.uint64(0x9E3779B97F4A7C15), NARROW: np.uint32(0x9E3779B1)}
_DTYPES: dict[int, np.dtype[Any]] = {WIDE: np.dtype("<u8"), NARROW: np.dtype("<u4")}


def folded(content: bytes) -> bytes:
    """The bytes with A to Z as a to z, and everything else as it is."""
    return content.translate(_LOWER)


class Matcher:
    """Finds strings of at least `width` bytes; they must be folded, and so is what is searched."""

    def __init__(self, patterns: Sequence[bytes], width: int) -> None:
        assert all(len(pattern) >= width for pattern in patterns)
        self.patterns, self._width = list(patterns), width
        self._dtype = _DTYPES[width]
        self._overlap = max((len(pattern) for pattern in patterns), default=width) - 1
        by_anchor: dict[int, list[int]] = {}
        for number, pattern in enumerate(self.patterns):
            anchor = int.from_bytes(pattern[-width:], "little")
            by_anchor.setdefault(anchor, []).append(number)
        self._anchors = np.array(sorted(by_anchor), dtype=self._dtype)
        self._owners = [by_anchor[int(anchor)] for anchor in self._anchors]
        self._table = np.zeros(1 << _BITS, dtype=bool)
        self._table[self._hash(self._anchors)] = True

    def search(self, content: bytes | memoryview) -> Iterator[tuple[int, int]]:
        """Each (number of the pattern, offset of its first byte) in the data."""
        if not len(self._anchors):
            return
        for start in range(0, len(content), _CHUNK):
            # A string that ends in this chunk may have begun before it.
            before = min(start, self._overlap)
            data = folded(bytes(content[start - before : start + _CHUNK]))
            for number, offset in self._chunk(data):
                if offset + len(self.patterns[number]) > before:
                    yield number, start - before + offset

    def _chunk(self, data: bytes) -> Iterator[tuple[int, int]]:
        count = len(data) - self._width + 1
        if count < 1:
            return
        windows = np.ndarray((count,), self._dtype, data, 0, (1,))
        likely = np.flatnonzero(self._table[self._hash(windows)])
        values = windows[likely]
        places = np.searchsorted(self._anchors, values)
        exact = self._anchors[np.minimum(places, len(self._anchors) - 1)] == values
        for position, place in zip(likely[exact].tolist(), places[exact].tolist(), strict=True):
            end = position + self._width
            for number in self._owners[place]:
                pattern = self.patterns[number]
                if data.endswith(pattern, 0, end):
                    yield number, end - len(pattern)

    def _hash(self, windows: np.ndarray) -> np.ndarray:
        shift = self._dtype.type(8 * self._width - _BITS)
        return np.asarray((windows * _ODD[self._width]) >> shift)
