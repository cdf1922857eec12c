"""What the methods beside LeJEPA share: encoder, views, and a count of the steps.

Legend: B images, C channels, V views, N patches, K of them, D features.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from medjepa.config.fields import require_scale
from medjepa.models.encoder import ViTEncoder
from medjepa.models.image_model import ImageModel, plain_arguments, random_view
from medjepa.objectives.distributed import world
from medjepa.objectives.randomness import generator


class Method(ImageModel):
    """An encoder of images with another loss than LeJEPA's; subclasses define `losses`.

    Each image is seen in `num_full_views` views, drawn as those of `LeJEPA` are. All draws are
    functions of `seed` and a counter of training steps in the state dict. `own` holds a subclass's
    further arguments, as `plain_arguments` gives them, for `config`.
    """

    regularizer = ""
    two_views = False
    """Whether the loss is defined for pairs of views alone."""

    def __init__(
        self,
        own: Mapping[str, object],
        *,
        image_size: int | Sequence[int] = 224,
        patch_size: int | Sequence[int] = 16,
        in_channels: int = 3,
        embed_dim: int = 768,
        encoder_depth: int = 12,
        encoder_heads: int = 12,
        num_full_views: int = 2,
        full_scale: Sequence[float] = (0.3, 1.0),
        strength: float = 1.0,
        dropout: float = 0.0,
        seed: int = 0,
    ) -> None:
        common = plain_arguments(locals())
        super().__init__(
            ViTEncoder(
                image_size,
                patch_size,
                in_channels,
                embed_dim,
                encoder_depth,
                encoder_heads,
                dropout=dropout,
            )
        )
        if num_full_views < 1 or (self.two_views and num_full_views != 2):
            wanted = "exactly 2" if self.two_views else "at least 1"
            raise ValueError(
                f"{type(self).__name__} compares {wanted} views of an image: "
                f"views.num_full_views is {num_full_views}"
            )
        require_scale("full_scale", tuple(full_scale))
        self.config = {**common, **own}
        self.num_full_views, self.full_scale = num_full_views, tuple(full_scale)
        self.strength, self.seed = strength, seed
        self._step, self._total_steps, self._steps_per_epoch = 0, 0, 0

    def forward(
        self, images: Float[Tensor, "b c h w"], *, modality: Int[Tensor, " b"] | None = None
    ) -> dict[str, Tensor]:
        """Return total_loss, prediction_loss, regularization_loss, and `embedding` (B, D).

        Images are in [0, 1]; `modality` (B,) holds indices into `medjepa.types.MODALITIES`: how an
        image may be changed.
        """
        if modality is None:
            modality = torch.zeros(len(images), dtype=torch.long)
        losses = self.losses(images, modality)
        self._step += self.training
        return losses

    def losses(self, images: Tensor, modality: Tensor) -> dict[str, Tensor]:
        """Compute what `forward` returns from images in [0, 1]."""
        raise NotImplementedError

    @property
    def step(self) -> int:
        """The number whose draws are used now: training steps so far, 0 in evaluation mode."""
        return self._step if self.training else 0

    def set_run_length(self, *, total_steps: int, steps_per_epoch: int) -> None:
        """Say how long the run is: what changes by schedule follows."""
        self._total_steps, self._steps_per_epoch = total_steps, steps_per_epoch

    def share_done(self, step: int) -> float:
        """Return how much of the run is done at a step, in [0, 1]; 0 while its length is open."""
        return min(step / max(self._total_steps - 1, 1), 1.0) if self._total_steps else 0.0

    def get_extra_state(self) -> Tensor:
        """Return the counter for the state dict."""
        return torch.tensor(self._step)

    def set_extra_state(self, state: Tensor) -> None:
        """Take the counter from a state dict."""
        self._step = int(state)

    def view(
        self,
        images: Float[Tensor, "b c h w"],
        modality: Int[Tensor, " b"],
        stream: str,
        *,
        scale: tuple[float, ...] | None = None,
        size: Sequence[int] | None = None,
    ) -> Float[Tensor, "b c oh ow"]:
        """Return one standardised view of each image, of the encoder's size by default."""
        pixels = random_view(
            images,
            modality,
            size=size or self.image_size,
            scale=scale or self.full_scale,
            strength=self.strength,
            seed=self.seed,
            step=self.step,
            stream=stream,
        )
        return self.standardise(pixels)

    def full_views(
        self, images: Float[Tensor, "b c h w"], modality: Int[Tensor, " b"]
    ) -> Float[Tensor, "vb c oh ow"]:
        """Return the views of all images, those of one number together; as LeJEPA draws them."""
        return torch.cat(
            [self.view(images, modality, f"full {v}") for v in range(self.num_full_views)]
        )

    def rng(self, stream: str) -> torch.Generator:
        """Return the generator of this step's draws for a purpose, equal on all processes."""
        return generator(self.seed, self.step, stream)


def ours(drawn: Tensor, num_views: int, images: Tensor) -> Tensor:
    """Take this process's rows of what was drawn for all processes' views, (V P B, ...)."""
    rank, num_processes = world()
    whole = drawn.view(num_views, num_processes, len(images), *drawn.shape[1:])
    return whole[:, rank].flatten(0, 1).to(images.device)


def result(
    prediction: Tensor, embedding: Float[Tensor, "b d"], regularization: Tensor | None = None
) -> dict[str, Tensor]:
    """Name the parts of a loss; `regularization` is added, 0 where there is none."""
    if regularization is None:
        regularization = torch.zeros_like(prediction)
    return {
        "total_loss": prediction + regularization,
        "prediction_loss": prediction,
        "regularization_loss": regularization,
        "embedding": embedding.detach(),
    }
