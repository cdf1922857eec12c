"""The predictor: from the embeddings of visible patches to those of hidden ones.

Legend: B images, K context patches, M target patches, D features of the encoder.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from medjepa.models.encoder import TransformerBlock, initialise
from medjepa.models.patches import sincos_positions
from medjepa.types import PatchGrid


class JEPAPredictor(nn.Module):
    """A narrow transformer that is told where to predict, and never what is there.

    Context embeddings and one mask token per target, each with its position, are mixed; the
    outputs at the mask tokens are the predictions. `grid` is the patch grid; without it a square
    number of patches is taken for a square grid. `output_dim` is the length of a prediction, that
    of an embedding by default.
    Source: Assran et al., arXiv 2301.08243 (I-JEPA), section 3.
    """

    def __init__(
        self,
        embed_dim: int = 768,
        predictor_dim: int = 384,
        depth: int = 6,
        num_heads: int = 6,
        num_patches: int = 196,
        *,
        grid: PatchGrid | None = None,
        output_dim: int | None = None,
    ) -> None:
        super().__init__()
        grid = grid or _square_or_line(num_patches)
        if len(grid) != num_patches:
            raise ValueError(f"a grid of {grid.shape} has {len(grid)} patches, not {num_patches}")
        self.embed = nn.Linear(embed_dim, predictor_dim)
        self.mask_token = nn.Parameter(torch.zeros(predictor_dim))
        self.positions: Tensor
        self.register_buffer("positions", sincos_positions(grid, predictor_dim), persistent=False)
        self.blocks = nn.ModuleList(
            TransformerBlock(predictor_dim, num_heads) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(predictor_dim)
        self.project = nn.Linear(predictor_dim, output_dim or embed_dim)
        self.apply(initialise)
        nn.init.trunc_normal_(self.mask_token, std=0.02)

    def forward(
        self,
        context_embeddings: Float[Tensor, "b k d"],
        context_indices: Int[Tensor, "b k"],
        target_indices: Int[Tensor, "b m"],
    ) -> Float[Tensor, "b m e"]:
        """Predict the embedding (or whatever has `output_dim`) of each target patch."""
        context = self.embed(context_embeddings) + self.positions[context_indices]
        targets = self.mask_token + self.positions[target_indices]
        tokens = torch.cat([context, targets], dim=1)
        for block in self.blocks:
            tokens = block(tokens)
        wanted = tokens[:, context_indices.shape[1] :]
        return self.project(self.norm(wanted))  # type: ignore[no-any-return]


def _square_or_line(num_patches: int) -> PatchGrid:
    side = math.isqrt(num_patches)
    return PatchGrid((side, side) if side * side == num_patches else (num_patches,))
