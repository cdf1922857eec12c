"""Which patches are hidden: pure functions of a grid and a generator, in 2-D, 3-D and time.

Legend: B images, N patches, M blocks, A axes of the grid.
"""

import math
from typing import NamedTuple

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


class TubeRange(NamedTuple):
    """Blocks of the frame that are hidden in all frames: how many, of which area, which share."""

    num_blocks: int
    area: float
    share: float


TUBE_RANGES = (TubeRange(8, 0.15, 0.63), TubeRange(2, 0.70, 0.82))
"""Short and long range; the share is what such blocks hide of 14 x 14 patches on average.

Source: V-JEPA (Bardes et al., arXiv 2404.08471), section 3.2; there the share varies by draw."""


def tube_scores(
    num_images: int,
    grid: PatchGrid,
    *,
    num_blocks: int,
    area: float,
    rng: Generator,
    aspect: tuple[float, float] = (0.75, 1.5),
) -> Float[Tensor, "b n"]:
    """Score patches so that hiding the highest hides blocks of the frame through all frames.

    The first axis of the grid is time (or depth); all patches above one another score alike.
    """
    frame = PatchGrid(grid.shape[1:])
    blocks = random_blocks(num_images, 2 * num_blocks, frame, area=area, aspect=aspect, rng=rng)
    order = torch.arange(2 * num_blocks, 0, -1.0)
    earliest = (blocks * order[:, None]).amax(1)
    scores = earliest + torch.rand(num_images, len(frame), generator=rng)
    return scores.repeat(1, grid.shape[0])


def draw_tubes(
    num_images: int, grid: PatchGrid, *, tubes: TubeRange, rng: Generator
) -> tuple[Int[Tensor, "b k"], Int[Tensor, "b m"]]:
    """Draw (visible, hidden) patch indices where whole tubes through time are hidden.

    Raises:
        ValueError: a frame of one patch cannot have a hidden and a visible part.
    """
    scores = tube_scores(num_images, grid, num_blocks=tubes.num_blocks, area=tubes.area, rng=rng)
    num_hidden = num_hidden_patches(math.prod(grid.shape[1:]), tubes.share) * grid.shape[0]
    return split_by_score(scores, num_hidden)


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
        ValueError: `mask_type` is none of "random", "block" and "tube".
    """
    if mask_type == "random":
        scores = random_scores(num_images, grid, rng=rng)
    elif mask_type == "block":
        scores = block_scores(
            num_images, grid, mask_ratio=mask_ratio, num_blocks=num_blocks, rng=rng
        )
    elif mask_type == "tube":
        area = 1 - (1 - mask_ratio) ** (1 / num_blocks)
        tubes = TubeRange(num_blocks, area, mask_ratio)
        return draw_tubes(num_images, grid, tubes=tubes, rng=rng)
    else:
        raise ValueError(f"mask_type must be 'random', 'block' or 'tube', got {mask_type!r}")
    return split_by_score(scores, num_hidden_patches(len(grid), mask_ratio))


def foreground_first(is_foreground: Bool[Tensor, "b n"], *, rng: Generator) -> Int[Tensor, "b k"]:
    """Choose the patches that are computed on at all: every foreground patch of each image.

    K is the largest number of foreground patches of an image of the batch, 2 at least; images with
    fewer are filled up with background patches drawn at random. Increasing indices.
    """
    num_kept = min(max(int(is_foreground.sum(1).max()), 2), is_foreground.shape[1])
    scores = is_foreground.float() + torch.rand(is_foreground.shape, generator=rng)
    return scores.argsort(dim=1, descending=True)[:, :num_kept].sort(dim=1).values


def split_kept(
    kept: Int[Tensor, "b k"],
    visible: Int[Tensor, "b v"],
    hidden: Int[Tensor, "b h"],
    *,
    rng: Generator,
) -> tuple[Int[Tensor, "b j"], Int[Tensor, "b m"]]:
    """Restrict a mask of the whole grid to the patches that are kept, in equal numbers per image.

    Both sides hold what they held among `kept`; as every image must give the same number, those
    that hide more than the mean show a random part of it, and the other way round. Neither side is
    ever empty.
    """
    num_patches = visible.shape[1] + hidden.shape[1]
    is_hidden = torch.zeros(len(kept), num_patches, dtype=torch.bool)
    is_hidden.scatter_(1, hidden, True)
    inside = is_hidden.gather(1, kept)  # (B, K)
    num_kept = kept.shape[1]
    num_hidden = min(max(round(float(inside.sum(1).float().mean())), 1), num_kept - 1)
    # Drawn, not cut off in raster order: that would show lower right corners more often.
    scores = inside.float() + 0.5 * torch.rand(inside.shape, generator=rng)
    order = scores.argsort(dim=1, descending=True)
    hidden_places, visible_places = order[:, :num_hidden], order[:, num_hidden:]
    return (
        kept.gather(1, visible_places.sort(dim=1).values),
        kept.gather(1, hidden_places.sort(dim=1).values),
    )
