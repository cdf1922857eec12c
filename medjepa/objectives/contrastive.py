"""NT-Xent: each view finds the other view of its image among all views of the batch.

Legend: V views (2), B images of the whole batch, D features.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from medjepa.objectives.sigreg import at_least_float32


def nt_xent(
    first: Float[Tensor, "b d"], second: Float[Tensor, "b d"], *, temperature: float
) -> Float[Tensor, ""]:
    """Mean over 2 B views of the cross-entropy of the right one of the 2 B - 1 others, by cosine.

    Source: Chen et al., arXiv 2002.05709, equation 1.

    Raises:
        ValueError: a temperature that is not positive.
    """
    if temperature <= 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    views = F.normalize(at_least_float32(torch.cat([first, second])), dim=-1)
    similarity = views @ views.T / temperature
    # A view is not among its own candidates.
    itself = torch.eye(len(views), dtype=torch.bool, device=views.device)
    similarity = similarity.masked_fill(itself, -torch.inf)
    other = torch.arange(len(views), device=views.device).roll(len(first))
    return F.cross_entropy(similarity, other)
