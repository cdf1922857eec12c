"""VICReg: two views agree, while features vary and do not repeat one another.

Legend: B images, D features.
"""

from typing import Any

from torch import Tensor

from medjepa.models.image_model import plain_arguments
from medjepa.models.methods.method import Method, result
from medjepa.models.projector import build_projector
from medjepa.objectives.distributed import gather_over_processes
from medjepa.objectives.vicreg import vicreg_parts


class VICReg(Method):
    """Invariance between two views, a hinge on each feature's deviation, no covariance.

    The three parts have their published weights 25, 25 and 1 and are taken on an expander of three
    layers, of width `hidden_dim` and ending in `output_dim`, over the whole batch of all processes.
    `prediction_loss` is the weighted invariance, `regularization_loss` the rest.
    Source: Bardes et al., arXiv 2105.04906.
    """

    two_views = True
    regularizer = "variance and covariance"

    def __init__(
        self,
        *,
        invariance_weight: float = 25.0,
        variance_weight: float = 25.0,
        covariance_weight: float = 1.0,
        hidden_dim: int = 2048,
        output_dim: int = 2048,
        **common: Any,  # noqa: ANN401 - those of `Method`
    ) -> None:
        super().__init__(plain_arguments(locals()), **common)
        self.weights = (invariance_weight, variance_weight, covariance_weight)
        self.expander = build_projector(self.encoder.embed_dim, hidden_dim, output_dim)

    def losses(self, images: Tensor, modality: Tensor) -> dict[str, Tensor]:
        """Expand both views of every image and weigh the three parts."""
        embedded = self.encoder(self.full_views(images, modality)).mean(1)
        first, second = (
            gather_over_processes(view.contiguous()) for view in self.expander(embedded).chunk(2)
        )
        parts = vicreg_parts(first, second)
        invariance, variance, covariance = (
            weight * part for weight, part in zip(self.weights, parts, strict=True)
        )
        return result(invariance, embedded[: len(images)], variance + covariance)
