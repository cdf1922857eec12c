"""Windows that cover a volume of any size, for encoders and networks of one size."""

import itertools
import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def window_starts(length: int, size: int, *, overlap: float = 0.5) -> list[int]:
    """Return where windows of `size` begin so that they cover 0 to `length` of an axis.

    Neighbours share at least `overlap` of a window; the steps are as even as whole voxels allow and
    the last window ends with the axis. An axis shorter than a window has one, from 0: the caller
    pads.

    Raises:
        ValueError: an overlap outside [0, 1), or a size that is not positive.
    """
    if not 0 <= overlap < 1 or size < 1 or length < 1:
        raise ValueError(
            f"need 0 <= overlap < 1 and positive lengths, got {overlap}, {size}, {length}"
        )
    if length <= size:
        return [0]
    step = max(1, math.floor(size * (1 - overlap)))
    num_steps = math.ceil((length - size) / step)
    return [round(i * (length - size) / num_steps) for i in range(num_steps + 1)]


def windows(
    shape: Sequence[int], size: Sequence[int], *, overlap: float = 0.5
) -> list[tuple[int, ...]]:
    """Return the first voxel of each window that covers a volume, in row-major order."""
    along = [window_starts(n, s, overlap=overlap) for n, s in zip(shape, size, strict=True)]
    return list(itertools.product(*along))


def importance(size: Sequence[int], *, sigma: float = 0.125) -> Float[Tensor, "*size"]:
    """Weight the voxels of a window: a Gaussian about its centre, greatest 1, nowhere 0.

    `sigma` is in window lengths.
    Source: nnU-Net (Isensee et al. 2021), where predictions near a window's border count less.
    """
    weight = torch.ones(tuple(size))
    for axis, length in enumerate(size):
        place = (torch.arange(length, dtype=torch.float32) + 0.5) / length - 0.5
        along = torch.exp(-0.5 * (place / sigma) ** 2)
        shape = [1] * len(size)
        shape[axis] = length
        weight = weight * along.view(shape)
    return (weight / weight.max()).clamp(min=1e-4)
