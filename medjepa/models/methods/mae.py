"""MAE: paint the hidden patches from the visible ones.

Legend: B images, V views, N patches, K visible ones, M hidden ones, D features.
"""

from typing import Any

from torch import Tensor

from medjepa.config.fields import require
from medjepa.models.image_model import plain_arguments
from medjepa.models.methods.method import Method, ours, result
from medjepa.models.patches import gather_patches, patchify
from medjepa.models.predictor import JEPAPredictor
from medjepa.objectives.distributed import world
from medjepa.objectives.masks import draw_masks
from medjepa.objectives.pixels import masked_pixel_loss


class MAE(Method):
    """Masked autoencoder: the encoder sees the visible patches, a light decoder paints the others.

    `mask_ratio` of the patches is hidden at random. The decoder has the size of LeJEPA's predictor:
    visible embeddings and one mask token for each hidden patch, with positions, give the values of
    the hidden ones, each patch normalised by its own mean and deviation unless `norm_pixels` is
    off. The loss is on hidden patches alone.
    Source: He et al., arXiv 2111.06377.
    """

    low_loss_is_collapse = False

    def __init__(
        self,
        *,
        mask_ratio: float = 0.75,
        norm_pixels: bool = True,
        predictor_dim: int = 384,
        predictor_depth: int = 6,
        predictor_heads: int = 6,
        **common: Any,  # noqa: ANN401 - those of `Method`
    ) -> None:
        require(0 < mask_ratio < 1, "mask_ratio", "between 0 and 1", mask_ratio)
        super().__init__(plain_arguments(locals()), **common)
        self.mask_ratio, self.norm_pixels = mask_ratio, norm_pixels
        embedding = self.encoder.patch_embedding
        self.decoder = JEPAPredictor(
            self.encoder.embed_dim,
            predictor_dim,
            predictor_depth,
            predictor_heads,
            len(self.grid),
            grid=self.grid,
            output_dim=embedding.projection.in_features,
        )

    def losses(self, images: Tensor, modality: Tensor) -> dict[str, Tensor]:
        """Hide patches of every view and compare what is painted with what was there."""
        views = self.full_views(images, modality)
        visible, hidden = (
            ours(part, self.num_full_views, images)
            for part in draw_masks(
                len(views) * world()[1],
                self.grid,
                mask_ratio=self.mask_ratio,
                mask_type="random",
                num_blocks=1,
                rng=self.rng("mask"),
            )
        )
        tokens = self.encoder(views, visible)
        painted = self.decoder(tokens, visible, hidden)
        patches = gather_patches(patchify(views, self.encoder.patch_embedding.patch_size), hidden)
        loss = masked_pixel_loss(painted, patches, normalise=self.norm_pixels)
        return result(loss, tokens[: len(images)].mean(1))
