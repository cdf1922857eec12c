"""Where something is to be seen in a volume, coarsely: crops are drawn there more often."""

from dataclasses import dataclass

import numpy as np

from medjepa.data.volume_store import VolumeStore

BLOCK = 8
"""Voxels along each axis of a block that is foreground or not."""
_BINS = 64


@dataclass(frozen=True)
class Foreground:
    """The blocks of one volume that are foreground.

    Attributes:
        shape: (Z, Y, X) of the volume.
        grid: how many blocks lie along each axis.
        blocks: (n,) int32, their numbers in row-major order; never empty.
    """

    shape: tuple[int, int, int]
    grid: tuple[int, int, int]
    blocks: np.ndarray

    def draw(self, rng: np.random.Generator) -> tuple[int, int, int]:
        """A voxel of a block that is foreground; all blocks are equally likely."""
        number = int(self.blocks[int(rng.integers(len(self.blocks)))])
        centre = []
        for place, length, share in zip(
            np.unravel_index(number, self.grid), self.shape, rng.random(3), strict=True
        ):
            first = int(place) * BLOCK
            centre.append(first + int(share * (min(first + BLOCK, length) - first)))
        return centre[0], centre[1], centre[2]


def find_foreground(store: VolumeStore, index: int) -> Foreground:
    """Find the blocks that are brighter than Otsu's threshold of all of them.

    One plane in 8 is read. A volume of one brightness is foreground everywhere.
    """
    _, depth, height, width = store.items[index].shape
    planes = []
    for first in range(0, depth, BLOCK):
        middle = (first + min(first + BLOCK, depth)) // 2
        plane = store.show(index, store.read_crop(index, (middle, 0, 0), (1, height, width)))
        planes.append(_block_means(plane[:, 0].mean(0)))
    means = np.stack(planes)
    blocks = np.flatnonzero(means > _otsu(means))
    grid = (means.shape[0], means.shape[1], means.shape[2])
    if not blocks.size:
        blocks = np.arange(means.size)
    return Foreground((depth, height, width), grid, blocks.astype(np.int32))


def _block_means(plane: np.ndarray) -> np.ndarray:
    """(Y, X) to the mean of each block; those at the end may be smaller."""
    sums, counts = plane.astype(np.float64), np.ones(plane.shape)
    for axis in (0, 1):
        starts = np.arange(0, plane.shape[axis], BLOCK)
        sums = np.add.reduceat(sums, starts, axis=axis)
        counts = np.add.reduceat(counts, starts, axis=axis)
    return sums / counts


def _otsu(values: np.ndarray) -> float:
    """The threshold in [0, 1] that separates two classes best (Otsu, IEEE SMC 9:62, 1979)."""
    counts, edges = np.histogram(values, bins=_BINS, range=(0.0, 1.0))
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    moments = np.cumsum(counts * middles)
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = moments[:-1] / below - (moments[-1] - moments[:-1]) / above
        between = np.nan_to_num(below * above * distance**2)
    # Where a gap separates the two, all its thresholds are as good: its middle.
    best = np.flatnonzero(between >= between.max())
    return float((edges[1:-1][best[0]] + edges[1:-1][best[-1]]) / 2)
