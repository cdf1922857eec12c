"""Where a crop of a volume or clip lies: in its middle, or drawn; what is outside is padding."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Triple = tuple[int, int, int]
Reader = Callable[[Sequence[int], Sequence[int]], np.ndarray]
"""(start, size) of a box inside to (C, *size)."""


@dataclass(frozen=True)
class Crop:
    """A box of one item.

    Attributes:
        item: the number of the item in its dataset.
        start: of the box's first voxel; below 0 where padding comes first.
        size: of the box.
        frames: of a clip, the numbers of the frames that are read, in the place of `start[0]`; a
            number may come twice.
    """

    item: int
    start: Triple
    size: Triple
    frames: tuple[int, ...] | None = None


def centred_start(length: int, size: int) -> int:
    """Where a box of `size` begins in the middle of `length`; below 0 if it is the longer one."""
    return (length - size) // 2 if length >= size else -((size - length) // 2)


def drawn_start(length: int, size: int, rng: np.random.Generator) -> int:
    """Where a box begins at random; one that is longer than `length` lies around its middle."""
    drawn = int(rng.integers(max(length - size, 0) + 1))
    return drawn if length >= size else centred_start(length, size)


def start_around(centre: int, length: int, size: int) -> int:
    """Where a box begins that has `centre` in its middle, moved so that it stays inside."""
    if length < size:
        return centred_start(length, size)
    return min(max(centre - size // 2, 0), length - size)


def frame_numbers(
    length: int, count: int, stride: float, rng: np.random.Generator | None
) -> tuple[int, ...]:
    """`count` frames of a clip of `length`, `stride` frames apart, from a first one on.

    The first is drawn, or such that they lie in the middle. Between two frames the nearer one is
    taken; after the clip's end its last frame is held.
    """
    slack = max(int(length - 1 - (count - 1) * stride), 0)
    first = slack // 2 if rng is None else int(rng.integers(slack + 1))
    numbers = np.floor(first + np.arange(count) * stride + 0.5)
    return tuple(int(n) for n in np.minimum(numbers, length - 1))


def fill_box(out: np.ndarray, read: Reader, shape: Sequence[int], start: Sequence[int]) -> None:
    """Copy the part of a box that lies inside `shape` into `out` (C, *size); the rest stays."""
    size = out.shape[1:]
    first = [max(s, 0) for s in start]
    last = [min(s + n, whole) for s, n, whole in zip(start, size, shape, strict=True)]
    if any(a >= b for a, b in zip(first, last, strict=True)):
        return
    inside = tuple(slice(a - s, b - s) for a, b, s in zip(first, last, start, strict=True))
    out[(slice(None), *inside)] = read(first, [b - a for a, b in zip(first, last, strict=True)])
