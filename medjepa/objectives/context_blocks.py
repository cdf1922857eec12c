"""I-JEPA's masks: one large context block, several target blocks that are cut out of it.

Legend: B images, N patches, M target blocks, K patches of a context, T patches of a target.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor

from medjepa.objectives.sigreg import at_least_float32
from medjepa.types import PatchGrid

MOST_TRIES = 200
"""Draws for one image before a grid is said to be too small for its blocks."""


def draw_context_and_targets(
    num_images: int,
    grid: PatchGrid,
    *,
    num_targets: int = 4,
    target_scale: tuple[float, float] = (0.15, 0.2),
    target_aspect: tuple[float, float] = (0.75, 1.5),
    context_scale: tuple[float, float] = (0.85, 1.0),
    min_context: int = 10,
    rng: Generator,
) -> tuple[Int[Tensor, "b k"], Int[Tensor, "b m t"]]:
    """Draw the indices of each image's context and of its target blocks (rows may share patches).

    All blocks of a batch have one size, drawn anew each time: of the targets with an area and an
    aspect in their ranges, of the context with an area in its range and the grid's own aspect.
    Places are drawn for every image. No patch of a target is in the context, which keeps at least
    `min_context` patches (a quarter of a small grid). So that all images give equally many, larger
    contexts lose patches at random.
    Source: Assran et al., arXiv 2301.08243, section 3 and appendix A.1. Other than in its code
    blocks reach the last row and column, aspect and area are drawn apart, and what is cut off is
    random.

    Raises:
        ValueError: the targets leave too little of the grid.
    """
    target = _block_size(grid, target_scale, target_aspect, rng=rng)
    context = _block_size(grid, context_scale, (1.0, 1.0), rng=rng)
    wanted = min(min_context, max(len(grid) // 4, 1))
    seen, hidden = [], []
    for _ in range(num_images):
        inside, blocks = _one_image(grid, num_targets, target, context, wanted, rng=rng)
        seen.append(inside)
        hidden.append(torch.stack([block.nonzero()[:, 0] for block in blocks]))
    visible = torch.stack(seen)
    num_kept = int(visible.sum(1).min())
    scores = visible.float() + torch.rand(visible.shape, generator=rng)
    kept = scores.argsort(dim=1, descending=True)[:, :num_kept].sort(dim=1).values
    return kept, torch.stack(hidden)


def _one_image(
    grid: PatchGrid,
    num_targets: int,
    target: tuple[int, ...],
    context: tuple[int, ...],
    wanted: int,
    *,
    rng: Generator,
) -> tuple[Bool[Tensor, " n"], list[Bool[Tensor, " n"]]]:
    for _ in range(MOST_TRIES):
        blocks = [_place(grid, target, rng=rng) for _ in range(num_targets)]
        inside = _place(grid, context, rng=rng) & ~torch.stack(blocks).any(0)
        if int(inside.sum()) >= wanted:
            return inside, blocks
    raise ValueError(
        f"{num_targets} target blocks of {target} patches leave no context on a grid of "
        f"{grid.shape}; fewer or smaller ones do"
    )


def _block_size(
    grid: PatchGrid, scale: tuple[float, float], aspect: tuple[float, float], *, rng: Generator
) -> tuple[int, ...]:
    """Draw a block's sides: its area is a share of the grid in `scale`, its aspect in `aspect`."""
    area, stretch = torch.rand(2, generator=rng, dtype=torch.float64).tolist()
    share = scale[0] + (scale[1] - scale[0]) * area
    ratio = aspect[0] + (aspect[1] - aspect[0]) * stretch
    height, width = (n * math.sqrt(share) for n in grid.shape)
    sides = (round(height * math.sqrt(ratio)), round(width / math.sqrt(ratio)))
    return tuple(min(max(side, 1), n) for side, n in zip(sides, grid.shape, strict=True))


def _place(grid: PatchGrid, size: tuple[int, ...], *, rng: Generator) -> Bool[Tensor, " n"]:
    """Place a block anywhere on the grid, its border included."""
    inside = torch.zeros(grid.shape, dtype=torch.bool)
    first = [
        int(torch.randint(n - side + 1, (), generator=rng))
        for n, side in zip(grid.shape, size, strict=True)
    ]
    inside[tuple(slice(f, f + side) for f, side in zip(first, size, strict=True))] = True
    return inside.flatten()


def block_prediction_loss(
    predicted: Float[Tensor, "b m t d"], wanted: Float[Tensor, "b m t d"], *, constant: bool = True
) -> Float[Tensor, ""]:
    """Smooth L1 (quadratic below 1) between predictions and layer-normed embeddings.

    `wanted` is not yet normalised; it is a `constant` as published, else a gradient passes to it.
    Source: as the masks; its code has smooth L1 where the paper writes L2.
    """
    wanted = at_least_float32(wanted)
    target = F.layer_norm(wanted, wanted.shape[-1:])
    return F.smooth_l1_loss(at_least_float32(predicted), target.detach() if constant else target)
