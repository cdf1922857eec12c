"""What the models of images and of volumes have in common: from an encoder to the loss.

Legend: B images, C channels, V views, N patches, K computed ones, D features, P projected features.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from medjepa.config.fields import require, require_scale
from medjepa.models.encoder import ViTEncoder
from medjepa.models.image_model import EncoderModel, noise_generator
from medjepa.models.patches import gather_patches
from medjepa.models.predictor import JEPAPredictor
from medjepa.models.projector import build_projector
from medjepa.objectives.distributed import world
from medjepa.objectives.jepa_loss import SIGRegLoss
from medjepa.objectives.masks import (
    TUBE_RANGES,
    draw_masks,
    draw_tubes,
    foreground_first,
    split_kept,
)
from medjepa.objectives.randomness import generator

NUM_TOKEN_TESTS = 8
"""Token positions that SIGReg tests per step in `patches`, drawn anew each time: a few are the same
in expectation as all 64 or 196, which would cost more than the encoder."""


class Views(NamedTuple):
    """One view of each image, standardised.

    Attributes:
        pixels: (B, C, *spatial).
        spacing: (B, A) of its voxels, None where no spacing is used.
        kept: (B, K) patches that are computed on at all, None for all of them.
    """

    pixels: Tensor
    spacing: Tensor | None = None
    kept: Tensor | None = None


class JEPA(EncoderModel):
    """An encoder with the objectives that train it; subclasses say what a view is.

    `objective` is one of "views", "patches", "both" and "teacher"; see `LeJEPA` and `VJEPA`. Of a
    share outside (0, 1), or a scale that is no range in (0, 1], it raises `ValueError`.
    """

    def __init__(
        self,
        encoder: ViTEncoder,
        *,
        objective: str,
        mask_ratio: float,
        mask_type: str,
        view_mask_type: str,
        num_target_blocks: int,
        num_full_views: int,
        num_hidden_views: int,
        full_scale: Sequence[float],
        hidden_scale: Sequence[float],
        strength: float,
        predictor_dim: int,
        predictor_depth: int,
        predictor_heads: int,
        projector_dim: int,
        projection_dim: int,
        num_directions: int,
        lambda_reg: float,
        stop_gradient: bool,
        seed: int,
    ) -> None:
        super().__init__(encoder)
        if num_full_views < 1 or num_hidden_views < 0:
            raise ValueError("need at least one full view, and no negative number of hidden views")
        require(0 < mask_ratio < 1, "mask_ratio", "between 0 and 1", mask_ratio)
        require_scale("full_scale", tuple(full_scale))
        require_scale("hidden_scale", tuple(hidden_scale))
        self.objective, self.mask_ratio = objective, mask_ratio
        self.mask_type, self.view_mask_type = mask_type, view_mask_type
        self.num_target_blocks, self.stop_gradient = num_target_blocks, stop_gradient
        self.num_full_views, self.num_hidden_views = num_full_views, num_hidden_views
        self.full_scale, self.hidden_scale = tuple(full_scale), tuple(hidden_scale)
        self.strength, self.seed = strength, seed
        if objective != "teacher":
            self.projector = build_projector(encoder.embed_dim, projector_dim, projection_dim)
        if objective != "views":
            self.predictor = JEPAPredictor(
                encoder.embed_dim,
                predictor_dim,
                predictor_depth,
                predictor_heads,
                len(self.grid),
                grid=self.grid,
            )
        self.loss = SIGRegLoss(lambda_reg, num_directions=num_directions, seed=seed)

    def objective_loss(
        self, images: Tensor, modality: Tensor | None, spacing: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Draw views and masks, compute what `objective` asks for, count the step.

        Returns total_loss, prediction_loss, regularization_loss, and `embedding` (B, D).
        """
        if modality is None:
            modality = torch.zeros(len(images), dtype=torch.long)
        full = [
            self._view(images, modality, spacing, f"full {v}", self.full_scale)
            for v in range(self._num_full)
        ]
        # Views of one size are one batch of the encoder; foregrounds differ in size from view to
        # view, so then each is encoded by itself.
        tokens = self._encode_together(full)
        parts = []
        if self.objective != "patches":
            parts.append(self._views_loss(images, modality, spacing, tokens))
        if self.objective != "views":
            parts.append(self._patches_loss(full[0], tokens[0]))
        self.loss.advance()
        losses = self.loss.combine(
            *(torch.stack(column).sum() for column in zip(*parts, strict=True))
        )
        return {**losses, "embedding": tokens[0].detach().mean(1)}

    @property
    def _num_full(self) -> int:
        return self.num_full_views if self.objective in ("views", "both") else 1

    def _encode(self, view: Views, visible: Tensor | None = None) -> Tensor:
        keep = view.kept if visible is None else visible
        if view.spacing is None:
            return self.encoder(view.pixels, keep)  # type: ignore[no-any-return]
        return self.encoder(view.pixels, keep, spacing=view.spacing)  # type: ignore[no-any-return]

    def _encode_together(
        self, views: Sequence[Views], visible: Sequence[Tensor] | None = None
    ) -> list[Tensor]:
        """Encode several views of all images; (B, K, D) for each, of `visible` patches if given."""
        kept = [v.kept for v in views] if visible is None else list(visible)
        if len({None if k is None else k.shape for k in kept}) > 1:
            return [self._encode(view, keep) for view, keep in zip(views, kept, strict=True)]
        indices = None if kept[0] is None else torch.cat([k for k in kept if k is not None])
        spacing = None
        if views[0].spacing is not None:
            spacing = torch.cat([v.spacing for v in views if v.spacing is not None])
        whole = Views(torch.cat([view.pixels for view in views]), spacing, indices)
        return list(self._encode(whole).chunk(len(views)))

    def _views_loss(
        self,
        images: Tensor,
        modality: Tensor,
        spacing: Tensor | None,
        full_tokens: Sequence[Float[Tensor, "b _ d"]],
    ) -> tuple[Tensor, Tensor]:
        """Predict the full views' mean projection from every view's; SIGReg per view."""
        embedded = [tokens.mean(1) for tokens in full_tokens]
        if self.num_hidden_views:
            views, visible = [], []
            for v in range(self.num_hidden_views):
                view = self._view(images, modality, spacing, f"hidden {v}", self.hidden_scale)
                views.append(view)
                visible.append(self._masks(f"mask {v}", view, self.view_mask_type)[0])
            embedded += [tokens.mean(1) for tokens in self._encode_together(views, visible)]
        projected = self.projector(torch.cat(embedded)).unflatten(0, (len(embedded), -1))
        projected = projected.transpose(0, 1)  # (B, V, P)
        centre = projected[:, : self.num_full_views].mean(1, keepdim=True)
        return (
            self.loss.prediction_loss(projected, centre.expand_as(projected)),
            self.loss.regularization_loss(projected),
        )

    def _patches_loss(self, view: Views, tokens: Float[Tensor, "b k d"]) -> tuple[Tensor, Tensor]:
        """Predict the hidden patches' embeddings; SIGReg on patches and pooled."""
        return self._patches_loss_of(view, tokens, *self._masks("context", view, self.mask_type))

    def _patches_loss_of(
        self,
        view: Views,
        tokens: Float[Tensor, "b k d"],
        context: Int[Tensor, "b j"],
        target: Int[Tensor, "b m"],
    ) -> tuple[Tensor, Tensor]:
        seen = self._encode(view, context)
        wanted = gather_patches(tokens, places_of(target, view.kept))
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
        self,
        images: Tensor,
        modality: Tensor,
        spacing: Tensor | None,
        stream: str,
        scale: tuple[float, ...],
    ) -> Views:
        """Draw for all processes' images, so that their number does not matter; render ours."""
        raise NotImplementedError

    def _noise_rng(self, stream: str, device: torch.device) -> torch.Generator:
        return noise_generator(self.seed, self.loss.step, stream, device)

    def _masks(self, stream: str, view: Views, mask_type: str) -> tuple[Tensor, Tensor]:
        """Draw (visible, hidden) patch indices of each of this process's images."""
        rank, num_processes = world()
        num, device = len(view.pixels), view.pixels.device
        rng = generator(self.seed, self.loss.step, stream)
        masks = draw_masks(
            num * num_processes,
            self.grid,
            mask_ratio=self.mask_ratio,
            mask_type=mask_type,
            num_blocks=self.num_target_blocks,
            rng=rng,
        )
        return self._ours(masks, view, stream, rank, num, device)

    def _tube_masks(self, stream: str, view: Views) -> list[tuple[Tensor, Tensor]]:
        """Draw V-JEPA's masks of short and of long range for each of this process's clips."""
        rank, num_processes = world()
        num, device = len(view.pixels), view.pixels.device
        found = []
        for number, tubes in enumerate(TUBE_RANGES):
            name = f"{stream} {number}"
            rng = generator(self.seed, self.loss.step, name)
            masks = draw_tubes(num * num_processes, self.grid, tubes=tubes, rng=rng)
            found.append(self._ours(masks, view, name, rank, num, device))
        return found

    def _ours(
        self,
        masks: tuple[Tensor, Tensor],
        view: Views,
        stream: str,
        rank: int,
        num: int,
        device: torch.device,
    ) -> tuple[Tensor, Tensor]:
        visible, hidden = (part[rank * num : (rank + 1) * num] for part in masks)
        if view.kept is not None:
            rng = generator(self.seed, self.loss.step, f"{stream} kept {rank}")
            visible, hidden = split_kept(view.kept.cpu(), visible, hidden, rng=rng)
        return visible.to(device), hidden.to(device)

    def _foreground(self, is_foreground: Bool[Tensor, "b n"], stream: str) -> Int[Tensor, "b k"]:
        """Choose the patches of this process's images that are computed on."""
        rng = generator(self.seed, self.loss.step, f"{stream} foreground {world()[0]}")
        return foreground_first(is_foreground.cpu(), rng=rng).to(is_foreground.device)


def places_of(patches: Int[Tensor, "b m"], kept: Int[Tensor, "b k"] | None) -> Int[Tensor, "b m"]:
    """Return where patches stand among the kept ones (increasing indices), which hold them all."""
    return patches if kept is None else torch.searchsorted(kept.contiguous(), patches.contiguous())
