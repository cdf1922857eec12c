"""Training a segmentation network on label maps.

The crops, views and noise of a step are pure functions of (seed, step), and what is saved is
everything that changes: a run that was stopped goes on as if it had not been.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from medjepa.checkpoint import load_checkpoint, load_weights, save_checkpoint
from medjepa.errors import CheckpointError, ConfigError, TrainingError
from medjepa.models.segmenter import score
from medjepa.objectives.randomness import generator
from medjepa.objectives.segmentation_loss import segmentation_loss
from medjepa.objectives.volume_augmentation import (
    draw_labelled_view,
    labelled_view_spacing,
    render_labelled_view,
)
from medjepa.training.finetune_optim import build_finetune_optimizer, set_shared_rate
from medjepa.training.interrupts import StopWish
from medjepa.training.optim import clip_gradient
from medjepa.training.resume import differences
from medjepa.training.scheduler import WarmupCosine, fit_warmup
from medjepa.training.segmentation_crops import CropSource, LabelledCrops
from medjepa.training.timing import TRIAL_STEPS, steps_within
from medjepa.utils import progress as shown

Progress = Callable[..., AbstractContextManager[Callable[..., object]]]
"""`with progress(description, total, done=0) as advance: advance(1, note="loss 0.5")`"""

FILE = "finetune.pt"


@dataclass(frozen=True, kw_only=True)
class FinetuneSettings:
    """How a segmentation network is trained.

    Attributes:
        steps: how many; else as many as fit into `minutes`, found by a short trial at the start.
        minutes: of training.
        batch_size: crops a step.
        learning_rate: at its highest, of what is not pre-trained.
        encoder_rate: the encoder's last block learns at this share of it.
        layer_decay: and each block before at this share of the next.
        weight_decay: of matrices.
        warmup: share of the steps until the rate is at its highest; then it falls as a cosine.
        gradient_clip: greatest length of the gradient, 0 for none.
        strength: of the augmentation; 0 for none.
        save_minutes: at most so much is lost by a crash.
    """

    steps: int | None = None
    minutes: float | None = None
    batch_size: int = 4
    learning_rate: float = 1e-2
    encoder_rate: float = 0.1
    layer_decay: float = 0.8
    weight_decay: float = 0.02
    warmup: float = 0.05
    gradient_clip: float = 1.0
    strength: float = 1.0
    save_minutes: float = 2.0

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.minutes is None):
            raise ConfigError("finetune.steps and finetune.minutes: give one of the two")
        for name in ("batch_size", "learning_rate", "encoder_rate", "layer_decay"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"finetune.{name}: above 0, got {getattr(self, name)}")

    def fixed(self) -> dict[str, Any]:
        """What must not change for a run that goes on to be the same run."""
        return {k: v for k, v in asdict(self).items() if k != "save_minutes"}


@dataclass(frozen=True)
class Finetuned:
    """What training took."""

    num_steps: int
    seconds: float


@dataclass
class _Run:
    network: nn.Module
    optimizer: torch.optim.Optimizer
    fixed: Mapping[str, Any]
    path: Path
    total_steps: int = 0
    step: int = 0
    seconds: float = 0.0
    saved: float = field(default_factory=time.monotonic)

    def save(self) -> None:
        save_checkpoint(
            self.path,
            {
                "model_state_dict": self.network.state_dict(),
                "model_config": {},
                "model_type": type(self.network).__name__,
                "optimizer_state_dict": self.optimizer.state_dict(),
                "fixed": dict(self.fixed),
                "step": self.step,
                "total_steps": self.total_steps,
                "seconds": self.seconds,
                "random_state": torch.get_rng_state(),
            },
        )
        self.saved = time.monotonic()

    def restore(self) -> None:
        checkpoint = load_checkpoint(self.path)
        payload = checkpoint.payload
        if changed := differences(payload.get("fixed", {}), self.fixed):
            raise CheckpointError(
                f"{self.path}: cannot go on with other settings: {'; '.join(changed)}. "
                "Set them back, or give another folder"
            )
        load_weights(self.network, checkpoint)
        self.optimizer.load_state_dict(payload["optimizer_state_dict"])
        self.step, self.total_steps = payload["step"], payload["total_steps"]
        self.seconds = payload["seconds"]
        torch.set_rng_state(payload["random_state"])


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
        network: (B, C, *spatial) in [0, 1] to (B, K, *spatial); with an `encoder`, that learns
            at the rates of `FinetuneSettings`. Its own random numbers are torch's global ones.
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


@runtime_checkable
class LossOf(Protocol):
    """The loss of a step as a pure function of its number, and a trial of how long one takes."""

    def __call__(self, step: int, /) -> Tensor:
        """Return the loss, from which gradients flow."""

    def trial(self, step: int, /) -> None:
        """Take a step without its update."""


def train_steps(
    network: nn.Module,
    loss_of: LossOf,
    *,
    num_images: int,
    folder: Path,
    settings: FinetuneSettings,
    seed: int,
    progress: Progress = shown.progress,
    wish: StopWish | None = None,
) -> Finetuned:
    """Minimise `loss_of` in place, or go on where `folder` says it stopped.

    Other arguments, and what is raised, as `finetune_segmenter`; the network is on its device.
    """
    network.train()
    run = _Run(
        network=network,
        optimizer=build_finetune_optimizer(
            network,
            weight_decay=settings.weight_decay,
            layer_decay=settings.layer_decay,
            encoder_rate=settings.encoder_rate,
        ),
        fixed={**settings.fixed(), "seed": seed, "number of images": num_images},
        path=folder / FILE,
    )
    if run.path.exists():
        run.restore()
    else:
        run.total_steps = settings.steps or steps_within(
            60 * (settings.minutes or 0), network, loss_of.trial
        )
    rate = WarmupCosine(
        peak=settings.learning_rate,
        final=1e-3 * settings.learning_rate,
        warmup_steps=fit_warmup(round(settings.warmup * run.total_steps), run.total_steps),
        total_steps=run.total_steps,
    )
    with progress("finetune", run.total_steps, done=run.step) as advance:
        while run.step < run.total_steps:
            begin = time.perf_counter()
            set_shared_rate(run.optimizer, rate(run.step))
            loss = loss_of(run.step)
            if not np.isfinite(value := float(loss.detach())):
                raise TrainingError(
                    f"step {run.step + 1}: the loss is no longer a number; "
                    "try a third of finetune.learning_rate"
                )
            loss.backward()  # type: ignore[no-untyped-call]
            clip_gradient(network, settings.gradient_clip)
            run.optimizer.step()
            run.optimizer.zero_grad(set_to_none=True)
            run.step += 1
            run.seconds += time.perf_counter() - begin
            advance(1, note=f"loss {value:.3f}")
            if wish and run.step < run.total_steps:
                run.save()
                raise KeyboardInterrupt
            if time.monotonic() - run.saved > 60 * settings.save_minutes:
                run.save()
    run.save()
    network.eval()
    return Finetuned(num_steps=run.step, seconds=run.seconds)


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

    def trial(self, step: int) -> None:
        """A step without its update, to see how long one takes."""
        loss = self(step % TRIAL_STEPS)
        loss.backward()  # type: ignore[no-untyped-call]
        float(clip_gradient(self.network, self.settings.gradient_clip))

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


def planned_indices(places: range, num_samples: int, seed: int) -> list[int]:
    """Which sample stands at each place of an endless row of shuffled passes through all."""
    orders: dict[int, np.ndarray] = {}
    found = []
    for place in places:
        epoch, number = divmod(place, num_samples)
        if epoch not in orders:
            orders[epoch] = np.random.default_rng([seed, epoch]).permutation(num_samples)
        found.append(int(orders[epoch][number]))
    return found
