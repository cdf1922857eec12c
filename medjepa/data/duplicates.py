"""Copies of an image: the same bytes, the same pixels, or the same picture saved differently.

A picture's fingerprint is the middle band of frequencies of its 32 x 32 thumbnail: what all chest
radiographs share lies below the band, what JPEG and scaling change lies above. Two fingerprints are
compared by correlation, which brightness and contrast leave alone, in all eight positions of a
square: a mirrored or turned copy differs in the signs and the order of its frequencies only.
"""

import hashlib
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np

from medjepa.data.resize import resize

SIDE = 32
"""Pixels of a thumbnail, each way."""

NEAR = 0.965
"""Correlation from which two pictures are taken for one; measured in docs/how-to/inspect.md."""

_LOW, _HIGH = 2.0, 12.0
_MIN_STRENGTH = 1e-3
_CHUNK = 2048
_MAX_PAIRS = 100_000


def thumbnail(array: np.ndarray) -> np.ndarray:
    """(C, H, W) to its luminance, (32, 32) float32, whatever its aspect was."""
    values = array.astype(np.float32, copy=False)
    if len(values) == 3:
        grey = np.tensordot(np.array([0.299, 0.587, 0.114], np.float32), values, axes=1)
    else:
        grey = values[0]
    small: np.ndarray = resize(grey[None], (SIDE, SIDE))[0]
    return small


def fingerprints(thumbnails: np.ndarray) -> np.ndarray:
    """(N, 32, 32) to (N, D) of unit length; all 0 for a picture without any structure."""
    transform, band, weight = _basis()
    spectrum = transform @ np.asarray(thumbnails, np.float32) @ transform.T
    strength = np.abs(spectrum[:, 0, 0]) / SIDE + 1e-6
    # Natural pictures fall off with frequency: the weight lets every coefficient of the band count.
    features = spectrum[:, band] * weight
    length = np.linalg.norm(features, axis=1)
    seen = length > _MIN_STRENGTH * strength
    scaled = features / np.where(seen, length, 1)[:, None]
    return np.where(seen[:, None], scaled, 0).astype(np.float32)


def near_pairs(
    first: np.ndarray,
    second: np.ndarray | None = None,
    *,
    threshold: float = NEAR,
    most: int = _MAX_PAIRS,
) -> list[tuple[int, int, float]]:
    """Pairs (i, j, correlation) at or above the threshold, in order; at most so many.

    Within `first` (i < j), or between `first` and `second`; a pair's correlation is that of the
    best of the eight mirrored and turned positions. Prints of several planes in one row (a
    volume's) are compared as they lie. Memory is bounded: blocks of 2048 rows at a time.
    """
    pairs: list[tuple[int, int, float]] = []
    for rows, columns, block in _blocks(first, first if second is None else second, second is None):
        found = np.argwhere(block >= threshold)
        for i, j in found:
            if second is not None or rows + i < columns + j:
                pairs.append((int(rows + i), int(columns + j), float(block[i, j])))
        if len(pairs) >= most:
            return sorted(pairs)[:most]
    return sorted(pairs)


def all_near_pairs(first: np.ndarray, second: np.ndarray) -> list[tuple[int, int, float]]:
    """`near_pairs` between two sets, however many: a copy that is not listed would be a leak."""
    return near_pairs(first, second, most=len(first) * len(second) + 1)


def equal_groups(keys: Sequence[str]) -> list[list[int]]:
    """Positions of equal keys, each group of two or more; empty keys are equal to nothing."""
    places: dict[str, list[int]] = {}
    for position, key in enumerate(keys):
        if key:
            places.setdefault(key, []).append(position)
    return [group for group in places.values() if len(group) > 1]


def joined(pairs: Sequence[tuple[int, int, float]]) -> list[list[int]]:
    """Pairs to groups: whatever hangs together through pairs, sorted."""
    parent: dict[int, int] = {}

    def root(item: int) -> int:
        while parent.setdefault(item, item) != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for i, j, _ in pairs:
        parent[root(i)] = root(j)
    groups: dict[int, list[int]] = {}
    for item in sorted(parent):
        groups.setdefault(root(item), []).append(item)
    return sorted(groups.values())


def pixel_hash(array: np.ndarray) -> str:
    """SHA-256, the first 32 hexadecimal digits, of the decoded values and their shape."""
    digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()[:32]


def _blocks(
    first: np.ndarray, second: np.ndarray, within: bool
) -> Iterator[tuple[int, int, np.ndarray]]:
    for rows in range(0, len(first), _CHUNK):
        for columns in range(rows if within else 0, len(second), _CHUNK):
            block = _alike(first[rows : rows + _CHUNK], second[columns : columns + _CHUNK])
            yield rows, columns, block


def _alike(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(N, D) and (M, D) to the correlation (N, M) in the best position."""
    parities, swapped = _positions()
    if first.shape[1] != len(swapped):
        return np.asarray(first @ second.T)
    best: np.ndarray | None = None
    for other in (second, second[:, swapped]):  # as it lies, and rows for columns
        # Mirroring turns the sign of the odd frequencies along its axis: four sums of the same
        # four products are the four mirrored positions.
        even, across, down, odd = (first[:, one] @ other[:, one].T for one in parities)
        both, either = even + odd, np.abs(across + down)
        found = np.maximum(both + either, even - odd + np.abs(across - down))
        best = found if best is None else np.maximum(best, found)
    assert best is not None
    return best


@cache
def _basis() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The orthonormal cosine transform, the band of frequencies, and the weight of each."""
    order, place = np.arange(SIDE)[:, None], np.arange(SIDE)[None]
    transform = np.cos(np.pi * (place + 0.5) * order / SIDE) * np.sqrt(2 / SIDE)
    transform[0] /= np.sqrt(2)
    radius = np.hypot(order, place)
    band = (radius >= _LOW) & (radius < _HIGH)
    return transform.astype(np.float32), band, radius[band].astype(np.float32)


@cache
def _positions() -> tuple[list[np.ndarray], np.ndarray]:
    """Which frequencies are even and odd along y and x, and the order with y and x exchanged."""
    rows, columns = np.nonzero(_basis()[1])
    parities = [
        np.flatnonzero((rows % 2 == y) & (columns % 2 == x))
        for y, x in ((0, 0), (0, 1), (1, 0), (1, 1))
    ]
    place = {pair: n for n, pair in enumerate(zip(rows.tolist(), columns.tolist(), strict=True))}
    swapped = np.array([place[x, y] for y, x in zip(rows.tolist(), columns.tolist(), strict=True)])
    return parities, swapped
