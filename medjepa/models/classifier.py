"""An encoder with a classification head: the mean patch of the last block, one layer.

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
        # What images have in common can be far larger than what tells them apart, and moves as the
        # encoder learns: standardised by the batch, it stays out of the scores (as MAE's probe).
        self.standardise = nn.BatchNorm1d(encoder.embed_dim, eps=1e-8, affine=False)
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
        # In float32: the differences between images are small beside the features themselves.
        features = self.standardise(self.embed(images, spacing).float())
        return self.head(features)  # type: ignore[no-any-return]

    @torch.no_grad()
    def set_statistics(self, mean: Float[Tensor, " d"], variance: Float[Tensor, " d"]) -> None:
        """Set what scores are standardised by outside of training."""
        assert self.standardise.running_mean is not None
        assert self.standardise.running_var is not None
        self.standardise.running_mean.copy_(mean)
        # A constant feature says nothing, and is not blown up.
        self.standardise.running_var.copy_(torch.where(variance > 1e-12, variance, 1.0))

    def embed(
        self, images: Float[Tensor, "b c *spatial"], spacing: Float[Tensor, "b a"] | None = None
    ) -> Float[Tensor, "b d"]:
        """The mean patch of the last block, which the head sees standardised."""
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
