"""The loss of a segmentation: cross-entropy and Dice, of classes or of regions that overlap.

Legend: B images, K classes with background first, R regions.
"""

import torch.nn.functional as F
from jaxtyping import Float, Integer
from torch import Tensor

_SMOOTH = 1.0


def segmentation_loss(
    scores: Float[Tensor, "b k *spatial"], labels: Integer[Tensor, "b ..."]
) -> Float[Tensor, ""]:
    """Return cross-entropy plus one minus the soft Dice of what is not background.

    `labels` are (B, *spatial) class numbers, scored by softmax; or (B, R, *spatial) masks for R
    scores, each by its sigmoid.
    Source: nnU-Net (Isensee et al. 2021), which sums the same two.
    """
    scores = scores.float()
    if labels.ndim == scores.ndim:
        masks = labels.to(scores)
        entropy = F.binary_cross_entropy_with_logits(scores, masks)
        return entropy + 1 - soft_dice(scores.sigmoid(), masks)
    labels = labels.long()
    masks = F.one_hot(labels, scores.shape[1]).movedim(-1, 1)[:, 1:].to(scores)
    return F.cross_entropy(scores, labels) + 1 - soft_dice(scores.softmax(1)[:, 1:], masks)


def soft_dice(
    probabilities: Float[Tensor, "b r *spatial"], masks: Float[Tensor, "b r *spatial"]
) -> Float[Tensor, ""]:
    """Return the mean Dice over the structures, each counted over the whole batch.

    Over the batch, as a crop without a structure has a Dice of 0 however little is wrong.
    """
    axes = (0, *range(2, masks.ndim))
    shared = (probabilities * masks).sum(axes)
    return ((2 * shared + _SMOOTH) / ((probabilities + masks).sum(axes) + _SMOOTH)).mean()
