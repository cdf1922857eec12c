"""Blind damage to a file's bytes, reproducible from a generator."""

import random
import struct
from collections.abc import Sequence

LENGTHS = (0, 1, 2, 7, 8, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**24, 2**31 - 1,
           2**31, 2**32 - 2, 2**32 - 1)  # fmt: skip
"""Where arithmetic on sizes goes wrong."""
_HEAD = 2048


def damaged(content: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    """Apply one to four edits."""
    result = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
        result = rng.choice(_EDITS)(result, others, rng)
    return bytes(result)


def _place(content: bytearray, rng: random.Random) -> int:
    # Half of the edits go where headers are.
    end = min(len(content), _HEAD) if rng.random() < 0.5 else len(content)
    return rng.randrange(max(end, 1))


def _flip_bits(content: bytearray, others: Sequence[bytes], rng: random.Random) -> bytearray:
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        if content:
            content[_place(content, rng)] ^= 1 << rng.randrange(8)
    return content


def _set_bytes(content: bytearray, others: Sequence[bytes], rng: random.Random) -> bytearray:
    at, count = _place(content, rng), rng.choice((1, 2, 4, 8, 32))
    filling = rng.choice((b"\0", b"\xff", b"\x7f", b"\x80", rng.randbytes(1)))
    content[at : at + count] = filling * len(content[at : at + count])
    return content


def _edit_number(content: bytearray, others: Sequence[bytes], rng: random.Random) -> bytearray:
    at, kind = _place(content, rng), rng.choice("HIQ")
    size = struct.calcsize(kind)
    limit = 1 << 8 * size
    if at + size > len(content):
        return content
    order = rng.choice("<>")
    (old,) = struct.unpack_from(order + kind, content, at)
    new = rng.choice((*LENGTHS, old + 1, old - 1, old * 2, old // 2, old ^ 1 << rng.randrange(16)))
    struct.pack_into(order + kind, content, at, new % limit)
    return content


def _cut_end(content: bytearray, others: Sequence[bytes], rng: random.Random) -> bytearray:
    return content[: rng.randrange(len(content) + 1)]


def _cut_out(content: bytearray, others: Sequence[bytes], rng: random.Random) -> bytearray:
    at = _place(content, rng)
    del content[at : at + rng.choice((1, 2, 4, 16, 256, 4096))]
    return content


def _insert(content: bytearray, others: Sequence[bytes], rng: random.Random) -> bytearray:
    at = _place(content, rng)
    content[at:at] = rng.randbytes(rng.choice((1, 2, 4, 16, 256)))
    return content


def _repeat(content: bytearray, others: Sequence[bytes], rng: random.Random) -> bytearray:
    at, length = _place(content, rng), rng.choice((4, 8, 64, 512))
    content[at:at] = content[at : at + length] * rng.choice((1, 2, 50))
    return content


def _splice(content: bytearray, others: Sequence[bytes], rng: random.Random) -> bytearray:
    other = rng.choice(others)
    at, start = _place(content, rng), rng.randrange(len(other) + 1)
    length = rng.choice((8, 64, 1024, len(other)))
    content[at : at + length] = other[start : start + length]
    return content


def _swap(content: bytearray, others: Sequence[bytes], rng: random.Random) -> bytearray:
    size = rng.choice((2, 4, 8, 64))
    first, second = _place(content, rng), _place(content, rng)
    one, two = content[first : first + size], content[second : second + size]
    if len(one) == len(two) == size:
        content[first : first + size], content[second : second + size] = two, one
    return content


_EDITS = (
    _flip_bits, _flip_bits, _set_bytes, _edit_number, _edit_number, _edit_number, _cut_end,
    _cut_out, _insert, _repeat, _splice, _swap,
)  # fmt: skip
