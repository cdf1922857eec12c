"""The networks of a study and their training, from the settings."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import fields
from pathlib import Path

import torch
from torch import nn

from medjepa.config import Config
from medjepa.errors import ConfigError
from medjepa.evaluation.embed import untrained_twin
from medjepa.evaluation.metrics import Integers
from medjepa.evaluation.segmentation_results import (
    FROZEN,
    LINEAR,
    SCRATCH,
    TITLES,
    UNET,
)
from medjepa.evaluation.segmentation_run import Learn, Trained, Volumes, label_values
from medjepa.models.image_model import ImageModel
from medjepa.models.segmenter import Segmenter
from medjepa.models.unet import monai_unet
from medjepa.models.vjepa import VJEPA
from medjepa.training.finetune import FinetuneSettings, finetune_segmenter
from medjepa.training.interrupts import StopWish
from medjepa.utils.progress import Advance, progress

DEFAULT_STEPS = 1000
"""Of training, where neither steps nor minutes are given."""


def network_of(method: str, model: ImageModel | VJEPA, num_outputs: int, *, seed: int) -> nn.Module:
    """Build a network of (B, C, *window) in [0, 1] to scores (B, num_outputs, *window).

    Args:
        method: one of `TITLES`.
        model: pre-trained; it is copied, not changed.
        num_outputs: classes with the background, or regions.
        seed: of all weights that are not pre-trained.

    Raises:
        ConfigError: an unknown method, or MONAI is missing.
    """
    twin, num_axes = untrained_twin(model, seed=seed), len(model.image_size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if method == UNET:
            return _fast(monai_unet(model.image_size, len(model.pixel_mean), num_outputs), num_axes)
        if method not in TITLES:
            raise ConfigError(
                f"finetune.methods: {method} is unknown; of {', '.join(TITLES)} as many as wanted"
            )
        if method != SCRATCH:
            twin.encoder.load_state_dict(model.encoder.state_dict())
        segmenter = Segmenter(
            twin.encoder,
            num_outputs,
            decoder="linear" if method in LINEAR else "light",
            frozen=method in FROZEN,
            mean=model.pixel_mean.cpu(),
            std=model.pixel_std.cpu(),
        )
    return _fast(segmenter, num_axes)


def _fast(network: nn.Module, num_axes: int) -> nn.Module:
    """Put channels last: on CPU, convolutions take several times as long without."""
    layout = torch.channels_last if num_axes == 2 else torch.channels_last_3d
    return network.to(memory_format=layout)  # type: ignore[call-overload,no-any-return]


def num_outputs(volumes: Volumes) -> int:
    """Scores of a voxel: one for each region, or for each class and the background."""
    return len(volumes.structures) if volumes.regions else len(label_values(volumes.structures))


def settings_of(config: Config) -> FinetuneSettings:
    """The recipe and the budget of every training, from the section `finetune`.

    Raises:
        ConfigError: both steps and minutes are given.
    """
    asked = config.finetune
    known = {field.name for field in fields(FinetuneSettings)}
    given = {name: value for name, value in vars(asked).items() if name in known}
    if asked.steps is None and asked.minutes is None:
        given["steps"] = DEFAULT_STEPS
    return FinetuneSettings(**given)


def recipe_settings(settings: FinetuneSettings) -> dict[str, object]:
    """The recipe without its budget as plain values, which the parts of a study must share."""
    return {k: v for k, v in settings.fixed().items() if k not in ("steps", "minutes")}


def check_methods(methods: Sequence[str], model: ImageModel | VJEPA, outputs: int) -> None:
    """Refuse what cannot be built before anything is trained.

    Raises:
        ConfigError: an unknown method, or MONAI is missing.
    """
    for method in methods:
        network_of(method, model, outputs, seed=0)


def learner(
    settings: FinetuneSettings,
    volumes: Volumes,
    *,
    window: Sequence[int],
    device: torch.device,
    wish: StopWish,
) -> Learn:
    """Return what trains a network on crops of some cases.

    Crops have the size of the window in which cases are predicted, which may be smaller than what
    pre-training cut its views from: not every network takes another size.
    """

    def learn(
        network: nn.Module, train: Integers, *, method: str, folder: Path, seed: int
    ) -> Trained:

        def shown(
            description: str, total: int, *, done: int = 0
        ) -> AbstractContextManager[Advance]:
            return progress(f"{description} {folder.name}", total, done=done)

        finished = finetune_segmenter(
            network,
            volumes.crops(train, window=window, seed=seed),
            folder=folder,
            settings=settings,
            seed=seed,
            device=device,
            progress=shown,
            wish=wish,
        )
        return Trained(num_steps=finished.num_steps, seconds=finished.seconds)

    return learn
