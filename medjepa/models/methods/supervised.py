"""Supervised training on the label column: the comparison that needs labels.

Legend: B images, V views, D features.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from medjepa.models.image_model import plain_arguments
from medjepa.models.methods.method import Method, result
from medjepa.objectives.sigreg import at_least_float32


class Supervised(Method):
    """An encoder with a linear layer to `num_classes`, trained by cross-entropy on every view.

    Labels (B,) are class numbers. `prediction_loss` is the cross-entropy.
    """

    low_loss_is_collapse = False

    def __init__(
        self,
        *,
        num_classes: int,
        **common: Any,  # noqa: ANN401 - those of `Method`
    ) -> None:
        if num_classes < 2:
            raise ValueError(f"supervised training needs at least 2 classes, got {num_classes}")
        super().__init__(plain_arguments(locals()), **common)
        self.head = nn.Linear(self.encoder.embed_dim, num_classes)

    def forward(
        self,
        images: Float[Tensor, "b c h w"],
        *,
        modality: Int[Tensor, " b"] | None = None,
        label: Int[Tensor, " b"] | None = None,
    ) -> dict[str, Tensor]:
        """Return what `Method.forward` does, for images whose class is `label`.

        Raises:
            ValueError: no label is given.
        """
        if label is None:
            raise ValueError("supervised training needs a label for each image")
        if modality is None:
            modality = torch.zeros(len(images), dtype=torch.long)
        embedded = self.encoder(self.full_views(images, modality)).mean(1)
        scores = at_least_float32(self.head(embedded))
        wanted = label.to(scores.device).repeat(self.num_full_views)
        self._step += self.training
        return result(F.cross_entropy(scores, wanted), embedded[: len(images)])
