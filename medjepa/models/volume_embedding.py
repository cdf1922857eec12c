"""A volume or clip of any size as one embedding: the mean over windows, in bounded memory.

Legend: C channels, *size the window that the encoder takes, B windows, D features.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medjepa.models.windows import window_starts

Window = NDArray[np.float32]
"""(C, *size) in [0, 1]."""

Encode = Callable[[Tensor], Tensor]
"""Windows (B, C, *size) to embeddings (B, D)."""

_VOXELS_AT_ONCE = 1 << 24


def covering_starts(
    shape: Sequence[int], size: Sequence[int], *, overlap: float
) -> Iterator[tuple[int, ...]]:
    """Yield where windows begin that cover a volume, in row-major order.

    An axis that is shorter than the window lies in its middle: it begins below 0.
    """
    along = []
    for length, extent in zip(shape, size, strict=True):
        if length < extent:
            along.append([-((extent - length) // 2)])
        else:
            along.append(window_starts(length, extent, overlap=overlap))
    for place in np.ndindex(*(len(starts) for starts in along)):
        yield tuple(starts[number] for starts, number in zip(along, place, strict=True))


def content(window: Window) -> int:
    """How much of a window is there: voxels above 0 (padding and air are 0) in any channel."""
    return int(np.count_nonzero(window.max(0)))


def embed_windows(
    windows: Iterable[Window],
    encoders: Mapping[str, Encode],
    *,
    batch_size: int = 64,
) -> tuple[dict[str, NDArray[np.float32]], list[int]]:
    """Average the embeddings of windows, each weighted by its content.

    One batch of windows is in memory at a time. Where every window is black they count alike.

    Args:
        windows: (C, *size) each, at least one.
        encoders: name -> function of a batch of windows.
        batch_size: most windows at once; large windows are fewer, which changes memory only.

    Returns:
        Name -> (D,), and the content of each window.
    """
    sums: dict[str, NDArray[np.float64]] = {}
    plain: dict[str, NDArray[np.float64]] = {}
    weights: list[int] = []
    with torch.inference_mode():
        for batch in _batches(windows, batch_size):
            weight = np.array([content(window) for window in batch], np.float64)
            stacked = torch.from_numpy(np.stack(batch))
            for name, encode in encoders.items():
                rows = encode(stacked).double().cpu().numpy()
                sums[name] = sums.get(name, 0) + weight @ rows
                plain[name] = plain.get(name, 0) + rows.sum(0)
            weights += [int(w) for w in weight]
    total = sum(weights)
    chosen = {name: sums[name] / total if total else plain[name] / len(weights) for name in sums}
    return {name: row.astype(np.float32) for name, row in chosen.items()}, weights


def _batches(windows: Iterable[Window], batch_size: int) -> Iterator[list[Window]]:
    held: list[Window] = []
    for window in windows:
        held.append(window)
        if len(held) == max(1, min(batch_size, _VOXELS_AT_ONCE // window.size)):
            yield held
            held = []
    if held:
        yield held
