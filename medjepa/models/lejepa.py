"""LeJEPA for images: predict the meaning of what is hidden, with SIGReg instead of a teacher.

Legend: B images, C channels, V views, N patches, D features, P projected features.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from medjepa.models.encoder import ViTEncoder
from medjepa.models.patches import as_shape, gather_patches
from medjepa.models.predictor import JEPAPredictor
from medjepa.models.projector import build_projector
from medjepa.objectives.distributed import world
from medjepa.objectives.jepa_loss import SIGRegLoss
from medjepa.objectives.masks import draw_masks
from medjepa.objectives.randomness import generator
from medjepa.objectives.views import draw_view, render_view

OBJECTIVES = ("views", "patches", "both")
NUM_TOKEN_TESTS = 8
"""Token positions that SIGReg tests per step in `patches`, drawn anew each time: a few are the same
in expectation as all 64 or 196, which would cost more than the encoder."""


class LeJEPA(nn.Module):
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
        arguments = {k: v for k, v in locals().items() if k not in ("self", "__class__")}
        super().__init__()
        self.config = {k: list(v) if isinstance(v, tuple) else v for k, v in arguments.items()}
        if objective not in OBJECTIVES:
            raise ValueError(f"objective must be one of {OBJECTIVES}, got {objective!r}")
        if num_full_views < 1 or num_hidden_views < 0:
            raise ValueError("need at least one full view, and no negative number of hidden views")
        self.objective, self.mask_ratio = objective, mask_ratio
        self.mask_type, self.view_mask_type = mask_type, view_mask_type
        self.num_target_blocks, self.stop_gradient = num_target_blocks, stop_gradient
        self.num_full_views, self.num_hidden_views = num_full_views, num_hidden_views
        self.full_scale, self.hidden_scale = tuple(full_scale), tuple(hidden_scale)
        self.strength, self.seed = strength, seed
        self.image_size = as_shape(image_size)
        self.encoder = ViTEncoder(
            image_size,
            patch_size,
            in_channels,
            embed_dim,
            encoder_depth,
            encoder_heads,
            dropout=dropout,
        )
        self.grid = self.encoder.patch_embedding.grid
        self.projector = build_projector(embed_dim, projector_dim, projection_dim)
        if objective != "views":
            self.predictor = JEPAPredictor(
                embed_dim,
                predictor_dim,
                predictor_depth,
                predictor_heads,
                len(self.grid),
                grid=self.grid,
            )
        self.loss = SIGRegLoss(lambda_reg, num_directions=num_directions, seed=seed)
        self.pixel_mean: Tensor
        self.pixel_std: Tensor
        self.register_buffer("pixel_mean", torch.zeros(in_channels))
        self.register_buffer("pixel_std", torch.ones(in_channels))

    def forward(
        self, images: Float[Tensor, "b c h w"], *, modality: Int[Tensor, " b"] | None = None
    ) -> dict[str, Tensor]:
        """Return total_loss, prediction_loss, regularization_loss, and `embedding` (B, D).

        `modality` (B,) holds indices into `medjepa.types.MODALITIES`: how an image may be changed.
        """
        if modality is None:
            modality = torch.zeros(len(images), dtype=torch.long)
        full = [
            self._view(images, modality, f"full {v}", self.full_scale)
            for v in range(self._num_full)
        ]
        full_tokens = self.encoder(torch.cat(full)).unflatten(0, (len(full), -1))  # (V, B, N, D)
        parts = []
        if self.objective != "patches":
            parts.append(self._views_loss(images, modality, full_tokens))
        if self.objective != "views":
            parts.append(self._patches_loss(full[0], full_tokens[0]))
        self.loss.advance()
        losses = self.loss.combine(
            *(torch.stack(column).sum() for column in zip(*parts, strict=True))
        )
        return {**losses, "embedding": full_tokens[0].detach().mean(1)}

    def encode(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d"]:
        """Embed images in [0, 1], of any size the patch divides: the mean patch embedding."""
        return self.encoder(self.standardise(images)).mean(1)  # type: ignore[no-any-return]

    def standardise(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Subtract the training images' mean and divide by their deviation, per channel."""
        return (images - self.pixel_mean[:, None, None]) / self.pixel_std[:, None, None]

    def set_pixel_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Set what `standardise` uses; a constant channel is left at its scale."""
        self.pixel_mean.copy_(mean)
        self.pixel_std.copy_(torch.where(std > 1e-6, std, torch.ones_like(std)))

    @property
    def _num_full(self) -> int:
        return self.num_full_views if self.objective != "patches" else 1

    def _views_loss(
        self, images: Tensor, modality: Tensor, full_tokens: Float[Tensor, "v b n d"]
    ) -> tuple[Tensor, Tensor]:
        """Predict the full views' mean projection from every view's; SIGReg per view."""
        embedded = [*full_tokens.mean(2)]
        if self.num_hidden_views:
            views, visible = [], []
            for v in range(self.num_hidden_views):
                views.append(self._view(images, modality, f"hidden {v}", self.hidden_scale))
                visible.append(self._masks(f"mask {v}", images, self.view_mask_type)[0])
            tokens = self.encoder(torch.cat(views), torch.cat(visible))
            embedded += tokens.mean(1).unflatten(0, (self.num_hidden_views, -1))
        projected = self.projector(torch.cat(embedded)).unflatten(0, (len(embedded), -1))
        projected = projected.transpose(0, 1)  # (B, V, P)
        centre = projected[:, : self.num_full_views].mean(1, keepdim=True)
        return (
            self.loss.prediction_loss(projected, centre.expand_as(projected)),
            self.loss.regularization_loss(projected),
        )

    def _patches_loss(self, view: Tensor, tokens: Float[Tensor, "b n d"]) -> tuple[Tensor, Tensor]:
        """Predict the hidden patches' embeddings; SIGReg on patches and pooled."""
        context, target = self._masks("context", view, self.mask_type)
        seen = self.encoder(view, context)
        wanted = gather_patches(tokens, target)
        predicted = self.predictor(seen, context, target)
        rng = generator(self.seed, self.loss.step, "tokens")
        tested = torch.randperm(tokens.shape[1], generator=rng)[:NUM_TOKEN_TESTS].to(tokens.device)
        pooled = self.projector(tokens.mean(1))
        return (
            self.loss.prediction_loss(predicted, wanted.detach() if self.stop_gradient else wanted),
            (
                self.loss.regularization_loss(tokens[:, tested])
                + self.loss.regularization_loss(pooled[:, None])
            )
            / 2,
        )

    def _view(
        self, images: Tensor, modality: Tensor, stream: str, scale: tuple[float, ...]
    ) -> Tensor:
        """Draw for all processes' images, so that their number does not matter; render ours."""
        rank, num_processes = world()
        step, num = self.loss.step, len(images)
        rng = generator(self.seed, step, stream)
        drawn = draw_view(
            modality.repeat(num_processes),
            scale=(scale[0], scale[1]),
            rng=rng,
            strength=self.strength,
        ).rows(slice(rank * num, (rank + 1) * num))
        noise_seed = generator(self.seed, step, f"{stream} noise {rank}").initial_seed()
        noise_rng = torch.Generator(images.device).manual_seed(noise_seed)
        size = (self.image_size[0], self.image_size[1])
        return self.standardise(render_view(images, drawn, size=size, noise_rng=noise_rng))

    def _masks(self, stream: str, images: Tensor, mask_type: str) -> tuple[Tensor, Tensor]:
        """Draw (visible, hidden) patch indices of each of this process's images."""
        rank, num_processes = world()
        num = len(images)
        masks = draw_masks(
            num * num_processes,
            self.grid,
            mask_ratio=self.mask_ratio,
            mask_type=mask_type,
            num_blocks=self.num_target_blocks,
            rng=generator(self.seed, self.loss.step, stream),
        )
        visible, hidden = (part[rank * num : (rank + 1) * num].to(images.device) for part in masks)
        return visible, hidden
