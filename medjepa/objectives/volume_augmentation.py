"""Images and their label maps, changed together: turned, scaled, shifted, other grey levels.

What is drawn is drawn on the CPU and rendered on the device, a whole batch at once, in 2-D and 3-D.

Legend: B images, C channels, A axes, R regions.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Integer
from torch import Generator, Tensor

from medjepa.objectives.augmentation import augmentation_per_image
from medjepa.objectives.views import GreyLevels, change_intensity, draw_grey_levels, per_image


@dataclass(frozen=True, kw_only=True)
class Pose:
    """Greatest change of place, each drawn uniformly from +- this.

    Attributes:
        degrees: of turning about each axis.
        log_scale: of the size, the same along all axes.
        log_stretch: of each axis by itself, against that.
        shift: of each axis, as a share of its length.
    """

    degrees: float = 12.0
    log_scale: float = 0.15
    log_stretch: float = 0.07
    shift: float = 0.08


@dataclass(frozen=True, kw_only=True)
class LabelledViewParameters(GreyLevels):
    """What was drawn for each of B images.

    `matrix` (B, A, A + 1) takes places of the view to those of the image, axes in order (z, y, x),
    in shares of half the side from the middle; `in_voxels` (B, A, A) is its linear part in voxels.
    """

    matrix: Float[Tensor, "b a _"]
    in_voxels: Float[Tensor, "b a a"]


def draw_labelled_view(
    modality: Int[Tensor, " b"],
    spatial: Sequence[int],
    *,
    rng: Generator,
    pose: Pose | None = None,
    strength: float = 1.0,
) -> LabelledViewParameters:
    """Draw one view per image of the size `spatial`; `strength` multiplies every change.

    Flips and grey levels keep to what each kind of image allows (`AUGMENTATIONS`).
    """
    pose = pose or Pose()
    num, num_axes = len(modality), len(spatial)
    limit = augmentation_per_image(modality)

    def symmetric(most: float, *shape: int) -> Tensor:
        return (2 * torch.rand(num, *shape, generator=rng) - 1) * most * strength

    turn = torch.eye(num_axes).repeat(num, 1, 1)
    for first in range(num_axes):
        for second in range(first + 1, num_axes):
            angle = symmetric(math.radians(pose.degrees))
            one = torch.eye(num_axes).repeat(num, 1, 1)
            one[:, first, first] = one[:, second, second] = angle.cos()
            one[:, first, second], one[:, second, first] = -angle.sin(), angle.sin()
            turn = turn @ one
    factor = (symmetric(pose.log_scale, 1) + symmetric(pose.log_stretch, num_axes)).exp()
    flipped = torch.zeros(num, num_axes)
    flipped[:, -1], flipped[:, -2] = limit["flip_horizontal"], limit["flip_vertical"]
    sign = torch.where(torch.rand(num, num_axes, generator=rng) < flipped, -1.0, 1.0)
    # Turned in voxels, as the places are shares of sides that differ.
    half = torch.tensor([float(side) for side in spatial])
    in_voxels = turn * (factor * sign)[:, None]
    linear = in_voxels * half / half[:, None]
    shift = symmetric(2 * pose.shift, num_axes)
    return LabelledViewParameters(
        matrix=torch.cat([linear, shift[..., None]], -1),
        in_voxels=in_voxels,
        **draw_grey_levels(limit, strength=strength, rng=rng),
    )


def labelled_view_spacing(
    spacing: Float[Tensor, "b a"], view: LabelledViewParameters
) -> Float[Tensor, "b a"]:
    """Return how far apart in the image, in mm, neighbours along each axis of the view lie.

    An axis of the image whose spacing is unknown (NaN) stays unknown, and adds no length to others.
    """
    steps = view.in_voxels.to(spacing) * spacing.nan_to_num(nan=0.0)[..., None]
    return torch.where(spacing.isnan(), spacing, steps.square().sum(1).sqrt())


def render_labelled_view(
    images: Float[Tensor, "b c *spatial"],
    labels: Integer[Tensor, "b ..."],
    view: LabelledViewParameters,
    *,
    noise_rng: Generator | None = None,
) -> tuple[Float[Tensor, "b c *spatial"], Integer[Tensor, "b ..."]]:
    """Render images in [0, 1] and their labels as drawn; what comes from outside is 0.

    `labels` are (B, *spatial) class numbers or (B, R, *spatial) masks, of which the nearest is
    taken. `noise_rng`, of the images' device, is asked only where some view has noise.
    """
    # torch counts axes from the last.
    linear, shift = view.matrix[..., :-1].flip(1, 2), view.matrix[..., -1:].flip(1)
    matrix = torch.cat([linear, shift], -1).to(images)
    grid = F.affine_grid(matrix, [len(images), 1, *images.shape[2:]], align_corners=False)
    out = change_intensity(F.grid_sample(images, grid, align_corners=False), view)
    if bool(view.noise.any()):
        normal = torch.randn(out.shape, generator=noise_rng, device=out.device)
        out = (out + normal * per_image(view.noise, out)).clamp(0, 1)
    has_regions = labels.ndim == images.ndim
    maps = labels if has_regions else labels[:, None]
    moved = F.grid_sample(maps.to(out), grid, mode="nearest", align_corners=False).to(labels.dtype)
    return out, moved if has_regions else moved[:, 0]
