"""The projector between an embedding and the space in which LeJEPA predicts."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medjepa.objectives.distributed import sum_over_processes, world
from medjepa.objectives.sigreg import at_least_float32


class SharedBatchNorm(nn.Module):
    """Batch normalisation whose statistics are those of all processes' samples, on any device.

    PyTorch's SyncBatchNorm does the same on CUDA only. Shapes: (N, D) to (N, D).
    """

    def __init__(self, num_features: int, *, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.running_mean: Tensor
        self.running_var: Tensor
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))

    def forward(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """Normalise each feature over the batch (training) or by the running statistics."""
        if self.training and world()[1] == 1 and len(x) < 2:
            raise ValueError(
                "the projector normalises over the images of a batch: training needs 2 or more "
                "(training.batch_size), got 1"
            )
        if not self.training or world()[1] == 1:
            return nn.functional.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias,
                self.training, self.momentum, self.eps,
            )  # fmt: skip
        x = at_least_float32(x)
        count = x.new_full((1,), len(x))
        sums = sum_over_processes(torch.cat([x.sum(0), count]))
        mean, total = sums[:-1] / sums[-1], float(sums[-1].detach())
        centred = x - mean
        # A second pass over centred values: the mean of squares less the squared mean would cancel.
        variance = sum_over_processes(centred.square().sum(0)) / total
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * total / max(total - 1, 1), self.momentum)
        return centred * (variance + self.eps).rsqrt() * self.weight + self.bias


def build_projector(embed_dim: int, hidden_dim: int, projection_dim: int) -> nn.Sequential:
    """Build the published projector: two hidden layers with batch statistics, a plain linear end.

    Source: LeJEPA's minimal example (embedding to 2048, 2048, projection).
    """
    return nn.Sequential(
        nn.Linear(embed_dim, hidden_dim, bias=False),
        SharedBatchNorm(hidden_dim),
        nn.ReLU(),
        nn.Linear(hidden_dim, hidden_dim, bias=False),
        SharedBatchNorm(hidden_dim),
        nn.ReLU(),
        nn.Linear(hidden_dim, projection_dim),
    )
