"""A teacher: an encoder that follows the one that is trained."""

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

    def follow(self, encoder: ViTEncoder, momentum: float | None = None) -> None:
        """Move every weight towards the trained encoder's by 1 - momentum; buffers are copied.

        A `momentum` given here is that of this step alone.
        """
        move_average(self.encoder, encoder, self.momentum if momentum is None else momentum)


@torch.no_grad()
def move_average(average: nn.Module, trained: nn.Module, momentum: float) -> None:
    """Keep `momentum` of every weight of `average` and take the rest from `trained`, in place.

    Buffers are copied.
    """
    for own, given in zip(average.parameters(), trained.parameters(), strict=True):
        own.lerp_(given.detach().to(own.dtype), 1 - momentum)
    for kept, copied in zip(average.buffers(), trained.buffers(), strict=True):
        kept.copy_(copied)
