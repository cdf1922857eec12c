"""The optimiser and its parameter groups."""

import torch
from torch import nn


def build_optimizer(
    model: nn.Module, *, learning_rate: float, weight_decay: float
) -> torch.optim.AdamW:
    """Build AdamW with weight decay on matrices only.

    Biases, norms and other one-dimensional parameters are not decayed: pulling a scale towards 0
    switches its feature off instead of simplifying the function.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    fused = all(parameter.device.type in ("cpu", "cuda") for parameter in trained)
    return torch.optim.AdamW(groups, lr=learning_rate, fused=fused)


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Set the learning rate of every group."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate


def clip_gradient(model: nn.Module, limit: float) -> torch.Tensor:
    """Shorten the gradient to `limit` (0: leave it) and return the length it had, a scalar."""
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    length = torch.nn.utils.get_total_norm(gradients)
    if limit:
        torch.nn.utils.clip_grads_with_norm_(model.parameters(), limit, length)
    return length
