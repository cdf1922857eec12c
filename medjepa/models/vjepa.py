"""VJEPA: the same objectives on volumes (CT, MRI) and on clips (cine, ultrasound, surgery)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from medjepa.models.encoder import PatchEmbedding, ViTEncoder
from medjepa.models.image_model import plain_arguments
from medjepa.models.jepa import JEPA, Views, places_of
from medjepa.models.patches import as_shape, gather_patches, patchify
from medjepa.models.teacher import Teacher
from medjepa.models.volume_input import checked_spacing, checked_volumes
from medjepa.objectives.distributed import world
from medjepa.objectives.randomness import generator
from medjepa.objectives.sigreg import at_least_float32
from medjepa.objectives.volume_views import (
    draw_volume_view,
    render_volume_view,
    view_spacing,
)

OBJECTIVES = ("views", "patches", "both", "teacher")
KINDS = ("volume", "clip")
MASK_TYPES = ("random", "block", "tube")


class PatchEmbedding3D(PatchEmbedding):
    """Volumes (B, C, D1, D2, D3) to one token per patch (B, N, embed_dim), with its position."""

    def __init__(
        self,
        volume_size: int | Sequence[int] = (128, 128, 64),
        patch_size: int | Sequence[int] = (16, 16, 8),
        in_channels: int = 1,
        embed_dim: int = 768,
        *,
        add_positions: bool = True,
    ) -> None:
        super().__init__(
            _sizes("volume_size", volume_size),
            _sizes("patch_size", patch_size),
            in_channels,
            embed_dim,
            add_positions=add_positions,
        )


class VJEPA(JEPA):
    """An encoder, and the loss that trains it on volumes or clips without labels.

    Volumes are (B, C, z, y, x), clips (B, C, t, y, x), in [0, 1], with 1 to 4 contrasts or colours
    as channels; any order of the axes works as long as sizes are given in the same one. Objectives
    "views", "patches" and "both" are those of `LeJEPA`; `views` are crops (of clips: also other
    times and speeds) with other grey levels. "teacher" is V-JEPA's own: the patches of a moving
    average's embedding, layer-normed, are predicted under L1, without SIGReg and without views.
    `mask_type` "tube" hides blocks through the whole first axis: for patches and teacher V-JEPA's
    short and long range together, whatever the mask ratio.

    `kind` "clip" says that the first axis is time. `positions` are added ("sincos") or turn queries
    and keys ("rotary"); either follows `spacing` where it is given. With `drop_background`, patches
    that hold nothing brighter than `background` are not computed on.
    Source: Bardes et al., arXiv 2404.08471; Balestriero and LeCun, arXiv 2511.08544.
    """

    def __init__(
        self,
        volume_size: int | Sequence[int] = (128, 128, 64),
        patch_size: int | Sequence[int] = (16, 16, 8),
        in_channels: int = 1,
        embed_dim: int = 768,
        depth: int = 12,
        num_heads: int = 12,
        predictor_dim: int = 384,
        predictor_depth: int = 6,
        mask_ratio: float = 0.75,
        lambda_reg: float = 1.0,
        *,
        objective: str = "views",
        kind: str = "volume",
        mask_type: str = "block",
        view_mask_type: str = "random",
        num_target_blocks: int = 4,
        num_full_views: int = 2,
        num_hidden_views: int = 2,
        full_scale: Sequence[float] = (0.3, 1.0),
        hidden_scale: Sequence[float] = (0.3, 1.0),
        strength: float = 1.0,
        predictor_heads: int = 6,
        projector_dim: int = 512,
        projection_dim: int = 16,
        num_directions: int = 1024,
        stop_gradient: bool = False,
        dropout: float = 0.0,
        positions: str = "sincos",
        teacher_momentum: float = 0.99925,
        drop_background: bool = False,
        background: float = 0.02,
        seed: int = 0,
    ) -> None:
        config = plain_arguments(locals())
        for name, value, known in (
            ("objective", objective, OBJECTIVES),
            ("kind", kind, KINDS),
            ("mask_type", mask_type, MASK_TYPES),
            ("view_mask_type", view_mask_type, MASK_TYPES),
        ):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
        super().__init__(
            ViTEncoder(
                _sizes("volume_size", volume_size),
                _sizes("patch_size", patch_size),
                in_channels,
                embed_dim,
                depth,
                num_heads,
                dropout=dropout,
                positions=positions,
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
        self.kind, self.drop_background, self.background = kind, drop_background, background
        if objective == "teacher":
            self.teacher = Teacher(self.encoder, teacher_momentum)

    def forward(
        self,
        volumes: Float[Tensor, "b c d1 d2 d3"],
        *,
        modality: Int[Tensor, " b"] | None = None,
        spacing: Float[Tensor, "b 3"] | None = None,
    ) -> dict[str, Tensor]:
        """Return total_loss, prediction_loss, regularization_loss, and `embedding` (B, D).

        `modality` (B,) holds indices into `medjepa.types.MODALITIES`; `spacing` is that of the
        voxels in mm (frames in s), NaN where unknown.

        Raises:
            ValueError: as `checked_volumes` and `checked_spacing`, or the patch does not divide.
        """
        volumes = checked_volumes(volumes, self.pixel_mean)
        spacing = checked_spacing(spacing, len(volumes))
        if self.objective == "teacher":
            return self._teacher_loss(volumes, modality, spacing)
        return self.objective_loss(volumes, modality, spacing)

    def encode(
        self,
        volumes: Float[Tensor, "b c d1 d2 d3"],
        *,
        spacing: Float[Tensor, "b 3"] | None = None,
    ) -> Float[Tensor, "b d"]:
        """Embed volumes in [0, 1], of any size the patch divides: the mean patch embedding.

        With `drop_background`, the mean is over foreground patches, each volume by itself, so that
        no volume depends on those beside it.

        Raises:
            ValueError: as `forward`.
        """
        volumes = checked_volumes(volumes, self.pixel_mean)
        spacing = checked_spacing(spacing, len(volumes))
        if not self.drop_background:
            return self.encoder(self.standardise(volumes), spacing=spacing).mean(1)  # type: ignore[no-any-return]
        rows = []
        for number, is_foreground in enumerate(self.foreground_patches(volumes)):
            one = slice(number, number + 1)
            found = is_foreground.nonzero().T
            kept = found if found.numel() else None
            own = None if spacing is None else spacing[one]
            rows.append(self.encoder(self.standardise(volumes[one]), kept, spacing=own).mean(1))
        return torch.cat(rows)

    def foreground_patches(self, volumes: Float[Tensor, "b c d1 d2 d3"]) -> Bool[Tensor, "b n"]:
        """Tell which patches of volumes in [0, 1] hold anything brighter than `background`."""
        return patchify(volumes, self.encoder.patch_embedding.patch_size).amax(-1) > self.background

    def set_reference_spacing(self, spacing: Float[Tensor, " 3"]) -> None:
        """Set the spacing at which positions are those of the native grid; NaN for none."""
        self.encoder.reference_spacing.copy_(spacing)
        if self.objective == "teacher":
            self.teacher.encoder.reference_spacing.copy_(spacing)

    def _teacher_loss(
        self, volumes: Tensor, modality: Tensor | None, spacing: Tensor | None
    ) -> dict[str, Tensor]:
        """Predict the teacher's embeddings of the hidden patches; L1 on layer-normed targets."""
        if self.training and self.loss.step:
            self.teacher.follow(self.encoder)  # after the step before this one
        if modality is None:
            modality = torch.zeros(len(volumes), dtype=torch.long)
        view = self._view(volumes, modality, spacing, "full 0", self.full_scale)
        with torch.no_grad():
            keep = {} if view.spacing is None else {"spacing": view.spacing}
            tokens = self.teacher.encoder(view.pixels, view.kept, **keep)
            wanted = F.layer_norm(at_least_float32(tokens), tokens.shape[-1:])
        masks = (
            self._tube_masks("context", view)
            if self.mask_type == "tube"
            else [self._masks("context", view, self.mask_type)]
        )
        losses = []
        for context, target in masks:
            predicted = self.predictor(self._encode(view, context), context, target)
            target_tokens = gather_patches(wanted, places_of(target, view.kept))
            losses.append(F.l1_loss(at_least_float32(predicted), target_tokens))
        self.loss.advance()
        prediction = torch.stack(losses).mean()
        return {
            **self.loss.combine(prediction, torch.zeros_like(prediction)),
            "embedding": tokens.mean(1),
        }

    def _patches_loss(self, view: Views, tokens: Tensor) -> tuple[Tensor, Tensor]:
        if self.mask_type != "tube":
            return super()._patches_loss(view, tokens)
        parts = [
            self._patches_loss_of(view, tokens, *masks)
            for masks in self._tube_masks("context", view)
        ]
        prediction, regularization = (torch.stack(c).mean() for c in zip(*parts, strict=True))
        return prediction, regularization

    def _view(
        self,
        images: Tensor,
        modality: Tensor,
        spacing: Tensor | None,
        stream: str,
        scale: tuple[float, ...],
    ) -> Views:
        rank, num_processes = world()
        num = len(images)
        size, given = _three(self.image_size), _three(images.shape[2:])
        is_clip = self.kind == "clip"
        drawn = draw_volume_view(
            modality.repeat(num_processes),
            scale=(scale[0], scale[1]),
            rng=generator(self.seed, self.loss.step, stream),
            strength=self.strength,
            frames=(given[0], size[0]) if is_clip else None,
        ).rows(slice(rank * num, (rank + 1) * num))
        noise_rng = self._noise_rng(stream, images.device)
        pixels = render_volume_view(images, drawn, size=size, is_clip=is_clip, noise_rng=noise_rng)
        kept = None
        if self.drop_background:
            kept = self._foreground(self.foreground_patches(pixels), stream)
        if spacing is not None:
            spacing = view_spacing(spacing, drawn, given=given, size=size)
        return Views(self.standardise(pixels), spacing, kept)


def _sizes(name: str, value: int | Sequence[int]) -> tuple[int, ...]:
    sizes = as_shape(value, 3)
    if len(sizes) != 3 or min(sizes) < 1:
        raise ValueError(f"{name}: one number or three, 1 or more, got {value}")
    return sizes


def _three(shape: Sequence[int]) -> tuple[int, int, int]:
    first, second, third = shape
    return int(first), int(second), int(third)
