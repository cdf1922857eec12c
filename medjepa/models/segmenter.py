"""Segmentation on an encoder: one score per class and pixel or voxel, in 2-D and 3-D.

Legend: B images, C channels, N patches, D features, K outputs, A axes.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from medjepa.models.decoder import LightDecoder, LinearDecoder
from medjepa.models.encoder import ViTEncoder

DECODERS = ("light", "linear")


class Segmenter(nn.Module):
    """An encoder with a decoder that is small beside it.

    `decoder` "light" joins tokens of `depths` (a third, two thirds and the end of the encoder
    without it) as the bottom of a small U-Net, whose image path is local. "linear" is one linear
    map from the tokens to the voxels of their patch: what can be read off the encoder without
    further learning.

    Images are in [0, 1]; `mean` and `std` (C,) are the pixel statistics that the encoder was
    trained with, 0 and 1 without them. `frozen` leaves the encoder as it is, without gradient or
    dropout. Any image size is taken: it is padded with black to what the patch divides.
    Source: Hatamizadeh et al., arXiv 2103.10504 (UNETR), for tokens of several depths.
    """

    def __init__(
        self,
        encoder: ViTEncoder,
        num_outputs: int,
        *,
        decoder: str = "light",
        frozen: bool = False,
        mean: Float[Tensor, " c"] | None = None,
        std: Float[Tensor, " c"] | None = None,
        depths: Sequence[int] | None = None,
        width: int = 16,
    ) -> None:
        super().__init__()
        if decoder not in DECODERS:
            raise ValueError(f"decoder must be one of {', '.join(DECODERS)}, got {decoder!r}")
        if num_outputs < 1:
            raise ValueError(f"num_outputs must be 1 or more, got {num_outputs}")
        patches, last = encoder.patch_embedding, len(encoder.blocks)
        self.encoder, self.frozen = encoder, frozen
        self.num_outputs, self.patch_size = num_outputs, patches.patch_size
        self.depths = tuple(depths or sorted({-(-last // 3), -(-2 * last // 3), last}))
        num_features = encoder.embed_dim * len(self.depths)
        self.norms = nn.ModuleList(nn.LayerNorm(encoder.embed_dim) for _ in self.depths)
        self.decoder: nn.Module
        if decoder == "light":
            self.decoder = LightDecoder(
                num_features, patches.in_channels, num_outputs, self.patch_size, width=width
            )
        else:
            self.decoder = LinearDecoder(num_features, num_outputs, self.patch_size)
        self.pixel_mean: Tensor
        self.pixel_std: Tensor
        channels = patches.in_channels
        self.register_buffer("pixel_mean", torch.zeros(channels) if mean is None else mean.clone())
        self.register_buffer("pixel_std", torch.ones(channels) if std is None else std.clone())
        if frozen:
            encoder.requires_grad_(False)

    @property
    def follows_spacing(self) -> bool:
        """Whether the encoder remembers a spacing, so that the spacing of an image changes it."""
        return not bool(self.encoder.reference_spacing.isnan().all())

    def train(self, mode: bool = True) -> "Segmenter":
        """Switch dropout; a frozen encoder stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    def forward(
        self,
        images: Float[Tensor, "b c *spatial"],
        *,
        spacing: Float[Tensor, "b a"] | None = None,
    ) -> Float[Tensor, "b k *spatial"]:
        """Score every class at every voxel, before softmax or sigmoid.

        `spacing` is that of the voxels, as the encoder takes it.
        """
        shape = images.shape[2:]
        # Last axis first, before and after.
        padding = [
            n for side, p in zip(shape, self.patch_size, strict=True) for n in (-side % p, 0)
        ]
        padded = F.pad(images, padding[::-1])
        channelwise = (-1, *[1] * len(shape))
        pixels = (padded - self.pixel_mean.view(channelwise)) / self.pixel_std.view(channelwise)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            found = self.encoder.features(pixels, self.depths, spacing=spacing)
        tokens = torch.cat([norm(part) for norm, part in zip(self.norms, found, strict=True)], -1)
        scores: Tensor = self.decoder(tokens, pixels)
        for axis, side in enumerate(shape, start=2):
            scores = scores.narrow(axis, 0, side)
        return scores


def score(
    network: nn.Module,
    images: Float[Tensor, "b c *spatial"],
    spacing: Float[Tensor, "b a"] | None,
) -> Float[Tensor, "b k *spatial"]:
    """Score images by any network; only a `Segmenter` whose encoder follows it sees the spacing."""
    if spacing is not None and isinstance(network, Segmenter) and network.follows_spacing:
        return network(images, spacing=spacing)  # type: ignore[no-any-return]
    return network(images)  # type: ignore[no-any-return]
