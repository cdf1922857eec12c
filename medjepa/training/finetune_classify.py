"""Training a classifier on labelled images, with early stopping on patients that it does not fit.

The items, views, noise and dropout of a step are pure functions of (seed, step), and what is saved
is everything that changes: a run that was stopped goes on as if it had not been.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from medjepa.data.batching import Batch
from medjepa.objectives.randomness import generator
from medjepa.training.finetune_steps import (
    EarlyStop,
    Finetuned,
    Progress,
    Recipe,
    Validate,
    planned_indices,
    train_steps,
)
from medjepa.training.finetune_views import training_view
from medjepa.training.interrupts import StopWish
from medjepa.utils import progress as shown


@runtime_checkable
class ItemSource(Protocol):
    """Items to learn from: images, or volumes and clips of which crops are drawn."""

    def __len__(self) -> int:
        """Count the items."""

    def draw(self, pairs: list[tuple[int, int]], /) -> Batch:
        """Return the items (index, draw); the same pair always gives the same."""


@dataclass(frozen=True, kw_only=True)
class ClassifySettings(Recipe):
    """How a classifier is trained.

    Attributes:
        patience: looks at the validation part without a better one, until training stops.
        mixed_precision: bfloat16 where it is fast (cuda); never elsewhere.
    """

    batch_size: int = 32
    learning_rate: float = 3e-3
    encoder_rate: float = 0.3
    layer_decay: float = 0.75
    warmup: float = 0.1
    patience: int = 5
    mixed_precision: bool = True


def finetune_classifier(
    network: nn.Module,
    items: ItemSource,
    target: NDArray[np.int64],
    *,
    folder: Path,
    settings: ClassifySettings,
    seed: int,
    device: torch.device,
    validate: Validate | None = None,
    is_clip: bool = False,
    progress: Progress = shown.progress,
    wish: StopWish | None = None,
) -> Finetuned:
    """Train a network of (images, spacing) to scores in place, or go on where it was stopped.

    With `validate` it ends with the weights that were best there; without it, with the last.

    Args:
        network: a `Classifier`; what needs no gradient stays as it is.
        items: to learn from.
        target: (N,) their classes.
        folder: where the state is kept; a run that is finished returns at once with its weights.
        settings: how to train.
        seed: of items, views, noise and dropout.
        device: of the computation.
        validate: see `EarlyStop`.
        is_clip: whether the first axis of a volume is time.
        progress: shows how far it is.
        wish: whether the user asked to stop.

    Raises:
        KeyboardInterrupt: the user asked to stop; what was done is saved.
        CheckpointError: the folder's state is of other settings or of another network.
        TrainingError: the loss is no longer a number.
    """
    network.to(device)
    return train_steps(
        network,
        _LossOf(network, items, target, settings, seed, device, is_clip),
        num_images=len(items),
        folder=folder,
        settings=settings,
        seed=seed,
        early=EarlyStop(validate, settings.patience) if validate else None,
        progress=progress,
        wish=wish,
    )


class _LossOf:
    """The loss of a step."""

    def __init__(
        self,
        network: nn.Module,
        items: ItemSource,
        target: NDArray[np.int64],
        settings: ClassifySettings,
        seed: int,
        device: torch.device,
        is_clip: bool,
    ) -> None:
        self.network, self.items, self.target = network, items, torch.from_numpy(target)
        self.settings, self.seed, self.device, self.is_clip = settings, seed, device, is_clip

    def __call__(self, step: int) -> Tensor:
        size = self.settings.batch_size
        places = range(step * size, (step + 1) * size)
        chosen = planned_indices(places, len(self.items), self.seed)
        batch = self.items.draw(list(zip(chosen, places, strict=True)))
        images, spacing = training_view(
            batch,
            strength=self.settings.strength,
            seed=self.seed,
            step=step,
            device=self.device,
            is_clip=self.is_clip,
        )
        cuda = self.device.type == "cuda"
        # Dropout draws from torch's own numbers: seeded by the step, as everything else is.
        with (
            torch.random.fork_rng(),
            torch.autocast(
                self.device.type, torch.bfloat16, enabled=cuda and self.settings.mixed_precision
            ),
        ):
            torch.manual_seed(generator(self.seed, step, "classify dropout").initial_seed())
            scores = self.network(images, spacing)
        return F.cross_entropy(scores.float(), self.target[chosen].to(self.device))
