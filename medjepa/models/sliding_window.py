"""A network on images larger than its input: overlapping windows, averaged where they meet.

Works for any number of axes, and in bounded memory: scores are added up for as many rows of the
first axis as a window has, and handed on when no further window can reach them.

Legend: B windows, C channels, K scores of a voxel, *window the network's input size.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from torch import Tensor

from medjepa.models.windows import importance, windows

Network = Callable[[Tensor], Tensor]
"""(B, C, *window) to (B, K, *window); probabilities or scores, whichever are to be averaged."""

Read = Callable[[Sequence[int], Sequence[int]], Tensor | NDArray[Any]]
"""`read(start, shape)`: a part of the image, (C, *shape) float32; never asked beyond its border."""

OVERLAP = 0.5
"""Share of a window that its neighbour along an axis sees too."""


def score_slabs(
    network: Network,
    read: Read,
    shape: Sequence[int],
    window: Sequence[int],
    *,
    overlap: float = OVERLAP,
    batch_size: int = 1,
    device: torch.device | str = "cpu",
) -> Iterator[tuple[int, Float[Tensor, "k rows *rest"]]]:
    """Yield (first row, scores of some rows) from the first row to the last; use each at once.

    What is yielded lies in a buffer of K x (rows of a window) x (the image's other axes), which the
    next slab overwrites. A window counts most at its centre (`importance`), where it sees most of
    what surrounds a voxel; an image that one window covers gets the network's output as it is.

    Args:
        network: see `Network`; called under inference mode.
        read: see `Read`.
        shape: of the image, without channels; where it is smaller than the window it is placed in
            the middle of zeros, and cut out of the result.
        window: the network's input size.
        overlap: share of neighbouring windows that is common to both, in [0, 1).
        batch_size: windows at once.
        device: where the network is.
    """
    padded = [max(n, size) for n, size in zip(shape, window, strict=True)]
    before = [(big - n) // 2 for big, n in zip(padded, shape, strict=True)]
    inside = tuple(slice(b, b + n) for b, n in zip(before, shape, strict=True))
    starts = sorted(windows(padded, window, overlap=overlap))
    rows_of_window = window[0]
    weight = importance(tuple(window))
    sums: Tensor | None = None
    weights = torch.zeros(rows_of_window, *padded[1:])
    layers = [
        (row, [start[1:] for start in group]) for row, group in groupby(starts, lambda s: s[0])
    ]
    for number, (row, places) in enumerate(layers):
        for at in range(0, len(places), batch_size):
            chosen = places[at : at + batch_size]
            batch = torch.stack([_cut(read, (row, *p), window, shape, before) for p in chosen])
            with torch.inference_mode():
                scores = network(batch.to(device)).float().cpu()
            if len(starts) == 1:
                yield 0, scores[0][(slice(None), *inside)]
                return
            if sums is None:
                sums = torch.zeros(scores.shape[1], *weights.shape)
            for place, score in zip(chosen, scores, strict=True):
                box = tuple(slice(p, p + n) for p, n in zip(place, window[1:], strict=True))
                sums[(slice(None), slice(None), *box)] += score * weight
                weights[(slice(None), *box)] += weight
        assert sums is not None
        is_last = number == len(layers) - 1
        done = rows_of_window if is_last else min(layers[number + 1][0] - row, rows_of_window)
        sums[:, :done] /= weights[:done]
        # Rows are padded only where one window holds them all, so a slab begins at `row` itself.
        first = max(row - before[0], 0)
        rows = slice(before[0], before[0] + shape[0]) if len(layers) == 1 else slice(0, done)
        yield first, sums[(slice(None), rows, *inside[1:])]
        _shift(sums, done, axis=1)
        _shift(weights, done, axis=0)


def infer(
    network: Network,
    image: Float[Tensor, "channels ..."],
    window: Sequence[int],
    *,
    overlap: float = OVERLAP,
    batch_size: int = 1,
    device: torch.device | str = "cpu",
) -> Float[Tensor, "scores ..."]:
    """Scores of a whole image that fits into memory K times; arguments as `score_slabs`."""

    def read(start: Sequence[int], shape: Sequence[int]) -> Tensor:
        box = tuple(slice(s, s + n) for s, n in zip(start, shape, strict=True))
        return image[(slice(None), *box)]

    slabs = score_slabs(
        network,
        read,
        image.shape[1:],
        window,
        overlap=overlap,
        batch_size=batch_size,
        device=device,
    )
    return torch.cat([scores.clone() for _, scores in slabs], dim=1)


def segment(
    network: Network,
    read: Read,
    shape: Sequence[int],
    window: Sequence[int],
    *,
    regions: bool = False,
    overlap: float = OVERLAP,
    batch_size: int = 1,
    device: torch.device | str = "cpu",
) -> UInt8[np.ndarray, "..."]:
    """Label every voxel; arguments as `score_slabs`.

    Returns:
        (*shape): the class with the highest score; with `regions` (K, *shape): 1 where the score of
        a region is above 0.5, so that regions may overlap.
    """
    result: NDArray[np.uint8] | None = None
    for first, scores in score_slabs(
        network, read, shape, window, overlap=overlap, batch_size=batch_size, device=device
    ):
        if result is None:
            result = np.zeros((len(scores), *shape) if regions else tuple(shape), np.uint8)
        found = (scores > 0.5) if regions else scores.argmax(0)
        rows = slice(first, first + scores.shape[1])
        result[(slice(None), rows) if regions else rows] = found.to(torch.uint8).numpy()
    assert result is not None
    return result


def _cut(
    read: Read,
    start: Sequence[int],
    window: Sequence[int],
    shape: Sequence[int],
    before: Sequence[int],
) -> Tensor:
    """One window (C, *window), 0 beyond the image."""
    low = [max(s - b, 0) for s, b in zip(start, before, strict=True)]
    high = [min(s - b + n, m) for s, b, n, m in zip(start, before, window, shape, strict=True)]
    part = torch.as_tensor(read(low, [h - s for s, h in zip(low, high, strict=True)]))
    if tuple(part.shape[1:]) == tuple(window):
        return part
    padded = torch.zeros(part.shape[0], *window, dtype=part.dtype)
    offset = [p - (s - b) for p, s, b in zip(low, start, before, strict=True)]
    box = tuple(slice(o, o + n) for o, n in zip(offset, part.shape[1:], strict=True))
    padded[(slice(None), *box)] = part
    return padded


def _shift(buffer: Tensor, rows: int, *, axis: int) -> None:
    """Move a buffer up by some rows in place and clear the rest, piece by piece: no second one."""
    length = buffer.shape[axis]
    for at in range(0, length - rows, rows):
        count = min(rows, length - rows - at)
        buffer.narrow(axis, at, count).copy_(buffer.narrow(axis, at + rows, count))
    buffer.narrow(axis, max(length - rows, 0), min(rows, length)).zero_()
