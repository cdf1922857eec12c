"""From images to volumes: a trained 2-D encoder as the beginning of a 3-D one."""

from collections.abc import Mapping

import torch
from torch import Tensor

from medjepa.models.image_model import ImageModel
from medjepa.models.vjepa import VJEPA

_BIAS = "patch_embedding.projection.bias"


@torch.no_grad()
def inflate(images: ImageModel, volumes: VJEPA) -> VJEPA:
    """Give a model of volumes the encoder of a model of images; returns `volumes`.

    A patch's weights are repeated along the first axis and divided by its depth, so that a volume
    of equal slices gives the tokens its slices gave, but for their positions. Three channels become
    one that gives what grey as colour gave; otherwise their number must agree. Positions are made
    anew; predictor and projector stay as they are.
    Source: inflation of Carreira and Zisserman, arXiv 1705.07750, section 3.

    Raises:
        ValueError: the sizes of the encoders, or of a patch's last two sides, differ.
    """
    given = images.encoder.state_dict()
    wanted = volumes.encoder.state_dict()
    depth, *sides = volumes.encoder.patch_embedding.patch_size
    if tuple(sides) != images.encoder.patch_embedding.patch_size:
        raise ValueError(
            f"patches of {images.encoder.patch_embedding.patch_size} cannot become patches whose "
            f"slices are {tuple(sides)}"
        )
    name = "patch_embedding.projection.weight"
    in_channels = images.encoder.patch_embedding.in_channels
    out_channels = volumes.encoder.patch_embedding.in_channels
    planes = given[name].unflatten(1, (in_channels, 1, *sides))
    mean, std = images.pixel_mean, images.pixel_std
    bias = given[_BIAS]
    if in_channels == 3 and out_channels == 1:
        # Each channel is standardised by itself: sum (x - m_c) w_c / s_c, in terms of one m and s.
        mean, std = mean.mean(0, keepdim=True), std.mean(0, keepdim=True)
        shape = (1, 3, *[1] * (planes.ndim - 2))
        ratio = std / images.pixel_std
        shift = (mean - images.pixel_mean) / images.pixel_std
        bias = bias + (planes * shift.view(shape)).flatten(1).sum(1)
        planes = (planes * ratio.view(shape)).sum(1, keepdim=True)
    elif in_channels != out_channels:
        raise ValueError(
            f"{in_channels} channels cannot become {out_channels}; give both encoders the same "
            "model.in_channels (3 can become 1)"
        )
    repeated = planes.expand(-1, -1, depth, *[-1] * len(sides)) / depth
    inflated = {**given, name: repeated.flatten(1), _BIAS: bias}
    _check_shapes(inflated, wanted)
    volumes.encoder.load_state_dict({**wanted, **{k: inflated[k] for k in _shared(wanted, given)}})
    volumes.set_pixel_statistics(mean, std)
    return volumes


def _shared(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    return [name for name in wanted if name in given]


def _check_shapes(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    missing = [n for n in wanted if n not in given and n != "reference_spacing"]
    missing += [n for n in given if n not in wanted]
    differ = [n for n in _shared(wanted, given) if wanted[n].shape != given[n].shape]
    if missing or differ:
        raise ValueError(
            "the encoders differ in size: " + ", ".join([*missing, *differ][:5]) + "; give both "
            "the same embed_dim, depth and num_heads"
        )
