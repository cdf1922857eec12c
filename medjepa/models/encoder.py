"""The vision transformer: one class for images, volumes and clips.

Legend: B images, K tokens, D features, H heads.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from medjepa.models.patches import PatchEmbedding, patch_grid, rotations

__all__ = ["Attention", "PatchEmbedding", "TransformerBlock", "ViTEncoder"]


class Attention(nn.Module):
    """Multi-head self-attention through scaled dot product attention."""

    def __init__(self, embed_dim: int, num_heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        if embed_dim % num_heads:
            raise ValueError(f"embed_dim {embed_dim} is not a multiple of num_heads {num_heads}")
        self.num_heads, self.dropout = num_heads, dropout
        self.qkv = nn.Linear(embed_dim, 3 * embed_dim)
        self.projection = nn.Linear(embed_dim, embed_dim)

    def forward(
        self, x: Float[Tensor, "b k d"], rotation: Float[Tensor, "_ k r 2"] | None = None
    ) -> Float[Tensor, "b k d"]:
        """Mix tokens of the same image; `rotation` turns queries and keys by their places."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        if rotation is not None:
            q, k = rotate(q, rotation), rotate(k, rotation)
        mixed = F.scaled_dot_product_attention(
            q, k, v, dropout_p=self.dropout if self.training else 0.0
        )  # (B, H, K, D / H)
        return self.projection(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


def rotate(
    x: Float[Tensor, "b h k e"], rotation: Float[Tensor, "_ k r 2"]
) -> Float[Tensor, "b h k e"]:
    """Turn the first 2 R features of each head in pairs (i, i + R); the others stay."""
    cos, sin = rotation[:, None].to(x).unbind(-1)  # (1 or B, 1, K, R)
    num = cos.shape[-1]
    first, second, rest = x[..., :num], x[..., num : 2 * num], x[..., 2 * num :]
    return torch.cat([first * cos - second * sin, first * sin + second * cos, rest], dim=-1)


class TransformerBlock(nn.Module):
    """Pre-norm attention and MLP, each added to its input."""

    def __init__(
        self, embed_dim: int, num_heads: int, mlp_ratio: float = 4.0, dropout: float = 0.0
    ) -> None:
        super().__init__()
        hidden = int(embed_dim * mlp_ratio)
        self.norm1 = nn.LayerNorm(embed_dim)
        self.attention = Attention(embed_dim, num_heads, dropout)
        self.norm2 = nn.LayerNorm(embed_dim)
        self.mlp = nn.Sequential(
            nn.Linear(embed_dim, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, embed_dim),
        )
        self.drop = nn.Dropout(dropout)

    def forward(
        self, x: Float[Tensor, "b k d"], rotation: Float[Tensor, "_ k r 2"] | None = None
    ) -> Float[Tensor, "b k d"]:
        """Return tokens of the same shape."""
        x = x + self.drop(self.attention(self.norm1(x), rotation))
        x = x + self.drop(self.mlp(self.norm2(x)))
        return x


class ViTEncoder(nn.Module):
    """Patches in, one embedding per patch out; no class token, an image's embedding is their mean.

    `image_size` and `patch_size` are one number or one per axis (3 axes make it an encoder of
    volumes or clips). Any other image size that the patch divides works too: positions are
    interpolated, or physical where the spacing is given. Positions are added (`sincos`) or turn
    queries and keys in every block (`rotary`).
    Source: Dosovitskiy et al., arXiv 2010.11929, with sine-cosine positions and mean pooling.
    """

    def __init__(
        self,
        image_size: int | Sequence[int] = 224,
        patch_size: int | Sequence[int] = 16,
        in_channels: int = 3,
        embed_dim: int = 768,
        depth: int = 12,
        num_heads: int = 12,
        mlp_ratio: float = 4.0,
        dropout: float = 0.0,
        *,
        positions: str = "sincos",
    ) -> None:
        super().__init__()
        if positions not in ("sincos", "rotary"):
            raise ValueError(f"positions must be sincos or rotary, got {positions!r}")
        self.embed_dim, self.positions = embed_dim, positions
        self.head_dim = embed_dim // num_heads
        self.patch_embedding = PatchEmbedding(
            image_size, patch_size, in_channels, embed_dim, add_positions=positions == "sincos"
        )
        self.blocks = nn.ModuleList(
            TransformerBlock(embed_dim, num_heads, mlp_ratio, dropout) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(embed_dim)
        self.apply(initialise)
        if positions == "rotary":
            rotations(self.patch_embedding.grid, self.head_dim)  # refuses heads that are too narrow
        self.reference_spacing: Tensor
        num_axes = len(self.patch_embedding.grid.shape)
        # Only volumes and clips come with a spacing to remember.
        self.register_buffer(
            "reference_spacing", torch.full((num_axes,), torch.nan), persistent=num_axes > 2
        )

    @property
    def num_patches(self) -> int:
        """Patches in an image of the native size."""
        return self.patch_embedding.num_patches

    def forward(
        self,
        x: Float[Tensor, "b c *spatial"],
        patch_indices: Int[Tensor, "b k"] | None = None,
        *,
        spacing: Float[Tensor, "b a"] | None = None,
    ) -> Float[Tensor, "b k d"]:
        """Embed every patch, or with `patch_indices` (B, K) compute on those only.

        The others are dropped before the first layer: nothing of a hidden patch can reach a
        visible one's embedding. `spacing` (B, A), of voxels in mm (frames in s), makes distances
        between patches physical; NaN where it is unknown.

        Raises:
            ValueError: wrong number of channels, or a size that the patch does not divide.
        """
        return self.features(x, (len(self.blocks),), patch_indices, spacing=spacing)[0]

    def features(
        self,
        x: Float[Tensor, "b c *spatial"],
        depths: Sequence[int],
        patch_indices: Int[Tensor, "b k"] | None = None,
        *,
        spacing: Float[Tensor, "b a"] | None = None,
    ) -> list[Float[Tensor, "b k d"]]:
        """Return the tokens after the blocks numbered `depths` (1 is the first), in that order.

        Those of the last block are normalised, as `forward` returns them; the others are raw.

        Raises:
            ValueError: no such block, or as `forward`.
        """
        if not all(0 < depth <= len(self.blocks) for depth in depths):
            raise ValueError(f"depths must lie in 1 to {len(self.blocks)}, got {list(depths)}")
        scale = None if spacing is None else self._scale(spacing)
        tokens = self.patch_embedding(x, patch_indices, scale=scale)
        rotation = self._rotation(x, patch_indices, scale)
        found: dict[int, Tensor] = {}
        for number, block in enumerate(self.blocks[: max(depths)], start=1):
            tokens = block(tokens, rotation)
            if number in depths:
                found[number] = self.norm(tokens) if number == len(self.blocks) else tokens
        return [found[depth] for depth in depths]

    def _scale(self, spacing: Tensor) -> Tensor | None:
        """Lengths of a patch in lengths of one as it was trained on, (B, A); NaN unknown."""
        scale = spacing.float() / self.reference_spacing.to(spacing.device)
        if torch.compiler.is_compiling():  # the shortcut looks at values, which cannot be exported
            return scale
        return None if bool(scale.isnan().all()) else scale

    def _rotation(
        self, x: Tensor, patch_indices: Tensor | None, scale: Tensor | None
    ) -> Tensor | None:
        if self.positions == "sincos":
            return None
        native = self.patch_embedding.grid
        grid = patch_grid(x.shape[2:], self.patch_embedding.patch_size)
        turned = rotations(grid, self.head_dim, native=native, scale=scale).to(x.device)
        if patch_indices is None:
            return turned
        pairs = turned.shape[2]
        flat = turned.flatten(2).expand(len(x), -1, -1)
        chosen = flat.gather(1, patch_indices[..., None].expand(-1, -1, flat.shape[-1]))
        return chosen.reshape(len(x), -1, pairs, 2)


def initialise(module: nn.Module) -> None:
    """Truncated normal of width 0.02 for linear layers, biases 0."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
