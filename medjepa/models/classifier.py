"""An encoder with a classification head: the mean patch of the last block, a norm, one layer.

Legend: B images, C channels, D features, K classes.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medjepa.models.encoder import ViTEncoder
from medjepa.models.patches import patchify


class Classifier(nn.Module):
    """Images, volumes or clips in [0, 1] to scores of K classes.

    Args:
        encoder: of any of them; it is taken as it is, not copied.
        num_classes: K.
        mean: of its pre-training images, by channel.
        std: likewise.
        background: patches that hold nothing brighter are not computed on; None computes all.
    """

    def __init__(
        self,
        encoder: ViTEncoder,
        num_classes: int,
        *,
        mean: Tensor,
        std: Tensor,
        background: float | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.background = encoder, background
        self.norm = nn.LayerNorm(encoder.embed_dim)
        self.head = nn.Linear(encoder.embed_dim, num_classes)
        # All classes are equally likely at first: the encoder is not pulled by a random head.
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", mean.clone())
        self.register_buffer("std", std.clone())

    def forward(
        self, images: Float[Tensor, "b c *spatial"], spacing: Float[Tensor, "b a"] | None = None
    ) -> Float[Tensor, "b k"]:
        """Scores before the softmax; `spacing` is that of voxels in mm (frames in s)."""
        return self.head(self.norm(self._embed(images, spacing)))  # type: ignore[no-any-return]

    def _embed(self, images: Tensor, spacing: Tensor | None) -> Tensor:
        shape = (-1, *[1] * (images.ndim - 2))
        given = (images - self.mean.view(shape)) / self.std.view(shape)
        if self.background is None:
            return self.encoder(given, spacing=spacing).mean(1)  # type: ignore[no-any-return]
        bright = patchify(images, self.encoder.patch_embedding.patch_size).amax(-1)
        rows = []
        for number, is_foreground in enumerate(bright > self.background):
            one = slice(number, number + 1)
            found = is_foreground.nonzero().T
            kept = found if found.numel() else None
            own = None if spacing is None else spacing[one]
            rows.append(self.encoder(given[one], kept, spacing=own).mean(1))
        return torch.cat(rows)
