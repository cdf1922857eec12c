"""Maskers under the names users know; the mathematics is in `medjepa.objectives.masks`."""

from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from medjepa.objectives.masks import (
    TUBE_RANGES,
    draw_masks,
    draw_tubes,
    num_hidden_patches,
    random_scores,
    split_by_score,
)
from medjepa.types import PatchGrid

Split = tuple[Int[Tensor, " k"], Int[Tensor, " m"]]
"""(context_indices, target_indices)."""


class _GridMasker:
    """Draws (context, target) patch indices of one grid, one after the other from one seed."""

    def __init__(
        self, grid: PatchGrid, mask_ratio: float, num_target_blocks: int, seed: int | None
    ) -> None:
        num_hidden_patches(len(grid), mask_ratio)  # refuses what cannot be masked
        self.grid, self.mask_ratio, self.num_target_blocks = grid, mask_ratio, num_target_blocks
        self.rng = torch.Generator()
        if seed is None:
            self.rng.seed()
        else:
            self.rng.manual_seed(seed)

    @property
    def num_patches(self) -> int:
        """Patches of the grid."""
        return len(self.grid)

    def generate_mask(self) -> Split:
        """Draw (context_indices, target_indices) patch by patch: sorted, disjoint, complete."""
        return self._draw("random")

    def generate_block_mask(self) -> Split:
        """Draw (context_indices, target_indices) with blocks hidden, at the exact mask ratio."""
        return self._draw("block")

    def visualize_mask(
        self, context_indices: Int[Tensor, " k"], target_indices: Int[Tensor, " m"]
    ) -> Int[Tensor, "..."]:
        """Return the grid with 1 where a patch is hidden and 0 where it is visible."""
        picture = torch.zeros(self.num_patches, dtype=torch.long)
        picture[target_indices] = 1
        picture[context_indices] = 0
        return picture.view(self.grid.shape)

    def _draw(self, mask_type: str) -> Split:
        visible, hidden = draw_masks(
            1,
            self.grid,
            mask_ratio=self.mask_ratio,
            mask_type=mask_type,
            num_blocks=self.num_target_blocks,
            rng=self.rng,
        )
        return visible[0], hidden[0]


class PatchMasker2D(_GridMasker):
    """Masks for images; `grid_size` is the number of patches along a side (of a square image).

    Raises:
        ValueError: the patch does not divide the image, or the ratio is not between 0 and 1.
    """

    def __init__(
        self,
        image_size: int | Sequence[int] = 224,
        patch_size: int | Sequence[int] = 16,
        mask_ratio: float = 0.75,
        num_target_blocks: int = 4,
        *,
        seed: int | None = None,
    ) -> None:
        super().__init__(_grid(image_size, patch_size, 2), mask_ratio, num_target_blocks, seed)
        self.grid_size = self.grid.shape[0]


class PatchMasker3D(_GridMasker):
    """Masks for volumes; blocks are cuboids.

    Raises:
        ValueError: the patch does not divide the volume, or the ratio is not between 0 and 1.
    """

    def __init__(
        self,
        volume_size: Sequence[int] = (128, 128, 64),
        patch_size: Sequence[int] = (16, 16, 8),
        mask_ratio: float = 0.75,
        *,
        num_target_blocks: int = 4,
        seed: int | None = None,
    ) -> None:
        super().__init__(_grid(volume_size, patch_size, 3), mask_ratio, num_target_blocks, seed)
        self.grid_size = self.grid.shape


class TemporalMasker:
    """Hides frames of a clip, and patches of the frames that are left; or tubes through time.

    `tubelet` is how many frames a patch of `generate_tube_mask` spans.

    Raises:
        ValueError: the patch does not divide the image, or a ratio is not between 0 and 1.
    """

    def __init__(
        self,
        num_frames: int = 16,
        patch_size_spatial: int = 16,
        image_size: int = 224,
        mask_ratio_temporal: float = 0.5,
        mask_ratio_spatial: float = 0.75,
        *,
        tubelet: int = 2,
        seed: int | None = None,
    ) -> None:
        if tubelet < 1 or num_frames % tubelet:
            raise ValueError(f"tubelets of {tubelet} frames do not divide a clip of {num_frames}")
        self.spatial = PatchMasker2D(image_size, patch_size_spatial, mask_ratio_spatial, seed=seed)
        self.num_frames, self.rng = num_frames, self.spatial.rng
        self.num_hidden_frames = num_hidden_patches(num_frames, mask_ratio_temporal)
        self.tube_grid = PatchGrid((num_frames // tubelet, *self.spatial.grid.shape))

    def generate_mask(self) -> dict[str, Tensor]:
        """Draw `visible_frames`, `hidden_frames` and `visible_patches` (of every visible frame)."""
        scores = random_scores(1, PatchGrid((self.num_frames,)), rng=self.rng)
        visible, hidden = split_by_score(scores, self.num_hidden_frames)
        context, _ = self.spatial.generate_mask()
        return {
            "visible_frames": visible[0],
            "hidden_frames": hidden[0],
            "visible_patches": context,
        }

    def generate_tube_mask(self, range_name: str = "short") -> Split:
        """Draw (context_indices, target_indices): areas of the frame hidden in all frames.

        `range_name` is "short" (eight small areas) or "long" (two large ones), as in V-JEPA; the
        patches are those of a grid (num_frames / tubelet, rows, columns).
        """
        ranges = dict(zip(("short", "long"), TUBE_RANGES, strict=True))
        if range_name not in ranges:
            raise ValueError(f"range_name must be short or long, got {range_name!r}")
        visible, hidden = draw_tubes(1, self.tube_grid, tubes=ranges[range_name], rng=self.rng)
        return visible[0], hidden[0]


def _grid(size: int | Sequence[int], patch: int | Sequence[int], num_axes: int) -> PatchGrid:
    sizes, patches = (
        (value,) * num_axes if isinstance(value, int) else tuple(value) for value in (size, patch)
    )
    if (
        len(sizes) != num_axes
        or len(patches) != num_axes
        or any(s % p or s < p for s, p in zip(sizes, patches, strict=True))
    ):
        raise ValueError(f"patches of {patches} do not divide an image of {sizes}")
    return PatchGrid(tuple(s // p for s, p in zip(sizes, patches, strict=True)))
