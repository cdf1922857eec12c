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


def patch_places(
    grid: PatchGrid, *, native: PatchGrid | None = None, scale: Float[Tensor, "b a"] | None = None
) -> list[Float[Tensor, "_ n"]]:
    """Return each patch's place along each axis, in units of the native grid's patches.

    With `native`, the grid the model was trained on, places are those of the same share of the
    image there: another image size or aspect is an interpolation. With `scale` (B, A), the length
    of a patch in lengths of the native one, places are physical instead: twice the spacing is twice
    the distance. NaN in `scale` (no spacing known) leaves an axis to the first rule.
    """
    native = native or grid
    places = []
    for axis, (n, trained) in enumerate(zip(grid.shape, native.shape, strict=True)):
        middle = torch.arange(n, dtype=torch.float64) + 0.5
        step = torch.full((1, 1), trained / n, dtype=torch.float64)
        if scale is not None:
            given = scale[:, axis, None].double().cpu()
            step = torch.where(given.isnan(), step, given)
        places.append(middle * step - 0.5)
    return places


def sincos_positions(
    grid: PatchGrid,
    num_features: int,
    *,
    native: PatchGrid | None = None,
    scale: Float[Tensor, "b a"] | None = None,
) -> Float[Tensor, "*b n d"]:
    """Sine and cosine of each patch's place along each axis, the axes side by side.

    `native` and `scale` are those of `patch_places`; with `scale` the positions are (B, N, D).
    Source: Vaswani et al. 2017; several axes as in MAE and V-JEPA (channels per axis rounded up to
    even, the whole cut to `num_features`).
    """
    num_axes = len(grid.shape)
    per_axis = 2 * math.ceil(num_features / (2 * num_axes))
    frequency = 10_000.0 ** -(torch.arange(per_axis // 2, dtype=torch.float64) * 2 / per_axis)
    parts = []
    for axis, place in enumerate(patch_places(grid, native=native, scale=scale)):
        angle = place[..., None] * frequency
        code = torch.cat([angle.sin(), angle.cos()], dim=-1)  # (B, n, per_axis)
        shape = [len(code), *[1] * num_axes, per_axis]
        shape[1 + axis] = grid.shape[axis]
        parts.append(code.view(shape).expand(len(code), *grid.shape, per_axis))
    positions = torch.cat(parts, dim=-1).flatten(1, -2)[..., :num_features].float()
    return positions if scale is not None else positions[0]


def rotations(
    grid: PatchGrid,
    head_dim: int,
    *,
    native: PatchGrid | None = None,
    scale: Float[Tensor, "b a"] | None = None,
) -> Float[Tensor, "_ n r 2"]:
    """Cosine and sine of the angles that rotate pairs of a head's features, (1 or B, N, R, 2).

    Each axis has an equal and even share of the head; what is left over is not rotated.
    Source: Su et al., arXiv 2104.09864; several axes as in V-JEPA 2 (arXiv 2506.09985).

    Raises:
        ValueError: the head is too narrow for two features an axis.
    """
    num_axes = len(grid.shape)
    pairs = head_dim // num_axes // 2
    if not pairs:
        raise ValueError(f"heads of {head_dim} features cannot be rotated along {num_axes} axes")
    frequency = 10_000.0 ** -(torch.arange(pairs, dtype=torch.float64) / pairs)
    parts = []
    for axis, place in enumerate(patch_places(grid, native=native, scale=scale)):
        shape = [len(place), *[1] * num_axes, pairs]
        shape[1 + axis] = grid.shape[axis]
        angle = (place[..., None] * frequency).view(shape)
        parts.append(angle.expand(len(place), *grid.shape, pairs))
    angles = torch.cat(parts, dim=-1).flatten(1, -2)
    return torch.stack([angles.cos(), angles.sin()], dim=-1).float()


class PatchEmbedding(nn.Module):
    """Patches to tokens with their positions; hidden patches are dropped before any arithmetic.

    `add_positions=False` leaves them to rotations inside the attention.
    """

    def __init__(
        self,
        image_size: int | Sequence[int] = 224,
        patch_size: int | Sequence[int] = 16,
        in_channels: int = 3,
        embed_dim: int = 768,
        *,
        add_positions: bool = True,
    ) -> None:
        super().__init__()
        num_axes = max(
            len(as_shape(s)) if not isinstance(s, int) else 0 for s in (image_size, patch_size)
        )
        self.patch_size = as_shape(patch_size, num_axes or 2)
        self.image_size = as_shape(image_size, num_axes or 2)
        self.grid = patch_grid(self.image_size, self.patch_size)
        self.in_channels, self.embed_dim = in_channels, embed_dim
        self.add_positions = add_positions
        self.projection = nn.Linear(in_channels * math.prod(self.patch_size), embed_dim)
        self.positions: Tensor
        self.register_buffer("positions", sincos_positions(self.grid, embed_dim), persistent=False)

    @property
    def num_patches(self) -> int:
        """Patches in an image of the native size."""
        return len(self.grid)

    def forward(
        self,
        x: Float[Tensor, "b c *spatial"],
        patch_indices: Int[Tensor, "b k"] | None = None,
        *,
        scale: Float[Tensor, "b a"] | None = None,
    ) -> Float[Tensor, "b k d"]:
        """Embed all patches, or with `patch_indices` only those, whatever the others hold.

        `scale` is that of `patch_places`.

        Raises:
            ValueError: wrong number of channels, or a size that the patch does not divide.
        """
        if x.shape[1] != self.in_channels:
            raise ValueError(f"the encoder takes {self.in_channels} channels, got {x.shape[1]}")
        grid = patch_grid(x.shape[2:], self.patch_size)
        patches = patchify(x, self.patch_size)
        if patch_indices is not None:
            patches = gather_patches(patches, patch_indices)
        tokens: Tensor = self.projection(patches)
        if not self.add_positions:
            return tokens
        positions = self._positions_for(grid, scale)
        if patch_indices is None:
            return tokens + positions
        if positions.ndim == 3:
            return tokens + gather_patches(positions, patch_indices)
        return tokens + positions[patch_indices]

    def _positions_for(self, grid: PatchGrid, scale: Tensor | None) -> Tensor:
        if grid == self.grid and scale is None:
            return self.positions
        return sincos_positions(grid, self.embed_dim, native=self.grid, scale=scale).to(
            self.positions
        )
