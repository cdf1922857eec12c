"""VICReg: views agree, every feature varies, and no two features say the same.

Legend: B images of the whole batch, D features.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from medjepa.objectives.sigreg import at_least_float32

EPSILON = 1e-4
"""Added to a variance before its root, whose slope is infinite at 0."""


def invariance(first: Float[Tensor, "b d"], second: Float[Tensor, "b d"]) -> Float[Tensor, ""]:
    """Mean squared distance between the two views of an image, per feature."""
    return F.mse_loss(at_least_float32(first), at_least_float32(second))


def variance_hinge(embeddings: Float[Tensor, "b d"], *, target: float = 1.0) -> Float[Tensor, ""]:
    """Mean over features of how far their deviation over the batch falls short of `target`."""
    deviation = (at_least_float32(embeddings).var(0) + EPSILON).sqrt()
    return F.relu(target - deviation).mean()


def off_diagonal_covariance(embeddings: Float[Tensor, "b d"]) -> Float[Tensor, ""]:
    """Sum of the squared covariances of different features, divided by their number D."""
    centred = at_least_float32(embeddings)
    centred = centred - centred.mean(0)
    covariance = centred.T @ centred / (len(centred) - 1)
    return (covariance.square().sum() - covariance.diagonal().square().sum()) / len(covariance)


def vicreg_parts(
    first: Float[Tensor, "b d"], second: Float[Tensor, "b d"]
) -> tuple[Float[Tensor, ""], Float[Tensor, ""], Float[Tensor, ""]]:
    """Return (invariance, variance, covariance); the last two are sums over both views.

    Source: Bardes et al., arXiv 2105.04906, equations 1 to 6 and algorithm 1 (invariance per
    feature, as its weight of 25 is meant there).

    Raises:
        ValueError: fewer than 2 images.
    """
    if len(first) < 2:
        raise ValueError("a variance needs at least 2 images")
    both = (first, second)
    return (
        invariance(first, second),
        torch.stack([variance_hinge(view) for view in both]).sum(),
        torch.stack([off_diagonal_covariance(view) for view in both]).sum(),
    )
