"""Training a segmentation network on label maps.

The crops, views and noise of a step are pure functions of (seed, step), and what is saved is
everything that changes: a run that was stopped goes on as if it had not been.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from medjepa.models.segmenter import score
from medjepa.objectives.randomness import generator
from medjepa.objectives.segmentation_loss import segmentation_loss
from medjepa.objectives.volume_augmentation import (
    draw_labelled_view,
    labelled_view_spacing,
    render_labelled_view,
)
from medjepa.training.finetune_steps import (
    Finetuned,
    Progress,
    Recipe,
    planned_indices,
    train_steps,
)
from medjepa.training.interrupts import StopWish
from medjepa.training.segmentation_crops import CropSource, LabelledCrops
from medjepa.utils import progress as shown


@dataclass(frozen=True, kw_only=True)
class FinetuneSettings(Recipe):
    """How a segmentation network or a detector is trained."""

    batch_size: int = 4
    learning_rate: float = 1e-2
    encoder_rate: float = 0.1
    layer_decay: float = 0.8
    warmup: float = 0.05


def finetune_segmenter(
    network: nn.Module,
    data: CropSource,
    *,
    folder: Path,
    settings: FinetuneSettings,
    seed: int,
    device: torch.device,
    progress: Progress = shown.progress,
    wish: StopWish | None = None,
) -> Finetuned:
    """Train a network of images to scores in place, or go on where `folder` says it stopped.

    Args:
        network: (B, C, *spatial) in [0, 1] to (B, K, *spatial); see `train_steps`.
        data: crops with class numbers for a softmax over K, or with masks for K sigmoids.
        folder: where the state is kept; a run that is finished returns at once with its weights.
        settings: how to train.
        seed: of crops, views and noise.
        device: of the computation.
        progress: shows how far it is.
        wish: whether the user asked to stop.

    Raises:
        KeyboardInterrupt: the user asked to stop; what was done is saved.
        CheckpointError: the folder's state is of other settings or of another network.
        TrainingError: the loss is no longer a number.
    """
    network.to(device)
    loss_of = _LossOf(network, data, settings, seed, device)
    return train_steps(
        network,
        loss_of,
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
        network: nn.Module,
        data: CropSource,
        settings: FinetuneSettings,
        seed: int,
        device: torch.device,
    ) -> None:
        self.network, self.data, self.settings = network, data, settings
        self.seed, self.device = seed, device

    def __call__(self, step: int) -> Tensor:
        images, labels, spacing = self._views(self._crops(step), step)
        return segmentation_loss(score(self.network, images, spacing), labels)

    def _crops(self, step: int) -> LabelledCrops:
        places = range(step * self.settings.batch_size, (step + 1) * self.settings.batch_size)
        chosen = planned_indices(places, len(self.data), self.seed)
        return self.data.__getitems__(
            [(index, place) for index, place in zip(chosen, places, strict=True)]
        )

    def _views(self, crops: LabelledCrops, step: int) -> tuple[Tensor, Tensor, Tensor | None]:
        images, labels = crops.images.to(self.device), crops.labels.to(self.device)
        spacing = crops.spacing
        if self.settings.strength:
            view = draw_labelled_view(
                crops.modality,
                images.shape[2:],
                rng=generator(self.seed, step, "labelled view"),
                strength=self.settings.strength,
            )
            noise = generator(self.seed, step, "labelled noise").initial_seed()
            images, labels = render_labelled_view(
                images,
                labels,
                view,
                noise_rng=torch.Generator(self.device).manual_seed(noise),
            )
            spacing = None if spacing is None else labelled_view_spacing(spacing, view)
        if images.ndim == 5:
            # Convolutions on CPU take several times as long with channels first.
            images = images.contiguous(memory_format=torch.channels_last_3d)
        return images, labels, None if spacing is None else spacing.to(self.device)
