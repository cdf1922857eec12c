"""Images, volumes and clips as rows of patches, with positions: one code for any number of axes.

Legend: B images, C channels, N patches, K kept patches, P values in a patch, D features.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from medjepa.types import PatchGrid


def as_shape(value: int | Sequence[int], num_axes: int = 2) -> tuple[int, ...]:
    """Return a size per axis; one number stands for all axes."""
    return (value,) * num_axes if isinstance(value, int) else tuple(value)


def patch_grid(spatial: Sequence[int], patch: Sequence[int]) -> PatchGrid:
    """Return the grid that patches of a size make of an image.

    Raises:
        ValueError: the number of axes differs, or the patch does not divide the image.
    """
    if len(spatial) != len(patch) or any(
        s % p or s < p for s, p in zip(spatial, patch, strict=True)
    ):
        raise ValueError(
            f"an image of {tuple(spatial)} cannot be cut into patches of {tuple(patch)}: "
            "every side must be a multiple of the patch's"
        )
    return PatchGrid(tuple(s // p for s, p in zip(spatial, patch, strict=True)))


def patchify(x: Float[Tensor, "b c *spatial"], patch: Sequence[int]) -> Float[Tensor, "b n p"]:
    """Cut into non-overlapping patches, row-major, each flattened channel first."""
    grid = patch_grid(x.shape[2:], patch)
    num_axes = len(patch)
    split = [n for pair in zip(grid.shape, patch, strict=True) for n in pair]
    x = x.reshape(x.shape[0], x.shape[1], *split)  # (B, C, g1, p1, g2, p2, ...)
    grid_axes = range(2, 2 + 2 * num_axes, 2)
    patch_axes = range(3, 3 + 2 * num_axes, 2)
    return x.permute(0, *grid_axes, 1, *patch_axes).reshape(x.shape[0], len(grid), -1)


def gather_patches(
    x: Float[Tensor, "b n d"], indices: Int[Tensor, "b k"]
) -> Float[Tensor, "b k d"]:
    """Pick each image's own patches."""
    return x.gather(1, indices[..., None].expand(-1, -1, x.shape[-1]))


def sincos_positions(
    grid: PatchGrid, num_features: int, *, native: PatchGrid | None = None
) -> Float[Tensor, "n d"]:
    """Sine and cosine of each patch's place along each axis, the axes side by side.

    With `native`, the grid the model was trained on, places are those of the same share of the
    image there: another image size or aspect is an interpolation.
    Source: Vaswani et al. 2017; several axes as in MAE and V-JEPA (channels per axis rounded up to
    even, the whole cut to `num_features`).
    """
    native = native or grid
    num_axes = len(grid.shape)
    per_axis = 2 * math.ceil(num_features / (2 * num_axes))
    frequency = 10_000.0 ** -(torch.arange(per_axis // 2, dtype=torch.float64) * 2 / per_axis)
    parts = []
    for axis, (n, trained) in enumerate(zip(grid.shape, native.shape, strict=True)):
        place = (torch.arange(n, dtype=torch.float64) + 0.5) * trained / n - 0.5
        angle = place[:, None] * frequency
        code = torch.cat([angle.sin(), angle.cos()], dim=1)
        shape = [1] * num_axes + [per_axis]
        shape[axis] = n
        parts.append(code.view(shape).expand(*grid.shape, per_axis))
    return torch.cat(parts, dim=-1).flatten(0, -2)[:, :num_features].float()


class PatchEmbedding(nn.Module):
    """Patches to tokens with their positions; hidden patches are dropped before any arithmetic."""

    def __init__(
        self,
        image_size: int | Sequence[int] = 224,
        patch_size: int | Sequence[int] = 16,
        in_channels: int = 3,
        embed_dim: int = 768,
    ) -> None:
        super().__init__()
        num_axes = max(
            len(as_shape(s)) if not isinstance(s, int) else 0 for s in (image_size, patch_size)
        )
        self.patch_size = as_shape(patch_size, num_axes or 2)
        self.image_size = as_shape(image_size, num_axes or 2)
        self.grid = patch_grid(self.image_size, self.patch_size)
        self.in_channels, self.embed_dim = in_channels, embed_dim
        self.projection = nn.Linear(in_channels * math.prod(self.patch_size), embed_dim)
        self.positions: Tensor
        self.register_buffer("positions", sincos_positions(self.grid, embed_dim), persistent=False)

    @property
    def num_patches(self) -> int:
        """Patches in an image of the native size."""
        return len(self.grid)

    def forward(
        self, x: Float[Tensor, "b c *spatial"], patch_indices: Int[Tensor, "b k"] | None = None
    ) -> Float[Tensor, "b k d"]:
        """Embed all patches, or with `patch_indices` only those, whatever the others hold.

        Raises:
            ValueError: wrong number of channels, or a size that the patch does not divide.
        """
        if x.shape[1] != self.in_channels:
            raise ValueError(f"the encoder takes {self.in_channels} channels, got {x.shape[1]}")
        patches = patchify(x, self.patch_size)
        positions = self._positions_for(patch_grid(x.shape[2:], self.patch_size))
        if patch_indices is None:
            return self.projection(patches) + positions  # type: ignore[no-any-return]
        kept = self.projection(gather_patches(patches, patch_indices))
        return kept + positions[patch_indices]  # type: ignore[no-any-return]

    def _positions_for(self, grid: PatchGrid) -> Tensor:
        if grid == self.grid:
            return self.positions
        return sincos_positions(grid, self.embed_dim, native=self.grid).to(self.positions)
