"""What a detector on a grid learns: which cells see an object, of which class, and how far it goes.

Each cell of the grid says a score for each class, one quality, and the distances from its middle
to the left, upper, right and lower edge of the object there.
Source: FCOS (Tian et al., arXiv 1904.01355), on one grid; focal loss (Lin et al., 1708.02002).

Legend: B images, N cells, K classes, M objects of an image; boxes (x0, y0, x1, y1) in pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from medjepa.objectives.boxes import area, generalised_iou

RADIUS = 1.5
"""Cells from the middle of an object, within which a cell may be asked to find it."""
FOCUS, POSITIVE_SHARE = 2.0, 0.25
"""Gamma and alpha of the focal loss."""


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What the cells of one image are to say.

    Attributes:
        labels: (N,) class of the object that a cell is asked for, K for none.
        boxes: (N, 4) of that object; zeros for none.
        quality: (N,) 1 in the middle of the object, 0 at its edge.
    """

    labels: Int[Tensor, " n"]
    boxes: Float[Tensor, "n 4"]
    quality: Float[Tensor, " n"]


def centres(grid: Sequence[int], cell: Sequence[int]) -> Float[Tensor, "n 2"]:
    """The middle (x, y) of each cell, row by row; `grid` and `cell` are (rows, columns)."""
    y, x = ((torch.arange(count) + 0.5) * side for count, side in zip(grid, cell, strict=True))
    return torch.stack([x.repeat(grid[0]), y.repeat_interleave(grid[1])], dim=-1)


def assign(
    boxes: Float[Tensor, "m 4"],
    labels: Int[Tensor, " m"],
    grid: Sequence[int],
    cell: Sequence[int],
    num_classes: int,
) -> Targets:
    """Ask cells for the object that they lie in, near its middle; of several for the smallest.

    The cell that holds an object's middle is always asked, so that an object smaller than a cell
    is not lost; of two such in one cell the smaller is.
    """
    points = centres(grid, cell)
    num = len(points)
    found = torch.full((num,), num_classes, dtype=torch.long)
    chosen = torch.zeros(num, 4)
    # Large ones first, so that smaller ones are written over them; home cells at the very last.
    order = torch.sort(area(boxes), descending=True, stable=True).indices.tolist()
    step = torch.tensor([cell[1], cell[0]], dtype=torch.float32)
    for is_home in (False, True):
        for number in order:
            box = boxes[number]
            middle = (box[:2] + box[2:]) / 2
            offset = (points - middle).abs() / step
            if is_home:
                column, row = (
                    min(int(m // s), count - 1)
                    for m, s, count in zip(
                        middle.tolist(), (cell[1], cell[0]), (grid[1], grid[0]), strict=True
                    )
                )
                asked = torch.zeros(num, dtype=torch.bool)
                asked[row * grid[1] + column] = True
            else:
                inside = ((points > box[:2]) & (points < box[2:])).all(1)
                asked = inside & (offset < RADIUS).all(1)
            found[asked], chosen[asked] = labels[number], box
    return Targets(labels=found, boxes=chosen, quality=_quality(points, chosen))


def detection_loss(
    scores: Float[Tensor, "b n k"],
    quality: Float[Tensor, "b n"],
    boxes: Float[Tensor, "b n 4"],
    targets: Sequence[Targets],
) -> Float[Tensor, ""]:
    """Focal loss of the classes, plus 1 - GIoU of the boxes, plus cross-entropy of the quality.

    `scores` and `quality` are before the sigmoid. All are counted by object cell; the boxes weigh
    by the quality that a cell should have, as in FCOS.
    """
    scores, quality, boxes = scores.float(), quality.float(), boxes.float()
    num_classes = scores.shape[-1]
    labels = torch.stack([one.labels for one in targets]).to(scores.device)
    wanted = torch.stack([one.boxes for one in targets]).to(scores)
    middle = torch.stack([one.quality for one in targets]).to(scores)
    truth = F.one_hot(labels, num_classes + 1)[..., :num_classes].to(scores)
    is_object = labels < num_classes
    count = is_object.sum().clamp(min=1)
    loss = focal_loss(scores, truth) / count
    if not bool(is_object.any()):
        return loss + 0 * (quality.sum() + boxes.sum())
    weight = middle[is_object]
    apart = 1 - generalised_iou(boxes[is_object], wanted[is_object])
    loss = loss + (apart * weight).sum() / weight.sum().clamp(min=1e-6)
    return loss + F.binary_cross_entropy_with_logits(quality[is_object], weight)


def focal_loss(scores: Float[Tensor, "..."], truth: Float[Tensor, "..."]) -> Float[Tensor, ""]:
    """Sum of the cross-entropies, each less the surer it is right already."""
    entropy = F.binary_cross_entropy_with_logits(scores, truth, reduction="none")
    right = torch.exp(-entropy)
    share = POSITIVE_SHARE * truth + (1 - POSITIVE_SHARE) * (1 - truth)
    return (share * (1 - right) ** FOCUS * entropy).sum()


def _quality(points: Float[Tensor, "n 2"], boxes: Float[Tensor, "n 4"]) -> Float[Tensor, " n"]:
    """Centre-ness: root of the nearer by the farther edge, of both axes together."""
    low = (points - boxes[:, :2]).clamp(min=0)
    high = (boxes[:, 2:] - points).clamp(min=0)
    near, far = torch.minimum(low, high), torch.maximum(low, high)
    ratio = (near / far.clamp(min=1e-6)).prod(1).sqrt()
    has_box = area(boxes) > 0
    # A home cell may have its own middle outside of a small object: it is asked all the same.
    return torch.where(has_box, ratio.clamp(min=0.1), torch.zeros(()))
