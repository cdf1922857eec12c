"""From images to features: one pass over the data for every encoder and every plain baseline."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar, cast, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medjepa.data.batching import Samples
from medjepa.evaluation.baselines import oriented_gradients, pixel_vectors
from medjepa.models.image_model import ImageModel
from medjepa.models.vjepa import VJEPA

Encode = Callable[[Tensor], Tensor | NDArray[Any]]
"""Images (B, C, H, W) in [0, 1] to features (B, D)."""


@runtime_checkable
class ImageSource(Protocol):
    """Any dataset whose items are images, or begin with one."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...  # noqa: ANN401


def embed(
    images: ImageSource,
    encoders: Mapping[str, Encode],
    *,
    batch_size: int = 64,
    advance: Callable[[int], object] | None = None,
) -> dict[str, NDArray[Any]]:
    """Run every encoder over all images, which are read once.

    Args:
        images: N images (C, H, W) in [0, 1], bare or as the first part of a sample.
        encoders: name -> function from a batch of images to (B, D).
        batch_size: B; changes speed and memory only.
        advance: called with the number of images after each batch.

    Returns:
        Name -> (N, D), or whatever else an encoder gives for each image; float32, or halves.
    """
    parts: dict[str, list[NDArray[Any]]] = {name: [] for name in encoders}
    with torch.inference_mode():
        for start in range(0, len(images), batch_size):
            batch = _read(images, range(start, min(start + batch_size, len(images))))
            for name, encode in encoders.items():
                parts[name].append(_as_array(encode(batch)))
            if advance is not None:
                advance(len(batch))
    return {name: np.concatenate(part) for name, part in parts.items()}


def encoder_of(model: ImageModel, device: torch.device) -> Encode:
    """The frozen encoder of a model: evaluation mode, on its device."""
    model = model.to(device).eval()

    def encode(images: Tensor) -> Tensor:
        return model.encode(images.to(device))

    return encode


Model = TypeVar("Model", bound=ImageModel | VJEPA)


def untrained_twin(model: Model, *, seed: int) -> Model:
    """The same encoder as it was before training: same sizes, same pixel statistics.

    Args:
        model: pre-trained.
        seed: of the initialisation; the caller's random numbers are not disturbed.
    """
    arguments: dict[str, Any] = model.config
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        twin = type(model)(**arguments)
    twin.set_pixel_statistics(model.pixel_mean.cpu(), model.pixel_std.cpu())
    if isinstance(twin, VJEPA):
        twin.set_reference_spacing(model.encoder.reference_spacing.cpu())
    return cast(Model, twin.eval())


def pixels(images: Tensor) -> NDArray[np.float32]:
    """Small images as rows, from which the principal components are taken."""
    return pixel_vectors(images.cpu().numpy())


def gradients(images: Tensor) -> NDArray[np.float32]:
    """Histograms of oriented gradients as rows."""
    return oriented_gradients(images.cpu().numpy())


def _read(images: ImageSource, indices: Sequence[int]) -> Tensor:
    read_many = getattr(images, "__getitems__", None)
    samples = read_many(list(indices)) if read_many else [images[i] for i in indices]
    if isinstance(samples, Samples):
        return samples.batch.images
    return torch.stack([sample if isinstance(sample, Tensor) else sample[0] for sample in samples])


def _as_array(features: Tensor | NDArray[Any]) -> NDArray[Any]:
    if isinstance(features, Tensor):
        features = features.float().cpu().numpy()
    if features.dtype == np.float16:  # tokens, which are many
        return features
    return np.asarray(features, np.float32)
