"""Learning rates that fall with depth: what came from pre-training changes least at its root."""

import re

import torch
from torch import nn

from medjepa.models.encoder import ViTEncoder

_BLOCK = re.compile(r"blocks\.(\d+)\.")


def layer_of(name: str, num_blocks: int) -> int:
    """The layer of an encoder's parameter: 0 patch embedding, 1 ... blocks, then the last norm."""
    found = _BLOCK.match(name)
    if found:
        return int(found.group(1)) + 1
    return 0 if name.startswith("patch_embedding") else num_blocks + 1


def build_finetune_optimizer(
    network: nn.Module, *, weight_decay: float, layer_decay: float, encoder_rate: float = 1.0
) -> torch.optim.AdamW:
    """Build AdamW whose groups carry `share`, the part of the learning rate that is theirs.

    Where the network has an `encoder`, its last block learns at `encoder_rate` and each one before
    it at `layer_decay` times the next; everything else at 1. Matrices are decayed, biases and
    norms are not; what needs no gradient is left out.
    Source: layer-wise decay as in BEiT (Bao et al., arXiv 2106.08254) and MAE.
    """
    encoder = getattr(network, "encoder", None)
    shares: dict[int, float] = {}
    if isinstance(encoder, ViTEncoder):
        num_blocks = len(encoder.blocks)
        for name, parameter in encoder.named_parameters():
            depth = num_blocks + 1 - layer_of(name, num_blocks)
            shares[id(parameter)] = encoder_rate * layer_decay ** max(depth - 1, 0)
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for parameter in network.parameters():
        if parameter.requires_grad:
            key = (shares.get(id(parameter), 1.0), parameter.ndim > 1)
            groups.setdefault(key, []).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": found, "share": share, "weight_decay": weight_decay * decayed}
            for (share, decayed), found in groups.items()
        ],
        lr=0.0,
        fused=True,
    )


def set_shared_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Give every group its share of a learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate * group["share"]
