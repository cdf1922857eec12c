"""The loss of masked autoencoders: grey levels of hidden patches.

Legend: B images, M hidden patches, P values of a patch.
"""

from jaxtyping import Float
from torch import Tensor

from medjepa.objectives.sigreg import at_least_float32

EPSILON = 1e-6
"""Added to a patch's variance: of one flat patch nothing is asked."""


def normalised_patches(patches: Float[Tensor, "b m p"]) -> Float[Tensor, "b m p"]:
    """Give every patch mean 0 and deviation 1 (estimated with P - 1), over all its channels.

    Source: He et al., arXiv 2111.06377, section 3 (reconstruction target).
    """
    patches = at_least_float32(patches)
    variance = patches.var(-1, keepdim=True)
    return (patches - patches.mean(-1, keepdim=True)) * (variance + EPSILON).rsqrt()


def masked_pixel_loss(
    predicted: Float[Tensor, "b m p"], patches: Float[Tensor, "b m p"], *, normalise: bool
) -> Float[Tensor, ""]:
    """Mean squared error over hidden patches alone, of their normalised values by default."""
    wanted = normalised_patches(patches) if normalise else at_least_float32(patches)
    return (at_least_float32(predicted) - wanted).square().mean()
