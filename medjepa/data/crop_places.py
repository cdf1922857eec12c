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


@dataclass(frozen=True)
class FrameClock:
    """Which frames of a clip are seen `stride` apart, by number or by their own time stamps.

    Attributes:
        length: of the clip, in frames.
        count: frames that are taken.
        stride: between two of them: in frames, or in s where the frames have `times`.
        times: (length,) in s, ascending, of frames that lie unevenly; None: evenly.
    """

    length: int
    count: int
    stride: float
    times: tuple[float, ...] | None = None

    @property
    def last_first(self) -> int:
        """The last frame from which all frames lie inside of the clip, 0 if from none."""
        reach = (self.count - 1) * self.stride
        if self.times is None:
            return max(int(self.length - 1 - reach), 0)
        # Sums of a header's milliseconds are off by rounding.
        latest = self.times[-1] - reach + 1e-9
        return max(int(np.searchsorted(self.times, latest, side="right")) - 1, 0)

    def frames(self, first: int) -> tuple[int, ...]:
        """Frames from a first one on; between two the nearer one, after the end the last, held."""
        after = np.arange(self.count) * self.stride
        if self.times is None:
            numbers = np.floor(first + after + 0.5)
            return tuple(int(n) for n in np.minimum(numbers, self.length - 1))
        times = np.asarray(self.times)
        middles = (times[1:] + times[:-1]) / 2
        found = np.searchsorted(middles, times[first] + after + 1e-9, side="right")
        return tuple(int(n) for n in np.maximum(found, first))

    def draw(self, rng: np.random.Generator | None) -> tuple[int, ...]:
        """Frames from a first one that is drawn, or such that they lie in the middle."""
        slack = self.last_first
        return self.frames(slack // 2 if rng is None else int(rng.integers(slack + 1)))


def frame_numbers(
    length: int, count: int, stride: float, rng: np.random.Generator | None
) -> tuple[int, ...]:
    """`count` frames of a clip of `length`, `stride` frames apart, as `FrameClock` draws them."""
    return FrameClock(length, count, stride).draw(rng)


def fill_box(out: np.ndarray, read: Reader, shape: Sequence[int], start: Sequence[int]) -> None:
    """Copy the part of a box that lies inside `shape` into `out` (C, *size); the rest stays."""
    size = out.shape[1:]
    first = [max(s, 0) for s in start]
    last = [min(s + n, whole) for s, n, whole in zip(start, size, shape, strict=True)]
    if any(a >= b for a, b in zip(first, last, strict=True)):
        return
    inside = tuple(slice(a - s, b - s) for a, b, s in zip(first, last, start, strict=True))
    out[(slice(None), *inside)] = read(first, [b - a for a, b in zip(first, last, strict=True)])
