"""V-JEPA's teacher: an encoder that follows the one that is trained."""

import copy

import torch
from torch import nn

from medjepa.models.encoder import ViTEncoder


class Teacher(nn.Module):
    """A copy of an encoder whose weights are an exponential moving average of the other's.

    Source: V-JEPA (arXiv 2404.08471), section 3.1; a constant momentum as in V-JEPA 2 (arXiv
    2506.09985).
    """

    def __init__(self, encoder: ViTEncoder, momentum: float) -> None:
        super().__init__()
        if not 0 <= momentum < 1:
            raise ValueError(f"teacher_momentum must lie in [0, 1), got {momentum}")
        self.momentum = momentum
        self.encoder = copy.deepcopy(encoder).requires_grad_(False)

    @torch.no_grad()
    def follow(self, encoder: ViTEncoder) -> None:
        """Move every weight towards the trained encoder's by 1 - momentum; buffers are copied."""
        pairs = zip(self.encoder.parameters(), encoder.parameters(), strict=True)
        for own, trained in pairs:
            own.lerp_(trained.detach().to(own.dtype), 1 - self.momentum)
        for kept, given in zip(self.encoder.buffers(), encoder.buffers(), strict=True):
            kept.copy_(given)
