"""DINO: a student says of small parts of an image what its own average says of large ones.

Legend: V views, B images, D features, K prototypes.
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from medjepa.models.encoder import initialise
from medjepa.models.image_model import plain_arguments
from medjepa.models.methods.method import Method, result
from medjepa.models.teacher import Teacher, move_average
from medjepa.objectives.distillation import distillation_loss, next_centre, warmed_temperature
from medjepa.objectives.momentum import cosine_momentum


class DINOHead(nn.Module):
    """Three layers to a unit vector, and its cosine with each of K unit prototypes.

    Prototypes whose length is fixed at 1 are the published weight normalisation of the last layer.
    Source: Caron et al., arXiv 2104.14294, appendix C.
    """

    def __init__(
        self, embed_dim: int, hidden_dim: int, bottleneck_dim: int, num_prototypes: int
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(embed_dim, hidden_dim),
            nn.GELU(),
            nn.Linear(hidden_dim, hidden_dim),
            nn.GELU(),
            nn.Linear(hidden_dim, bottleneck_dim),
        )
        self.prototypes = nn.Parameter(torch.empty(num_prototypes, bottleneck_dim))
        self.apply(initialise)
        nn.init.trunc_normal_(self.prototypes, std=0.02)

    def forward(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n k"]:
        """Return the scores."""
        return F.linear(F.normalize(self.layers(x), dim=-1), F.normalize(self.prototypes, dim=-1))


class DINO(Method):
    """Self-distillation without labels, with `num_local_views` small views beside two large ones.

    The teacher, a moving average of encoder and head, sees the large views; its momentum rises from
    `momentum` to 1 along a cosine. Its scores are centred (unless `centring` is off) and sharpened
    at a temperature that rises to `teacher_temperature`; the prototypes are frozen for the first
    `freeze_epochs`. A loaded checkpoint's encoder is the teacher, as published.
    Large views have an area in `global_scale`, small ones in `local_scale` at 3/7 of the size.
    Source: Caron et al., arXiv 2104.14294.
    """

    two_views = True
    low_loss_is_collapse = False

    def __init__(
        self,
        *,
        num_local_views: int = 8,
        global_scale: Sequence[float] = (0.4, 1.0),
        local_scale: Sequence[float] = (0.05, 0.4),
        momentum: float = 0.996,
        student_temperature: float = 0.1,
        first_teacher_temperature: float = 0.04,
        teacher_temperature: float = 0.07,
        temperature_warmup: float = 0.3,
        centring: bool = True,
        centre_momentum: float = 0.9,
        freeze_epochs: float = 1.0,
        hidden_dim: int = 2048,
        bottleneck_dim: int = 256,
        num_prototypes: int = 4096,
        **common: Any,  # noqa: ANN401 - those of `Method`
    ) -> None:
        super().__init__(plain_arguments(locals()), **common)
        self.num_local_views = num_local_views
        self.global_scale, self.local_scale = tuple(global_scale), tuple(local_scale)
        self.momentum, self.student_temperature = momentum, student_temperature
        self.first_teacher_temperature = first_teacher_temperature
        self.teacher_temperature = teacher_temperature
        self.temperature_warmup, self.centring = temperature_warmup, centring
        self.centre_momentum, self.freeze_epochs = centre_momentum, freeze_epochs
        self.head = DINOHead(self.encoder.embed_dim, hidden_dim, bottleneck_dim, num_prototypes)
        self.teacher = Teacher(self.encoder, momentum)
        self.teacher_head = copy.deepcopy(self.head).requires_grad_(False)
        self.centre: Tensor
        self.register_buffer("centre", torch.zeros(num_prototypes))
        patch = self.encoder.patch_embedding.patch_size
        # 96 of 224 pixels, in whole patches.
        self.local_size = [
            max(round(n * 3 / 7 / p), 1) * p for n, p in zip(self.image_size, patch, strict=True)
        ]

    def losses(self, images: Tensor, modality: Tensor) -> dict[str, Tensor]:
        """Compare the student's distribution of every view with the teacher's of the large ones."""
        if self.training and self.step:
            self._follow()  # after the step before this one
        large = torch.cat(
            [self.view(images, modality, f"full {v}", scale=self.global_scale) for v in range(2)]
        )
        embedded = self.encoder(large).mean(1)
        scores = [self.head(embedded)]
        if self.num_local_views:
            small = [
                self.view(
                    images, modality, f"local {v}", scale=self.local_scale, size=self.local_size
                )
                for v in range(self.num_local_views)
            ]
            scores.append(self.head(self.encoder(torch.cat(small)).mean(1)))
        with torch.no_grad():
            wanted = self.teacher_head(self.teacher.encoder(large).mean(1))
        by_view = [part.unflatten(0, (-1, len(images))) for part in (torch.cat(scores), wanted)]
        loss = distillation_loss(
            by_view[0],
            by_view[1],
            self.centre,
            student_temperature=self.student_temperature,
            teacher_temperature=warmed_temperature(
                self.first_teacher_temperature,
                self.teacher_temperature,
                share=self.share_done(self.step),
                warmup_share=self.temperature_warmup,
            ),
        )
        if self.training and self.centring:
            self.centre.copy_(next_centre(self.centre, by_view[1], momentum=self.centre_momentum))
        return result(loss, embedded[: len(images)])

    def drop_gradients(self) -> None:
        """Take the prototypes' gradient away while they are frozen.

        A gradient of 0 would do as much now, and change what comes: with moments learnt from zeros,
        AdamW's next steps have another length (half to twice as long after 20 to 100 frozen steps,
        by its formula 3 to 6 times after thousands).
        """
        if self.step - 1 < self.freeze_epochs * self._steps_per_epoch:  # `forward` has counted it
            self.head.prototypes.grad = None

    def finish(self) -> None:
        """Take the teacher's encoder for the one that is used."""
        self.encoder.load_state_dict(self.teacher.encoder.state_dict())

    def _follow(self) -> None:
        momentum = cosine_momentum(self.momentum, share=self.share_done(self.step - 1))
        self.teacher.follow(self.encoder, momentum)
        move_average(self.teacher_head, self.head, momentum)
