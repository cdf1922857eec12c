"""Labelled images, volumes and clips as fine-tuning takes them: drawn to learn from, whole to test.

Legend: N items, B of them at once, C classes.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from medjepa.data.batching import Batch
from medjepa.data.store_dataset import StoreDataset
from medjepa.data.volume_dataset import VolumeDataset
from medjepa.evaluation.material_volumes import Volumes
from medjepa.evaluation.metrics import Floats, Integers
from medjepa.evaluation.volume_encoders import Encoder3D
from medjepa.models.classifier import Classifier


@runtime_checkable
class Items(Protocol):
    """N labelled items."""

    is_clip: bool
    """whether the first of three axes is time"""

    def draw(self, pairs: Sequence[tuple[int, int]]) -> Batch:
        """The items (number, draw): images whole, of volumes and clips a drawn crop."""

    def probabilities(self, network: nn.Module, chosen: Integers) -> Floats:
        """What a classifier says of whole items; (B, C), rows sum to 1."""

    def features(self, network: Classifier, chosen: Integers) -> Floats:
        """What a classifier's head sees of whole items, not standardised; (B, D)."""


class Chosen:
    """Some of the items, to learn from."""

    def __init__(self, items: Items, numbers: Integers) -> None:
        self.items, self.numbers = items, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def draw(self, pairs: list[tuple[int, int]]) -> Batch:
        """The items (place among the chosen, draw)."""
        return self.items.draw([(int(self.numbers[place]), draw) for place, draw in pairs])


class ImageItems:
    """Images; `images` holds the labelled ones in their order."""

    is_clip = False

    def __init__(self, images: StoreDataset, device: torch.device, batch_size: int) -> None:
        self.images, self.device, self.batch_size = images, device, batch_size

    def draw(self, pairs: Sequence[tuple[int, int]]) -> Batch:
        """The images: nothing of them is drawn."""
        return self.images.__getitems__([number for number, _ in pairs]).batch

    def probabilities(self, network: nn.Module, chosen: Integers) -> Floats:
        """What a classifier says of images, (B, C)."""
        return self._rows(lambda images: _shares(network(images)), chosen)

    def features(self, network: Classifier, chosen: Integers) -> Floats:
        """What a classifier's head sees of images, (B, D)."""
        return self._rows(network.embed, chosen)

    def _rows(self, function: Callable[[Tensor], Tensor], chosen: Integers) -> Floats:
        rows = []
        with torch.inference_mode():
            for start in range(0, len(chosen), self.batch_size):
                numbers = chosen[start : start + self.batch_size].tolist()
                batch = self.images.__getitems__(numbers).batch
                rows.append(function(batch.images.to(self.device)).double().cpu())
        return np.asarray(torch.cat(rows).numpy(), np.float64)


class VolumeItems:
    """Volumes, videos, or stacks through time, of whose slices one is drawn at a time.

    Args:
        volumes: of all stores.
        numbers: (N,) of the labelled items there.
        seed: of crops.
        foreground: share of a volume's crops whose middle lies on foreground.
        device: of the networks.
        batch_size: windows at once.
    """

    def __init__(
        self,
        volumes: Volumes,
        numbers: Integers,
        *,
        seed: int,
        foreground: float,
        device: torch.device,
        batch_size: int,
    ) -> None:
        pipeline = volumes.pipeline
        self.volumes, self.numbers = volumes, numbers
        self.device, self.batch_size = device, batch_size
        self.is_clip = pipeline.kind == "clip"
        self.crops = VolumeDataset(
            volumes.dataset.stores,
            crop=pipeline.crop,
            channels=pipeline.channels,
            seed=seed,
            foreground=0.0 if self.is_clip else foreground,
            kind=pipeline.kind,
            frame_step=pipeline.frame_step,
            frame_seconds=pipeline.frame_seconds,
        )

    def draw(self, pairs: Sequence[tuple[int, int]]) -> Batch:
        """A crop of each item, in another slice of a stack at each draw."""
        wanted = []
        for number, draw in pairs:
            places = self.volumes.places(int(self.numbers[number]))
            wanted.append((places[draw % len(places)], draw))
        return self.crops.__getitems__(wanted).batch

    def probabilities(self, network: nn.Module, chosen: Integers) -> Floats:
        """The mean of what a classifier says of an item's windows or clips, (B, C)."""
        found = self._rows(lambda *windows: _shares(network(*windows)), chosen)
        return np.asarray(found / found.sum(1, keepdims=True))

    def features(self, network: Classifier, chosen: Integers) -> Floats:
        """The mean of what a classifier's head sees of an item's windows or clips, (B, D)."""
        return self._rows(network.embed, chosen)

    def _rows(self, function: Callable[[Tensor, Tensor], Tensor], chosen: Integers) -> Floats:
        reader = {"": _WindowReader(function, self.device)}
        rows = [
            self.volumes.embed(int(self.numbers[number]), dict(reader), self.batch_size)[0][""]
            for number in chosen
        ]
        return np.stack(rows).astype(np.float64)


class _WindowReader(Encoder3D):
    """A function of windows in the place of an encoder: what it gives is averaged likewise."""

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor], device: torch.device) -> None:
        self.function, self.device = function, device

    def encode(self, windows: Tensor, spacing: Tensor) -> Tensor:
        """What the function gives of windows (B, C, *size); (B, whatever)."""
        scale = spacing.to(self.device).expand(len(windows), -1)
        return self.function(windows.to(self.device), scale)


def _shares(scores: Tensor) -> Tensor:
    return scores.double().softmax(1)


def log_loss(probabilities: Floats, target: Integers) -> float:
    """Mean negative logarithm of what was given to the true class."""
    own = probabilities[np.arange(len(target)), target]
    return float(-np.log(np.maximum(own, 1e-12)).mean())
