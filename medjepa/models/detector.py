"""Detection on an encoder: a light head without anchors on the grid of its patches.

Legend: B images, C channels, N cells, D features, K classes, M boxes found.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from medjepa.models.encoder import ViTEncoder
from medjepa.objectives.boxes import suppress
from medjepa.objectives.detection_loss import centres

PRIOR = 0.01
"""What an untrained head takes for the probability that a cell sees an object."""
MOST_CANDIDATES, MOST_FOUND = 1000, 100
_PER_GROUP = 8


@dataclass(frozen=True, kw_only=True)
class Found:
    """What was found in one image, best first.

    Attributes:
        boxes: (M, 4) as (x0, y0, x1, y1) in pixels of the network's input.
        scores: (M,) in [0, 1].
        labels: (M,) class numbers.
    """

    boxes: Float[Tensor, "m 4"]
    scores: Float[Tensor, " m"]
    labels: Int[Tensor, " m"]


class Detector(nn.Module):
    """An encoder with a head of two convolutions on its tokens' grid.

    Every cell says a score for each class, a quality, and the distances from its middle to the four
    edges of the object there. Tokens are those of `depths` (a third, two thirds and the end of the
    encoder without it), as in `Segmenter`; images of any size are taken, padded with black to what
    the patch divides. `mean` and `std` (C,) are those of pre-training. `frozen` leaves the encoder
    as it is.
    Source: FCOS (Tian et al., arXiv 1904.01355) on one grid, as in ViTDet (Li et al., 2203.16527).
    """

    def __init__(
        self,
        encoder: ViTEncoder,
        num_classes: int,
        *,
        frozen: bool = False,
        mean: Float[Tensor, " c"] | None = None,
        std: Float[Tensor, " c"] | None = None,
        depths: Sequence[int] | None = None,
        width: int = 96,
    ) -> None:
        super().__init__()
        if num_classes < 1:
            raise ValueError(f"num_classes must be 1 or more, got {num_classes}")
        if width < _PER_GROUP or width % _PER_GROUP:
            raise ValueError(f"width must be a multiple of {_PER_GROUP}, got {width}")
        patches, last = encoder.patch_embedding, len(encoder.blocks)
        self.encoder, self.frozen, self.num_classes = encoder, frozen, num_classes
        height, width_of_patch = patches.patch_size
        self.patch_size = (int(height), int(width_of_patch))
        self.depths = tuple(depths or sorted({-(-last // 3), -(-2 * last // 3), last}))
        self.norms = nn.ModuleList(nn.LayerNorm(encoder.embed_dim) for _ in self.depths)
        self.join = nn.Linear(encoder.embed_dim * len(self.depths), width)
        self.tower = nn.Sequential(_unit(width), _unit(width))
        self.score = nn.Conv2d(width, num_classes, 3, padding=1)
        self.place = nn.Conv2d(width, 5, 3, padding=1)
        for head in (self.score, self.place):
            nn.init.normal_(head.weight, std=0.01)
            assert head.bias is not None
            nn.init.zeros_(head.bias)
        assert self.score.bias is not None
        nn.init.constant_(self.score.bias, -math.log((1 - PRIOR) / PRIOR))
        self.pixel_mean: Tensor
        self.pixel_std: Tensor
        channels = patches.in_channels
        self.register_buffer("pixel_mean", torch.zeros(channels) if mean is None else mean.clone())
        self.register_buffer("pixel_std", torch.ones(channels) if std is None else std.clone())
        if frozen:
            encoder.requires_grad_(False)

    def train(self, mode: bool = True) -> "Detector":
        """Switch dropout; a frozen encoder stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    def grid_of(self, height: int, width: int) -> tuple[int, int]:
        """Cells (rows, columns) of an image of this size."""
        return -(-height // self.patch_size[0]), -(-width // self.patch_size[1])

    def forward(
        self, images: Float[Tensor, "b c h w"]
    ) -> tuple[Float[Tensor, "b n k"], Float[Tensor, "b n"], Float[Tensor, "b n 4"]]:
        """Scores and quality before the sigmoid, and boxes in pixels, of every cell."""
        height, width = images.shape[2:]
        grid = self.grid_of(height, width)
        padded = F.pad(
            images,
            (0, grid[1] * self.patch_size[1] - width, 0, grid[0] * self.patch_size[0] - height),
        )
        pixels = (padded - self.pixel_mean[:, None, None]) / self.pixel_std[:, None, None]
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            found = self.encoder.features(pixels, self.depths)
        tokens = torch.cat([norm(part) for norm, part in zip(self.norms, found, strict=True)], -1)
        x = self.tower(self.join(tokens).transpose(1, 2).unflatten(2, grid))
        scores = self.score(x).flatten(2).transpose(1, 2)
        place = self.place(x).flatten(2).transpose(1, 2).float()
        points = centres(grid, self.patch_size).to(place)
        return scores, place[..., 4], decode(place[..., :4], points, self.patch_size)

    @torch.no_grad()
    def detect(
        self,
        images: Float[Tensor, "b c h w"],
        *,
        overlap: float = 0.5,
        least: float = 0.02,
        most: int = MOST_FOUND,
    ) -> list[Found]:
        """Find the objects of each image; the score is the root of class score times quality.

        Args:
            images: in [0, 1].
            overlap: IoU above which the weaker of two boxes of one class is dropped.
            least: scores below this are not reported.
            most: boxes of one image, the best of all classes together.
        """
        height, width = images.shape[2:]
        scores, quality, boxes = self(images)
        both = (scores.float().sigmoid() * quality.float().sigmoid()[..., None]).sqrt()
        frame = torch.tensor([width, height, width, height]).to(boxes)
        inside = torch.minimum(boxes.clamp(min=0), frame)
        return [
            _best(own.cpu(), place.cpu(), overlap=overlap, least=least, most=most)
            for own, place in zip(both, inside, strict=True)
        ]


def decode(
    distances: Float[Tensor, "... n 4"], points: Float[Tensor, "n 2"], cell: Sequence[int]
) -> Float[Tensor, "... n 4"]:
    """Boxes (x0, y0, x1, y1) from what the head says of the distances to left, top, right, bottom.

    A distance is exp(what is said) times the side of a cell (rows, columns); `encode` turns it
    round.
    """
    step = torch.tensor([cell[1], cell[0]]).to(distances)
    # An untrained head may say anything; no object is e^8 cells away.
    lengths = distances.clamp(-8, 8).exp() * step.repeat(2)
    return torch.cat([points - lengths[..., :2], points + lengths[..., 2:]], -1)


def encode(
    boxes: Float[Tensor, "n 4"], points: Float[Tensor, "n 2"], cell: Sequence[int]
) -> Float[Tensor, "n 4"]:
    """What the head has to say for boxes that hold their points."""
    step = torch.tensor([cell[1], cell[0]]).to(boxes)
    lengths = torch.cat([points - boxes[:, :2], boxes[:, 2:] - points], -1)
    return (lengths / step.repeat(2)).clamp(min=math.exp(-8)).log()


def _best(
    scores: Float[Tensor, "n k"],
    boxes: Float[Tensor, "n 4"],
    *,
    overlap: float,
    least: float,
    most: int,
) -> Found:
    cell, label = torch.nonzero(scores >= least, as_tuple=True)
    values = scores[cell, label]
    first = torch.sort(values, descending=True, stable=True).indices[:MOST_CANDIDATES]
    cell, label, values = cell[first], label[first], values[first]
    kept = suppress(boxes[cell], values, label, threshold=overlap)[:most]
    return Found(boxes=boxes[cell[kept]], scores=values[kept], labels=label[kept])


def _unit(width: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        nn.GroupNorm(width // _PER_GROUP, width),
        nn.GELU(),
    )
