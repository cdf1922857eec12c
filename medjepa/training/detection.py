"""Training a detector on boxes.

The images, views and noise of a step are pure functions of (seed, step), so a run that was stopped
goes on as if it had not been.

Legend: B images, M objects of an image; boxes (x0, y0, x1, y1) in pixels.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from medjepa.models.detector import Detector
from medjepa.objectives.boxes import area
from medjepa.objectives.detection_loss import assign, detection_loss
from medjepa.objectives.randomness import generator
from medjepa.objectives.volume_augmentation import (
    LabelledViewParameters,
    Pose,
    draw_labelled_view,
    render_labelled_view,
)
from medjepa.training.finetune import FinetuneSettings
from medjepa.training.finetune_steps import Finetuned, Progress, planned_indices, train_steps
from medjepa.training.interrupts import StopWish
from medjepa.utils import progress as shown

POSE = Pose(degrees=0.0, log_scale=0.3, log_stretch=0.1, shift=0.15)
"""Without turning, after which a box would no longer be the smallest one around its object."""
LEAST_LEFT = 0.3
"""Share of an object that a view must still hold, to be asked for in it."""


class BoxedImage(NamedTuple):
    """An image with its objects.

    Attributes:
        image: (C, H, W) in [0, 1].
        boxes: (M, 4) in its pixels.
        labels: (M,) class numbers.
        modality: index into `MODALITIES`.
    """

    image: Float[Tensor, "c h w"]
    boxes: Float[Tensor, "m 4"]
    labels: Int[Tensor, " m"]
    modality: int


@runtime_checkable
class BoxSource(Protocol):
    """Images with boxes."""

    def __len__(self) -> int:
        """Count the images."""

    def __getitem__(self, index: int, /) -> BoxedImage:
        """Return one."""


def finetune_detector(
    network: Detector,
    data: BoxSource,
    *,
    folder: Path,
    settings: FinetuneSettings,
    seed: int,
    device: torch.device,
    progress: Progress = shown.progress,
    wish: StopWish | None = None,
) -> Finetuned:
    """Train a detector in place, or go on where `folder` says it stopped.

    Arguments, and what is raised, as `finetune_segmenter`.
    """
    network.to(device)
    return train_steps(
        network,
        _LossOf(network, data, settings, seed, device),
        num_images=len(data),
        folder=folder,
        settings=settings,
        seed=seed,
        progress=progress,
        wish=wish,
    )


class _LossOf:
    """The loss of a step."""

    def __init__(
        self,
        network: Detector,
        data: BoxSource,
        settings: FinetuneSettings,
        seed: int,
        device: torch.device,
    ) -> None:
        self.network, self.data, self.settings = network, data, settings
        self.seed, self.device = seed, device

    def __call__(self, step: int) -> Tensor:
        places = range(step * self.settings.batch_size, (step + 1) * self.settings.batch_size)
        chosen = planned_indices(places, len(self.data), self.seed)
        drawn = [self.data[index] for index in chosen]
        images, boxes, labels = self._views(drawn, step)
        grid = self.network.grid_of(images.shape[2], images.shape[3])
        targets = [
            assign(own, label, grid, self.network.patch_size, self.network.num_classes)
            for own, label in zip(boxes, labels, strict=True)
        ]
        scores, quality, found = self.network(images.to(self.device))
        return detection_loss(scores, quality, found, targets)

    def _views(
        self, drawn: Sequence[BoxedImage], step: int
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        images = batch([one.image for one in drawn])
        boxes, labels = [one.boxes for one in drawn], [one.labels for one in drawn]
        if not self.settings.strength:
            return images, boxes, labels
        height, width = (int(n) for n in images.shape[2:])
        view = draw_labelled_view(
            torch.tensor([one.modality for one in drawn]),
            (height, width),
            rng=generator(self.seed, step, "boxed view"),
            pose=POSE,
            strength=self.settings.strength,
        )
        noise = generator(self.seed, step, "boxed noise").initial_seed()
        empty = torch.zeros(len(images), height, width, dtype=torch.uint8)
        images, _ = render_labelled_view(
            images, empty, view, noise_rng=torch.Generator().manual_seed(noise)
        )
        seen = [
            boxes_in_view(own, label, view, number, (height, width))
            for number, (own, label) in enumerate(zip(boxes, labels, strict=True))
        ]
        return images, [own for own, _ in seen], [label for _, label in seen]


def batch(images: Sequence[Float[Tensor, "c _ _"]]) -> Float[Tensor, "b c h w"]:
    """Put images of several sizes together, black to the right and below."""
    height, width = (max(int(image.shape[axis]) for image in images) for axis in (1, 2))
    return torch.stack(
        [F.pad(one, (0, width - one.shape[2], 0, height - one.shape[1])) for one in images]
    )


def boxes_in_view(
    boxes: Float[Tensor, "m 4"],
    labels: Int[Tensor, " m"],
    view: LabelledViewParameters,
    number: int,
    size: tuple[int, int],
) -> tuple[Float[Tensor, "k 4"], Int[Tensor, " k"]]:
    """Where boxes of image `number` lie in its view of (H, W); what mostly left it is left out.

    The view must not turn: each axis is scaled, shifted and perhaps flipped.
    """
    height, width = size
    half = torch.tensor([width / 2, height / 2]).repeat(2)
    # (y, x) to (x, y); places are shares of half the side from the middle.
    scale = view.matrix[number, :, :2].diagonal().flip(0).repeat(2)
    shift = view.matrix[number, :, 2].flip(0).repeat(2)
    moved = ((boxes / half - 1) - shift) / scale
    moved = (moved + 1) * half
    low, high = torch.minimum(moved[:, :2], moved[:, 2:]), torch.maximum(moved[:, :2], moved[:, 2:])
    whole = torch.cat([low, high], -1)
    inside = torch.minimum(whole.clamp(min=0), torch.tensor([width, height]).repeat(2).float())
    kept = area(inside) >= LEAST_LEFT * area(whole)
    return inside[kept], labels[kept]
