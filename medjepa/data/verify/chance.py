"""Whether a string in pixel data stands there by chance, by the statistics of what is around it.

Grey levels are letters for a while in every image. How often one would meet a string by chance is
estimated from the pixels themselves: which byte follows which, counted without the string.
"""

import math
from collections.abc import Iterator

import numpy as np

from medjepa.data.verify.elements import BIG_ENDIAN, Element, Walked

LEAST_CHANCE = 2e-14
"""Expected chance hits a byte: four views of 10 GB of pixels have 8e-4."""
_AROUND = 1 << 19
_STEP = 16 << 20
_OVERLAP = 1 << 10
# A pair that the neighbourhood lacks counts as seldom as its second byte alone, this many times.
_PRIOR = 64.0
# As it was typed, in capitals, in small letters, or with one capital first.
_USUAL_CASES = 4


def is_by_chance(content: bytes | memoryview, begin: int, length: int, num_sought: int) -> bool:
    """Whether `length` bytes from `begin` are what some of `num_sought` strings meet by chance."""
    string = bytes(content[begin : begin + length])
    first = max(0, begin - _AROUND)
    around = bytes(content[first : begin + length + _AROUND])
    chance = _log_chance(string, around.replace(string, bytes(length)), (begin - first) % 2)
    return chance + math.log(_num_cases(string)) > math.log(LEAST_CHANCE / max(1, num_sought))


def _log_chance(string: bytes, others: bytes, parity: int) -> float:
    """Logarithm of the probability of a string where the bytes are those of `others`.

    Of what each byte follows from the likeliest counts: the byte before it, or a step from the last
    byte or the one before that, at the levels that bytes at even or odd places have.
    """
    data = np.frombuffer(others, np.uint8)
    single = (np.bincount(data, minlength=256) + 1.0) / (len(data) + 256.0)
    levels = [_shares(data[side::2]) for side in (0, 1)]
    steps = {lag: _shares(data[lag:] - data[:-lag]) for lag in (1, 2)}
    result = math.log(single[string[0]])
    for place in range(1, len(string)):
        first, second = string[place - 1], string[place]
        places = np.flatnonzero(data[:-1] == first)
        num_pairs = float((data[places + 1] == second).sum())
        likely = [(num_pairs + _PRIOR * single[second]) / (len(places) + _PRIOR)]
        level = min(1.0, 256.0 * levels[(parity + place) % 2][second])
        for lag in (1, 2):
            if place >= lag:
                likely.append(level * steps[lag][(second - string[place - lag]) % 256])
        result += math.log(max(likely))
    return result


def _shares(data: np.ndarray) -> np.ndarray:
    return np.asarray((np.bincount(data, minlength=256) + 1.0) / (len(data) + 256.0))


def _num_cases(string: bytes) -> int:
    """In how many ways of capital and small letters the string would have been found."""
    letters = bytes(byte for byte in string if chr(byte).isalpha() and byte < 128)
    if letters in (letters.upper(), letters.lower(), letters.title()):
        return _USUAL_CASES
    return 1 << len(letters)


def views(walked: Walked, element: Element) -> Iterator[tuple[str, bytes]]:
    """Native pixels of two bytes and more: each byte of the samples alone, and in the other order.

    A part at a time, so that memory does not grow with the image.
    """
    bits = walked.number("0028,0100") or 8
    width = {0x7FE00008: 4, 0x7FE00009: 8}.get(element.tag, bits // 8)
    if element.encapsulated or "." in element.path or width < 2:
        return
    order = range(width)[::-1] if walked.syntax == BIG_ENDIAN else range(width)
    for begin in range(element.begin, element.end, _STEP):
        end = min(element.end, begin + _STEP + _OVERLAP * width)
        part = bytes(walked.content[begin:end])
        for number, offset in enumerate(order):
            yield f"byte {number} of the samples", part[offset::width]
        whole = np.frombuffer(part, np.uint8, len(part) // width * width).reshape(-1, width)
        yield "with the bytes of the samples swapped", whole[:, ::-1].tobytes()
