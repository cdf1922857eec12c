"""SimCLR: two views of an image are found among the views of all others.

Legend: B images, D features.
"""

from typing import Any

from torch import Tensor, nn

from medjepa.models.image_model import plain_arguments
from medjepa.models.methods.method import Method, result
from medjepa.models.projector import SharedBatchNorm
from medjepa.objectives.contrastive import nt_xent
from medjepa.objectives.distributed import gather_over_processes


class SimCLR(Method):
    """Contrastive learning: NT-Xent at `temperature` between 2 B projected views of the batch.

    The projector has one hidden layer of `hidden_dim` with batch statistics and ends in
    `output_dim`. Negatives are all other images of all processes, so results depend on the batch.
    Source: Chen et al., arXiv 2002.05709.
    """

    two_views = True
    low_loss_is_collapse = False

    def __init__(
        self,
        *,
        temperature: float = 0.1,
        hidden_dim: int = 2048,
        output_dim: int = 128,
        **common: Any,  # noqa: ANN401 - those of `Method`
    ) -> None:
        super().__init__(plain_arguments(locals()), **common)
        self.temperature = temperature
        self.projector = nn.Sequential(
            nn.Linear(self.encoder.embed_dim, hidden_dim, bias=False),
            SharedBatchNorm(hidden_dim),
            nn.ReLU(),
            nn.Linear(hidden_dim, output_dim),
        )

    def losses(self, images: Tensor, modality: Tensor) -> dict[str, Tensor]:
        """Project both views of every image and contrast them with all others."""
        embedded = self.encoder(self.full_views(images, modality)).mean(1)
        first, second = (
            gather_over_processes(view.contiguous()) for view in self.projector(embedded).chunk(2)
        )
        return result(nt_xent(first, second, temperature=self.temperature), embedded[: len(images)])
