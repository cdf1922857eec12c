"""Which patches are hidden: pure functions of a grid and a generator, in 2-D, 3-D and time.

Legend: B images, N patches, M blocks, A axes of the grid.
"""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor

from medjepa.types import PatchGrid


def num_hidden_patches(num_patches: int, mask_ratio: float) -> int:
    """Return how many patches a ratio hides: rounded, and never none or all of them.

    Raises:
        ValueError: a ratio outside (0, 1), or a grid of fewer than 2 patches.
    """
    if not 0 < mask_ratio < 1:
        raise ValueError(f"mask_ratio must lie strictly between 0 and 1, got {mask_ratio}")
    if num_patches < 2:
        raise ValueError("a grid of one patch cannot have a hidden and a visible part")
    return min(max(round(mask_ratio * num_patches), 1), num_patches - 1)


def random_scores(num_images: int, grid: PatchGrid, *, rng: Generator) -> Float[Tensor, "b n"]:
    """Score every patch at random; the highest are hidden."""
    return torch.rand(num_images, len(grid), generator=rng)


def block_scores(
    num_images: int,
    grid: PatchGrid,
    *,
    mask_ratio: float,
    num_blocks: int,
    rng: Generator,
    aspect: tuple[float, float] = (0.75, 1.5),
) -> Float[Tensor, "b n"]:
    """Score patches so that hiding the highest hides whole blocks, the first drawn first.

    Each block's area is such that `num_blocks` of them cover about `mask_ratio` of the grid. Twice
    as many are drawn, so that overlaps still leave enough; what the ratio cuts off is a random part
    of the last block, not its lower right corner.
    """
    area = 1 - (1 - mask_ratio) ** (1 / num_blocks)
    blocks = random_blocks(num_images, 2 * num_blocks, grid, area=area, aspect=aspect, rng=rng)
    order = torch.arange(2 * num_blocks, 0, -1.0)
    earliest = (blocks * order[:, None]).amax(1)  # (B, N), 0 outside every block
    return earliest + torch.rand(num_images, len(grid), generator=rng)


def random_blocks(
    num_images: int,
    num_blocks: int,
    grid: PatchGrid,
    *,
    area: float,
    aspect: tuple[float, float],
    rng: Generator,
) -> Bool[Tensor, "b m n"]:
    """Draw axis-aligned blocks of about `area` (share of the grid), every position equally likely.

    Size and aspect are drawn apart: one number for both would leave a handful of shapes.
    """
    num_axes = len(grid.shape)
    extent = torch.tensor(grid.shape, dtype=torch.float32)
    low, high = math.log(aspect[0]), math.log(aspect[1])
    stretch = low + (high - low) * torch.rand(num_images, num_blocks, num_axes, generator=rng)
    stretch = (stretch - stretch.mean(-1, keepdim=True)).exp()  # keeps the area
    size = extent * area ** (1 / num_axes) * stretch
    # Rounded at random: on a small grid blocks of one size would all cover the middle.
    size = (
        (size + torch.rand(size.shape, generator=rng)).floor().clamp(min=torch.ones(1), max=extent)
    )
    # + 1: without it the last row and column would never be hidden (a fault of I-JEPA's masks).
    free = extent - size + 1
    start = (torch.rand(num_images, num_blocks, num_axes, generator=rng) * free).floor()
    inside = torch.ones(num_images, num_blocks, *grid.shape, dtype=torch.bool)
    for axis, length in enumerate(grid.shape):
        position = torch.arange(length, dtype=torch.float32)
        first, last = start[..., axis, None], (start + size)[..., axis, None]
        along = (position >= first) & (position < last)  # (B, M, length)
        shape = [num_images, num_blocks] + [1] * num_axes
        shape[2 + axis] = length
        inside &= along.view(shape)
    return inside.flatten(2)


def split_by_score(
    scores: Float[Tensor, "b n"], num_hidden: int
) -> tuple[Int[Tensor, "b k"], Int[Tensor, "b m"]]:
    """Split patches into (visible, hidden) indices: disjoint, complete, increasing."""
    order = scores.argsort(dim=1, descending=True)
    hidden, visible = order[:, :num_hidden], order[:, num_hidden:]
    return visible.sort(dim=1).values, hidden.sort(dim=1).values


def draw_masks(
    num_images: int,
    grid: PatchGrid,
    *,
    mask_ratio: float,
    mask_type: str,
    num_blocks: int,
    rng: Generator,
) -> tuple[Int[Tensor, "b k"], Int[Tensor, "b m"]]:
    """Draw (visible, hidden) patch indices for each image.

    Raises:
        ValueError: `mask_type` is neither "random" nor "block".
    """
    if mask_type == "random":
        scores = random_scores(num_images, grid, rng=rng)
    elif mask_type == "block":
        scores = block_scores(
            num_images, grid, mask_ratio=mask_ratio, num_blocks=num_blocks, rng=rng
        )
    else:
        raise ValueError(f"mask_type must be 'random' or 'block', got {mask_type!r}")
    return split_by_score(scores, num_hidden_patches(len(grid), mask_ratio))
