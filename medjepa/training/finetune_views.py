"""The view of an image, volume or clip that a step of fine-tuning sees.

It is drawn as pre-training draws its own, but keeps more of the image: the label must stay true.
"""

import torch
from torch import Tensor

from medjepa.data.batching import Batch
from medjepa.objectives.randomness import generator
from medjepa.objectives.views import draw_view, render_view
from medjepa.objectives.volume_views import draw_volume_view, render_volume_view, view_spacing

SCALE = (0.6, 1.0)
"""Share of the image that a view keeps."""


def training_view(
    batch: Batch, *, strength: float, seed: int, step: int, device: torch.device, is_clip: bool
) -> tuple[Tensor, Tensor | None]:
    """Draw one view of each image, of its own size, and say what spacing it has.

    Args:
        batch: images (B, C, *spatial) in [0, 1].
        strength: of grey-level and colour changes; 0 gives the images as they are.
        seed: with `step`, decides everything that is drawn.
        step: of training.
        device: where the view is rendered.
        is_clip: whether the first of three axes is time.
    """
    images = batch.images.to(device)
    spacing = None if batch.spacing is None else batch.spacing.to(device)
    if not strength:
        return images, spacing
    rng = generator(seed, step, "classify view")
    noise = generator(seed, step, "classify noise").initial_seed()
    noise_rng = torch.Generator(device).manual_seed(noise)
    if images.ndim == 4:
        view = draw_view(batch.modality, scale=SCALE, rng=rng, strength=strength)
        size = (images.shape[2], images.shape[3])
        return render_view(images, view, size=size, noise_rng=noise_rng), spacing
    given = (images.shape[2], images.shape[3], images.shape[4])
    drawn = draw_volume_view(
        batch.modality,
        scale=SCALE,
        rng=rng,
        strength=strength,
        frames=(given[0], given[0]) if is_clip else None,
    )
    pixels = render_volume_view(images, drawn, size=given, is_clip=is_clip, noise_rng=noise_rng)
    if spacing is not None:
        spacing = view_spacing(spacing, drawn, given=given, size=given)
    return pixels, spacing
