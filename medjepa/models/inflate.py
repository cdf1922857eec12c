"""From images to volumes: a trained 2-D encoder as the beginning of a 3-D one."""

from collections.abc import Mapping

import torch
from torch import Tensor

from medjepa.models.image_model import ImageModel
from medjepa.models.vjepa import VJEPA


@torch.no_grad()
def inflate(images: ImageModel, volumes: VJEPA) -> VJEPA:
    """Give a model of volumes the encoder of a model of images; returns `volumes`.

    A patch's weights are repeated along the first axis and divided by its depth, so that a volume
    of equal slices gives the tokens its slices gave, but for their positions. Three channels meet
    one as their sum does; otherwise their number must agree. Positions are made anew; predictor and
    projector stay as they are.
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
    if in_channels == 3 and out_channels == 1:
        planes = planes.sum(1, keepdim=True)
    elif in_channels != out_channels:
        raise ValueError(f"{in_channels} channels cannot become {out_channels}")
    repeated = planes.expand(-1, -1, depth, *[-1] * len(sides)) / depth
    inflated = {**given, name: repeated.flatten(1)}
    _check_shapes(inflated, wanted)
    volumes.encoder.load_state_dict({**wanted, **{k: inflated[k] for k in _shared(wanted, given)}})
    one = in_channels != out_channels
    mean, std = images.pixel_mean, images.pixel_std
    volumes.set_pixel_statistics(
        mean.mean(0, keepdim=True) if one else mean, std.mean(0, keepdim=True) if one else std
    )
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
