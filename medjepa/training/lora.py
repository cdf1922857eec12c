"""Low-rank adapters: a frozen layer learns a difference of few numbers, which merges into it.

Source: Hu et al., arXiv 2106.09685, section 4: W + (alpha / r) B A, with B = 0 at the start.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from medjepa.models.encoder import ViTEncoder

ADAPTED = ("qkv", "projection")
"""Layers of every attention that get an adapter."""


class LoRALinear(nn.Module):
    """A frozen linear layer beside a trained product of two thin matrices.

    Raises:
        ValueError: a rank below 1.
    """

    def __init__(self, base: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        if rank < 1:
            raise ValueError(f"the rank of an adapter is 1 or more, got {rank}")
        self.base, self.scale = base.requires_grad_(False), alpha / rank
        like = base.weight
        self.down = nn.Parameter(like.new_empty(rank, base.in_features))
        self.up = nn.Parameter(like.new_zeros(base.out_features, rank))
        # As a linear layer's own: the size of what `down` gives is that of its input.
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, x: Float[Tensor, "*rows d"]) -> Float[Tensor, "*rows e"]:
        """The frozen layer's output and the scaled adapter's."""
        added = F.linear(F.linear(x, self.down), self.up)
        return self.base(x) + self.scale * added  # type: ignore[no-any-return]

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """One linear layer that computes the same."""
        layer = nn.Linear(
            self.base.in_features, self.base.out_features, bias=self.base.bias is not None
        )
        layer = layer.to(self.base.weight)
        layer.weight.copy_(self.base.weight + self.scale * self.up @ self.down)
        if self.base.bias is not None:
            layer.bias.copy_(self.base.bias)
        return layer


def add_adapters(encoder: ViTEncoder, *, rank: int, alpha: float | None = None) -> None:
    """Freeze an encoder, and give each attention's `ADAPTED` layers an adapter, in place.

    Args:
        encoder: changed; before training it computes what it did.
        rank: of each adapter.
        alpha: its scale is alpha / rank; None takes alpha = rank.
    """
    encoder.requires_grad_(False)
    for block in encoder.blocks:
        attention = block.attention
        assert isinstance(attention, nn.Module)
        for name in ADAPTED:
            base = getattr(attention, name)
            setattr(attention, name, LoRALinear(base, rank, rank if alpha is None else alpha))


def merge_adapters(encoder: ViTEncoder) -> None:
    """Replace every adapter by one linear layer that computes the same, in place."""
    for block in encoder.blocks:
        attention = block.attention
        for name in ADAPTED:
            layer = getattr(attention, name)
            if isinstance(layer, LoRALinear):
                setattr(attention, name, layer.merged())
