"""Views of images and volumes as pre-training draws them, embedded by a frozen encoder.

What is drawn depends on the seed and the images alone, so every checkpoint sees the same views.

Legend: N images, Q views, D features.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from medjepa.config import ViewsConfig
from medjepa.data.batching import Batch
from medjepa.data.store_dataset import StoreDataset, resize_images
from medjepa.data.volume_dataset import VolumeDataset
from medjepa.errors import ConfigError, DataError
from medjepa.evaluation.candidates import Candidate
from medjepa.evaluation.material_volumes import Volumes
from medjepa.evaluation.volume_encoders import Encoder3D
from medjepa.models.image_model import ImageModel, noise_generator
from medjepa.models.vjepa import VJEPA
from medjepa.objectives.randomness import generator
from medjepa.objectives.views import draw_view, render_view
from medjepa.objectives.volume_views import draw_volume_view, render_volume_view, view_spacing

_IMAGES_AT_ONCE, _PIXELS_AT_ONCE = 50, 1 << 22
"""Read, rendered and encoded at once. Views are drawn batch by batch, so it is no setting."""


@dataclass(frozen=True, kw_only=True)
class ViewSettings:
    """How views are drawn.

    Attributes:
        scale: share of the image that a view shows, lowest and highest.
        strength: of grey-scale and colour changes.
        num: Q.
    """

    scale: tuple[float, float]
    strength: float
    num: int


@dataclass(frozen=True, kw_only=True)
class Embeddings:
    """What one encoder makes of the images: `whole` of each as `embed` gives it, and of views."""

    whole: Float[Tensor, "n d"]
    views: Float[Tensor, "n q d"]


def view_settings(
    candidates: Sequence[Candidate], num: int, given: ViewsConfig | None
) -> ViewSettings:
    """The full views that the checkpoints' objectives draw; `given` where the user says so.

    Raises:
        ConfigError: the checkpoints drew different views, and the user does not say which to take.
    """
    if given is not None:
        return ViewSettings(scale=given.full_scale, strength=given.strength, num=num)
    own = [_own(candidate, num) for candidate in candidates]
    for one, candidate in zip(own, candidates, strict=True):
        if one != own[0]:
            raise ConfigError(
                f"runs: {candidates[0].name} was trained on views of scale {list(own[0].scale)}, "
                f"strength {own[0].strength:g}, {candidate.name} on scale {list(one.scale)}, "
                f"strength {one.strength:g}: scores are compared on the same views only; say "
                "which with views.full_scale=[LOW,HIGH] views.strength=NUMBER"
            )
    return own[0]


def embed_image_views(
    model: ImageModel,
    images: StoreDataset,
    settings: ViewSettings,
    *,
    seed: int,
    device: torch.device,
    advance: Callable[[int], object],
) -> Embeddings:
    """Embed images whole and in `settings.num` views each; one batch of them is in memory.

    Raises:
        DataError: an embedding is not finite.
    """
    model = model.to(device).eval()
    size = (model.image_size[0], model.image_size[1])
    at_once = _at_once(math.prod(images.image_size) * images.channels)
    whole, views = [], []
    with torch.inference_mode():
        for start in range(0, len(images), at_once):
            batch = images.__getitems__(range(start, min(start + at_once, len(images)))).batch
            pixels = batch.images.to(device)
            whole.append(model.encode(resize_images(pixels, size)).float().cpu())
            rows = []
            for number in range(settings.num):
                stream = f"select view {number}"
                drawn = draw_view(
                    batch.modality,
                    scale=settings.scale,
                    rng=generator(seed, start, stream),
                    strength=settings.strength,
                )
                noise_rng = noise_generator(seed, start, stream, device)
                view = render_view(pixels, drawn, size=size, noise_rng=noise_rng)
                rows.append(model.encode(view).float().cpu())
            views.append(torch.stack(rows, 1))
            advance(len(pixels))
    return _finite(torch.cat(whole), torch.cat(views))


def embed_volume_views(
    model: VJEPA,
    volumes: Volumes,
    crops: VolumeDataset,
    settings: ViewSettings,
    *,
    seed: int,
    device: torch.device,
    batch_size: int,
    advance: Callable[[int], object],
) -> Embeddings:
    """Embed volumes or clips: whole (the mean over windows), and one drawn crop in views.

    `volumes` and `crops` are of the same stores; `crops.indices` says which items are taken. As in
    pre-training, the views of an item are views of one crop of it.

    Raises:
        DataError: an embedding is not finite.
    """
    encoder = Encoder3D(model, device)
    whole = []
    for number in crops.indices:
        rows, _ = volumes.embed_place(int(number), {"": encoder}, batch_size)
        whole.append(torch.from_numpy(rows[""]))
        advance(1)
    size = (int(model.image_size[0]), int(model.image_size[1]), int(model.image_size[2]))
    at_once = _at_once(math.prod(crops.crop) * crops.channels)
    views = []
    with torch.inference_mode():
        for start in range(0, len(crops), at_once):
            places = [(index, 0) for index in range(start, min(start + at_once, len(crops)))]
            batch = crops.__getitems__(places).batch
            views.append(_volume_views(model, batch, settings, size, (seed, start), device))
    return _finite(torch.stack(whole), torch.cat(views))


def _volume_views(
    model: VJEPA,
    batch: Batch,
    settings: ViewSettings,
    size: tuple[int, int, int],
    draw: tuple[int, int],
    device: torch.device,
) -> Tensor:
    """(B, Q, D) of one batch of crops."""
    pixels = batch.images.to(device)
    given = (pixels.shape[2], pixels.shape[3], pixels.shape[4])
    is_clip, rows = model.kind == "clip", []
    for number in range(settings.num):
        stream = f"select view {number}"
        drawn = draw_volume_view(
            batch.modality,
            scale=settings.scale,
            rng=generator(*draw, stream),
            strength=settings.strength,
            frames=(given[0], size[0]) if is_clip else None,
        )
        noise_rng = noise_generator(*draw, stream, device)
        view = render_volume_view(pixels, drawn, size=size, is_clip=is_clip, noise_rng=noise_rng)
        spacing = None
        if batch.spacing is not None:
            spacing = view_spacing(batch.spacing, drawn, given=given, size=size).to(device)
        rows.append(model.encode(view, spacing=spacing).float().cpu())
    return torch.stack(rows, 1)


def _own(candidate: Candidate, num: int) -> ViewSettings:
    arguments, default = candidate.arguments, ViewsConfig()
    # DINO's large views have a range of their own.
    scale = arguments.get("global_scale", arguments.get("full_scale", default.full_scale))
    strength = arguments.get("strength", default.strength)
    return ViewSettings(scale=(float(scale[0]), float(scale[1])), strength=float(strength), num=num)


def _at_once(num_pixels: int) -> int:
    return max(1, min(_IMAGES_AT_ONCE, _PIXELS_AT_ONCE // num_pixels))


def _finite(whole: Tensor, views: Tensor) -> Embeddings:
    if not bool(whole.isfinite().all() and views.isfinite().all()):
        raise DataError("the encoder gives embeddings that are no numbers; its training diverged")
    return Embeddings(whole=whole, views=views)
