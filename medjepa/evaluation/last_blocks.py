"""Features of several blocks: the mean patch embedding after each, one after another.

As DINOv2's linear evaluation of the last four blocks (`dinov2/eval/linear.py`); every block's
tokens go through the encoder's last normalisation, as there.
"""

import torch
from torch import Tensor

from medjepa.evaluation.embed import Encode
from medjepa.models.image_model import ImageModel

NUM_BLOCKS = {"last": 1, "last4": 4}
"""By `evaluation.features`."""


def last_blocks_of(model: ImageModel, device: torch.device, num_blocks: int) -> Encode:
    """The frozen encoder's features: (B, min(num_blocks, depth) * D), the deepest block last."""
    model = model.to(device).eval()
    encoder = model.encoder
    depth = len(encoder.blocks)
    depths = range(max(1, depth - num_blocks + 1), depth + 1)

    def encode(images: Tensor) -> Tensor:
        found = encoder.features(model.standardise(images.to(device)), tuple(depths))
        # The last block's tokens are normalised already.
        means = [encoder.norm(tokens).mean(1) for tokens in found[:-1]] + [found[-1].mean(1)]
        return torch.cat(means, dim=1)

    return encode
