"""The loss of LeJEPA: predict embeddings, and keep all of them an isotropic Gaussian."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from medjepa.objectives.randomness import generator
from medjepa.objectives.sigreg import at_least_float32, sigreg_per_view, unit_directions

PUBLISHED_WEIGHT = 0.05 / 0.95
"""LeJEPA minimises (1 - lambda) prediction + lambda SIGReg at lambda = 0.05: this ratio."""


class SIGRegLoss(nn.Module):
    """`total = prediction + lambda_reg * regularization`; no teacher, no stop-gradient.

    Prediction is the mean squared error. Regularization is SIGReg times 0.05 / 0.95, so that
    `lambda_reg = 1` is the published setting lambda = 0.05 (lambda = 0.02 is `lambda_reg = 0.388`).
    Fresh directions are drawn on every training step from `seed` and a counter that the state
    dict carries; in evaluation mode they are those of step 0 and the counter stands.

    Source: Balestriero and LeCun, arXiv 2511.08544, algorithms 1 and 2.
    """

    def __init__(
        self, lambda_reg: float = 1.0, *, num_directions: int = 1024, seed: int = 0
    ) -> None:
        super().__init__()
        if lambda_reg < 0 or num_directions < 1:
            raise ValueError("lambda_reg must be 0 or more, num_directions 1 or more")
        self.lambda_reg, self.num_directions, self.seed = lambda_reg, num_directions, seed
        self._step = 0

    @property
    def step(self) -> int:
        """The number whose draws are used now: training steps so far, 0 in evaluation mode."""
        return self._step if self.training else 0

    def advance(self) -> None:
        """Count one training step."""
        self._step += self.training

    def get_extra_state(self) -> Tensor:
        """Return the counter for the state dict."""
        # A Python number, not a buffer: reading one from a card on each step would stall it.
        return torch.tensor(self._step)

    def set_extra_state(self, state: Tensor) -> None:
        """Take the counter from a state dict."""
        self._step = int(state)

    def forward(
        self,
        predicted_target: Float[Tensor, "b *t d"],
        actual_target: Float[Tensor, "b *t d"],
        all_embeddings: Float[Tensor, "b v e"],
    ) -> dict[str, Tensor]:
        """Return total_loss, prediction_loss and regularization_loss.

        `all_embeddings` is (B, T, E): each of the T views or token positions is tested over the
        batch and the statistics are averaged.
        """
        losses = self.combine(
            self.prediction_loss(predicted_target, actual_target),
            self.regularization_loss(all_embeddings),
        )
        self.advance()
        return losses

    def prediction_loss(
        self, predicted_target: Float[Tensor, "b *t d"], actual_target: Float[Tensor, "b *t d"]
    ) -> Float[Tensor, ""]:
        """Mean squared error over samples, tokens and features; no norm, no detach."""
        return F.mse_loss(at_least_float32(predicted_target), at_least_float32(actual_target))

    def regularization_loss(self, all_embeddings: Float[Tensor, "b v e"]) -> Float[Tensor, ""]:
        """SIGReg of each view over the batch, averaged, times 0.05 / 0.95."""
        rng = generator(self.seed, self.step, "directions")
        directions = unit_directions(all_embeddings.shape[-1], self.num_directions, rng=rng)
        directions = directions.to(all_embeddings.device, non_blocking=True)
        return PUBLISHED_WEIGHT * sigreg_per_view(all_embeddings, directions)

    def combine(self, prediction: Tensor, regularization: Tensor) -> dict[str, Tensor]:
        """Weigh the two parts."""
        return {
            "total_loss": prediction + self.lambda_reg * regularization,
            "prediction_loss": prediction,
            "regularization_loss": regularization,
        }
