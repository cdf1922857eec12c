"""The vision transformer: one class for images, volumes and clips.

Legend: B images, K tokens, D features, H heads.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from medjepa.models.patches import PatchEmbedding

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

    def forward(self, x: Float[Tensor, "b k d"]) -> Float[Tensor, "b k d"]:
        """Mix tokens of the same image."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(
            q, k, v, dropout_p=self.dropout if self.training else 0.0
        )  # (B, H, K, D / H)
        return self.projection(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


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

    def forward(self, x: Float[Tensor, "b k d"]) -> Float[Tensor, "b k d"]:
        """Return tokens of the same shape."""
        x = x + self.drop(self.attention(self.norm1(x)))
        x = x + self.drop(self.mlp(self.norm2(x)))
        return x


class ViTEncoder(nn.Module):
    """Patches in, one embedding per patch out; no class token, an image's embedding is their mean.

    `image_size` and `patch_size` are one number or one per axis (3 axes make it an encoder of
    volumes or clips). Any other image size that the patch divides works too: positions are
    interpolated.
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
    ) -> None:
        super().__init__()
        self.embed_dim = embed_dim
        self.patch_embedding = PatchEmbedding(image_size, patch_size, in_channels, embed_dim)
        self.blocks = nn.ModuleList(
            TransformerBlock(embed_dim, num_heads, mlp_ratio, dropout) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(embed_dim)
        self.apply(initialise)

    @property
    def num_patches(self) -> int:
        """Patches in an image of the native size."""
        return self.patch_embedding.num_patches

    def forward(
        self, x: Float[Tensor, "b c *spatial"], patch_indices: Int[Tensor, "b k"] | None = None
    ) -> Float[Tensor, "b k d"]:
        """Embed every patch, or with `patch_indices` (B, K) compute on those only.

        The others are dropped before the first layer: nothing of a hidden patch can reach a
        visible one's embedding.

        Raises:
            ValueError: wrong number of channels, or a size that the patch does not divide.
        """
        tokens = self.patch_embedding(x, patch_indices)
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)  # type: ignore[no-any-return]


def initialise(module: nn.Module) -> None:
    """Truncated normal of width 0.02 for linear layers, biases 0."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
