"""The guide's segmentation head, and Dice without the background.

Legend: B images, N patches, D features, C classes.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class SimpleSegmentationHead(nn.Module):
    """Turns every patch embedding into the class scores of that patch's pixels.

    Normalisation and one linear layer, so that what is found was in the frozen embeddings.
    """

    def __init__(
        self,
        embed_dim: int = 768,
        num_classes: int = 2,
        image_size: int | Sequence[int] = 224,
        patch_size: int | Sequence[int] = 16,
    ) -> None:
        super().__init__()
        size, patch = _pair(image_size), _pair(patch_size)
        if any(s % p for s, p in zip(size, patch, strict=True)):
            raise ValueError(f"patch_size {patch} does not divide image_size {size}")
        self.num_classes, self.patch = num_classes, patch
        self.grid = (size[0] // patch[0], size[1] // patch[1])
        self.norm = nn.LayerNorm(embed_dim)
        self.classify = nn.Linear(embed_dim, num_classes * patch[0] * patch[1])

    def forward(self, patch_embeddings: Tensor) -> Tensor:
        """Patch embeddings (B, N, D) in row-major order to scores (B, C, H, W)."""
        (rows, columns), (high, wide) = self.grid, self.patch
        if patch_embeddings.shape[1] != rows * columns:
            raise ValueError(
                f"expected {rows} x {columns} patches, got {patch_embeddings.shape[1]}: image_size "
                "and patch_size must be those of the encoder's input"
            )
        scores: Tensor = self.classify(self.norm(patch_embeddings))
        scores = scores.reshape(-1, rows, columns, self.num_classes, high, wide)
        scores = scores.permute(0, 3, 1, 4, 2, 5)  # (B, C, rows, high, columns, wide)
        return scores.flatten(4, 5).flatten(2, 3)


def dice_score(pred: Tensor, target: Tensor, smooth: float = 1e-5) -> float:
    """Overlap 2 |A ∩ B| / (|A| + |B|) of the foreground; the background (class 0) never counts.

    Over all pixels of the batch. With several foreground classes the mean over those that occur in
    `pred` or `target`. Nothing predicted where nothing is gives 1.

    Args:
        pred: floats of `target`'s shape are foreground probabilities, cut at 0.5; integers are
            class indices; one axis more than `target` (at place 1) are class scores.
        target: class indices or a 0/1 mask.
        smooth: keeps the ratio defined where both are empty.

    Raises:
        ValueError: the shapes do not fit.
    """
    if pred.ndim == target.ndim + 1:
        pred = pred.argmax(1)
    elif pred.is_floating_point():
        pred, target = pred > 0.5, target > 0.5
    if pred.shape != target.shape:
        raise ValueError(f"pred {tuple(pred.shape)} and target {tuple(target.shape)} do not fit")
    classes = torch.unique(torch.cat([pred.flatten().long(), target.flatten().long()]))
    scores = [_overlap(pred == c, target == c, smooth) for c in classes.tolist() if c > 0]
    return sum(scores) / len(scores) if scores else 1.0


def _overlap(first: Tensor, second: Tensor, smooth: float) -> float:
    both, total = (first & second).sum().item(), first.sum().item() + second.sum().item()
    return (2 * both + smooth) / (total + smooth)


def _pair(size: int | Sequence[int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
