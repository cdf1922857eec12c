"""What every pre-trained model has, whatever trained it: an encoder and the scale of its pixels.

Legend: B images, C channels, D features.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from medjepa.models.encoder import ViTEncoder
from medjepa.objectives.distributed import world
from medjepa.objectives.randomness import generator
from medjepa.objectives.views import draw_view, render_view

_NOT_ARGUMENTS = ("self", "own", "common", "__class__")


def plain_arguments(values: Mapping[str, object]) -> dict[str, object]:
    """The arguments of a model's `__init__`, of its `locals()`, as plain values for a checkpoint.

    What an `__init__` passes on as a whole (`own`, `common`) is no argument of its own.
    """
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in values.items()
        if name not in _NOT_ARGUMENTS
    }


class EncoderModel(nn.Module):
    """An encoder, with the mean and deviation of its training images by channel.

    Attributes:
        config: the arguments that build the same model again, in plain values.
        regularizer: name of the second part of the loss in messages, "" where there is none.
        low_loss_is_collapse: whether a prediction loss near 0 means that all embeddings are alike.
    """

    config: dict[str, object]
    regularizer: str = "SIGReg"
    low_loss_is_collapse: bool = True

    def __init__(self, encoder: ViTEncoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.image_size = encoder.patch_embedding.image_size
        self.grid = encoder.patch_embedding.grid
        in_channels = encoder.patch_embedding.in_channels
        self.pixel_mean: Tensor
        self.pixel_std: Tensor
        self.register_buffer("pixel_mean", torch.zeros(in_channels))
        self.register_buffer("pixel_std", torch.ones(in_channels))

    def standardise(self, images: Float[Tensor, "b c *spatial"]) -> Float[Tensor, "b c *spatial"]:
        """Subtract the training images' mean and divide by their deviation, per channel."""
        shape = (-1, *[1] * (images.ndim - 2))
        return (images - self.pixel_mean.view(shape)) / self.pixel_std.view(shape)

    def set_pixel_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Set what `standardise` uses; a constant channel is left at its scale."""
        self.pixel_mean.copy_(mean)
        self.pixel_std.copy_(torch.where(std > 1e-6, std, torch.ones_like(std)))

    def drop_gradients(self) -> None:
        """Take away, between `backward` and the optimiser's step, what must not be learnt yet."""

    def finish(self) -> None:
        """Make `encoder` the one that is used from now on, where training kept several."""


class ImageModel(EncoderModel):
    """A pre-trained encoder of images (B, C, H, W) in [0, 1]."""

    def encode(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d"]:
        """Embed images in [0, 1], of any size the patch divides: the mean patch embedding."""
        return self.encoder(self.standardise(images)).mean(1)  # type: ignore[no-any-return]


def random_view(
    images: Float[Tensor, "b c h w"],
    modality: Int[Tensor, " b"],
    *,
    size: Sequence[int],
    scale: tuple[float, ...],
    strength: float,
    seed: int,
    step: int,
    stream: str,
) -> Float[Tensor, "b c oh ow"]:
    """Draw a view for all processes' images, so that their number does not matter; render ours.

    What is drawn is a function of `seed`, `step` and `stream`.
    """
    rank, num_processes = world()
    num = len(images)
    drawn = draw_view(
        modality.repeat(num_processes),
        scale=(scale[0], scale[1]),
        rng=generator(seed, step, stream),
        strength=strength,
    ).rows(slice(rank * num, (rank + 1) * num))
    noise_rng = noise_generator(seed, step, stream, images.device)
    return render_view(images, drawn, size=(size[0], size[1]), noise_rng=noise_rng)


def noise_generator(seed: int, step: int, stream: str, device: torch.device) -> torch.Generator:
    """Return the generator of a view's noise, on the device, another for each process."""
    own = generator(seed, step, f"{stream} noise {world()[0]}").initial_seed()
    return torch.Generator(device).manual_seed(own)
