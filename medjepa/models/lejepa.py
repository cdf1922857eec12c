"""LeJEPA for images: predict the meaning of what is hidden, with SIGReg instead of a teacher."""

from collections.abc import Sequence

from jaxtyping import Float, Int
from torch import Tensor

from medjepa.models.encoder import ViTEncoder
from medjepa.models.image_model import ImageModel, plain_arguments, random_view
from medjepa.models.jepa import JEPA, Views

OBJECTIVES = ("views", "patches", "both")


class LeJEPA(JEPA, ImageModel):
    """An encoder, and the loss that trains it on images without labels.

    objective="views": every view's projected embedding predicts the mean embedding of the full
    views; further views of the full size have `mask_ratio` of their patches hidden, which costs
    only the visible ones. objective="patches": the context patches of a view predict, through a
    predictor, the same encoder's embeddings of the hidden patches. objective="both": their sum.
    `mask_type` (block or random) is how `patches` hides, `view_mask_type` how `views` does.
    No teacher and no stop-gradient (unless asked for): SIGReg prevents collapse.

    Images are (B, C, H, W) in [0, 1]; they are standardised inside by `pixel_mean` and `pixel_std`.
    All draws are functions of `seed` and a counter of training steps in the state dict.
    Source: Balestriero and LeCun, arXiv 2511.08544; the patch objective is our form of Assran et
    al., arXiv 2301.08243.
    """

    def __init__(
        self,
        image_size: int | Sequence[int] = 224,
        patch_size: int | Sequence[int] = 16,
        in_channels: int = 3,
        embed_dim: int = 768,
        encoder_depth: int = 12,
        encoder_heads: int = 12,
        predictor_dim: int = 384,
        predictor_depth: int = 6,
        predictor_heads: int = 6,
        mask_ratio: float = 0.75,
        lambda_reg: float = 1.0,
        *,
        objective: str = "views",
        mask_type: str = "block",
        view_mask_type: str = "random",
        num_target_blocks: int = 4,
        num_full_views: int = 2,
        num_hidden_views: int = 2,
        full_scale: Sequence[float] = (0.3, 1.0),
        hidden_scale: Sequence[float] = (0.3, 1.0),
        strength: float = 1.0,
        projector_dim: int = 512,
        projection_dim: int = 16,
        num_directions: int = 1024,
        stop_gradient: bool = False,
        dropout: float = 0.0,
        seed: int = 0,
    ) -> None:
        config = plain_arguments(locals())
        if objective not in OBJECTIVES:
            raise ValueError(f"objective must be one of {OBJECTIVES}, got {objective!r}")
        super().__init__(
            ViTEncoder(
                image_size,
                patch_size,
                in_channels,
                embed_dim,
                encoder_depth,
                encoder_heads,
                dropout=dropout,
            ),
            objective=objective,
            mask_ratio=mask_ratio,
            mask_type=mask_type,
            view_mask_type=view_mask_type,
            num_target_blocks=num_target_blocks,
            num_full_views=num_full_views,
            num_hidden_views=num_hidden_views,
            full_scale=full_scale,
            hidden_scale=hidden_scale,
            strength=strength,
            predictor_dim=predictor_dim,
            predictor_depth=predictor_depth,
            predictor_heads=predictor_heads,
            projector_dim=projector_dim,
            projection_dim=projection_dim,
            num_directions=num_directions,
            lambda_reg=lambda_reg,
            stop_gradient=stop_gradient,
            seed=seed,
        )
        self.config = config

    def forward(
        self, images: Float[Tensor, "b c h w"], *, modality: Int[Tensor, " b"] | None = None
    ) -> dict[str, Tensor]:
        """Return total_loss, prediction_loss, regularization_loss, and `embedding` (B, D).

        `modality` (B,) holds indices into `medjepa.types.MODALITIES`: how an image may be changed.
        """
        return self.objective_loss(images, modality)

    def _view(
        self,
        images: Tensor,
        modality: Tensor,
        spacing: Tensor | None,
        stream: str,
        scale: tuple[float, ...],
    ) -> Views:
        pixels = random_view(
            images,
            modality,
            size=self.image_size,
            scale=scale,
            strength=self.strength,
            seed=self.seed,
            step=self.loss.step,
            stream=stream,
        )
        return Views(self.standardise(pixels))
