"""I-JEPA: predict a teacher's embeddings of hidden blocks from a visible one.

Legend: V views, B images, M target blocks, T patches of one, K patches of the context, D features.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from medjepa.models.image_model import plain_arguments
from medjepa.models.methods.method import Method, ours, result
from medjepa.models.patches import gather_patches
from medjepa.models.predictor import JEPAPredictor
from medjepa.models.teacher import Teacher
from medjepa.objectives.context_blocks import block_prediction_loss, draw_context_and_targets
from medjepa.objectives.distributed import world
from medjepa.objectives.momentum import linear_momentum


class IJEPA(Method):
    """The published I-JEPA, with its teacher: what LeJEPA does without.

    Of each view `num_targets` blocks are hidden. The encoder sees a large block without them; the
    predictor, told the places of one target block at a time, predicts the embeddings that the
    teacher, which sees the whole view, has there (layer-normed, smooth L1). The teacher's momentum
    rises linearly from `momentum` to 1. A loaded checkpoint's encoder is the teacher, as published.
    With `teacher` off the trained encoder itself gives the targets, with gradient: it collapses.
    Source: Assran et al., arXiv 2301.08243.
    """

    def __init__(
        self,
        *,
        num_targets: int = 4,
        target_scale: Sequence[float] = (0.15, 0.2),
        target_aspect: Sequence[float] = (0.75, 1.5),
        context_scale: Sequence[float] = (0.85, 1.0),
        min_context: int = 10,
        momentum: float = 0.996,
        teacher: bool = True,
        predictor_dim: int = 384,
        predictor_depth: int = 6,
        predictor_heads: int = 6,
        **common: Any,  # noqa: ANN401 - those of `Method`
    ) -> None:
        super().__init__(plain_arguments(locals()), **common)
        self.num_targets, self.min_context = num_targets, min_context
        self.target_scale, self.target_aspect = tuple(target_scale), tuple(target_aspect)
        self.context_scale, self.momentum = tuple(context_scale), momentum
        self.predictor = JEPAPredictor(
            self.encoder.embed_dim,
            predictor_dim,
            predictor_depth,
            predictor_heads,
            len(self.grid),
            grid=self.grid,
        )
        self.teacher = Teacher(self.encoder, momentum) if teacher else None
        self._draw(1)  # refuses blocks that leave nothing of the grid

    def losses(self, images: Tensor, modality: Tensor) -> dict[str, Tensor]:
        """Predict every target block of every view."""
        if self.teacher is not None and self.training and self.step:
            momentum = linear_momentum(self.momentum, share=self.share_done(self.step - 1))
            self.teacher.follow(self.encoder, momentum)  # after the step before this one
        views = self.full_views(images, modality)
        context, targets = (
            ours(part, self.num_full_views, images) for part in self._draw(len(views) * world()[1])
        )
        with torch.set_grad_enabled(self.teacher is None and torch.is_grad_enabled()):
            tokens = (self.teacher.encoder if self.teacher else self.encoder)(views)
        seen = self.encoder(views, context)
        # One block at a time: what is predicted of one must not depend on where the others are.
        predicted = self.predictor(
            seen.repeat_interleave(self.num_targets, 0),
            context.repeat_interleave(self.num_targets, 0),
            targets.flatten(0, 1),
        )
        wanted = gather_patches(tokens, targets.flatten(1))
        predicted, wanted = (part.view(*targets.shape, -1) for part in (predicted, wanted))
        loss = block_prediction_loss(predicted, wanted, constant=self.teacher is not None)
        return result(loss, tokens[: len(images)].mean(1))

    def finish(self) -> None:
        """Take the teacher's encoder for the one that is used."""
        if self.teacher is not None:
            self.encoder.load_state_dict(self.teacher.encoder.state_dict())

    def _draw(self, num: int) -> tuple[Tensor, Tensor]:
        return draw_context_and_targets(
            num,
            self.grid,
            num_targets=self.num_targets,
            target_scale=(self.target_scale[0], self.target_scale[1]),
            target_aspect=(self.target_aspect[0], self.target_aspect[1]),
            context_scale=(self.context_scale[0], self.context_scale[1]),
            min_context=self.min_context,
            rng=self.rng("blocks"),
        )
