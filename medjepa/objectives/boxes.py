"""Boxes as (x0, y0, x1, y1): overlap, generalised overlap, suppression of what overlaps.

Legend: N and M boxes; x grows to the right, y down, the last edge is not part of the box.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

_SMALLEST = 1e-9


def area(boxes: Float[Tensor, "... 4"]) -> Float[Tensor, "..."]:
    """Area of each box; 0 where its edges are turned round."""
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)


def pairwise_iou(first: Float[Tensor, "n 4"], second: Float[Tensor, "m 4"]) -> Float[Tensor, "n m"]:
    """Intersection over union of every box with every other."""
    low = torch.maximum(first[:, None, :2], second[None, :, :2])
    high = torch.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    total = area(first)[:, None] + area(second)[None] - shared
    return shared / total.clamp(min=_SMALLEST)


def generalised_iou(
    first: Float[Tensor, "n 4"], second: Float[Tensor, "n 4"]
) -> Float[Tensor, " n"]:
    """IoU of pairs, less the share of their common frame that is in neither; in (-1, 1].

    Source: Rezatofighi et al., arXiv 1902.09630.
    """
    low, high = (
        torch.maximum(first[:, :2], second[:, :2]),
        torch.minimum(first[:, 2:], second[:, 2:]),
    )
    shared = (high - low).clamp(min=0).prod(-1)
    total = area(first) + area(second) - shared
    frame = torch.cat(
        [torch.minimum(first[:, :2], second[:, :2]), torch.maximum(first[:, 2:], second[:, 2:])], -1
    )
    whole = area(frame).clamp(min=_SMALLEST)
    return shared / total.clamp(min=_SMALLEST) - (whole - total) / whole


def suppress(
    boxes: Float[Tensor, "n 4"],
    scores: Float[Tensor, " n"],
    labels: Int[Tensor, " n"],
    *,
    threshold: float,
) -> Int[Tensor, " k"]:
    """Which boxes stay, best first: each takes out those of its class that overlap it more.

    Equal scores keep the order in which they came.

    Args:
        boxes: of one image.
        scores: of each.
        labels: class of each; boxes of two classes never take each other out.
        threshold: IoU above which the box with the lower score goes.
    """
    order = torch.sort(scores, descending=True, stable=True).indices
    clash = pairwise_iou(boxes[order], boxes[order]) > threshold
    clash &= labels[order][:, None] == labels[order][None]
    gone = torch.zeros(len(order), dtype=torch.bool)
    kept = []
    for place in range(len(order)):
        if not gone[place]:
            kept.append(place)
            gone |= clash[place]
    return order[torch.tensor(kept, dtype=torch.long)]
