"""Views of a volume or a clip: crop, other speed, flip, grey-scale change.

As in two dimensions (`views.py`), a crop with its resize, flip and blur is one matrix per axis, so
a batch of views is three batched matrix products, antialiased, on any device. Along time no frame
is blended with another: its matrix picks frames.

Legend: B volumes, C channels, A = 3 axes (z, y, x or t, y, x).
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from medjepa.objectives.augmentation import augmentation_per_image
from medjepa.objectives.views import (
    GreyLevels,
    change_intensity,
    draw_grey_levels,
    per_image,
    resampling_matrix,
)

ASPECT = 1.25
"""Greatest stretch of a volume's axis against the mean of its axes: anatomy is not squeezed."""
SPEED = 2.0
"""Clips are shown at 1 / SPEED to SPEED times their own speed."""


@dataclass(frozen=True, kw_only=True)
class VolumeViewParameters(GreyLevels):
    """What was drawn for one view of each of B volumes; boxes are in shares of the volume."""

    start: Float[Tensor, "b 3"]
    length: Float[Tensor, "b 3"]
    flip: Float[Tensor, "b 3"]


def draw_volume_view(
    modality: Tensor,
    *,
    scale: tuple[float, float],
    rng: Generator,
    strength: float = 1.0,
    frames: tuple[int, int] | None = None,
) -> VolumeViewParameters:
    """Draw one view per volume, its share of the volume uniform in `scale`, its place uniform.

    With `frames`, (given, wanted), the first axis is time: `scale` is then the share of the frame's
    area, and the clip is cut out at another time and speed, log-uniform in 1/2 to 2 times its own
    as far as the given frames reach. Grey levels change as in two dimensions.
    """
    num = len(modality)
    limit = augmentation_per_image(modality)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(num, *shape, generator=rng)

    share = scale[0] + (scale[1] - scale[0]) * uniform(1)
    stretch = (2 * uniform(3) - 1) * math.log(ASPECT)
    if frames is None:
        stretch = stretch - stretch.mean(-1, keepdim=True)  # keeps the volume
        length = (share ** (1 / 3) * stretch.exp()).clamp(max=1)
    else:
        given, wanted = frames
        stretch[:, 0] = -stretch[:, 1:].sum(-1)
        inside = share.sqrt() * (stretch[:, 1:] - stretch[:, 1:].mean(-1, keepdim=True)).exp()
        speed = torch.exp((2 * uniform(1) - 1) * math.log(SPEED))
        length = torch.cat([speed * wanted / given, inside], dim=1).clamp(max=1)
    flip = torch.stack([torch.zeros(num), limit["flip_vertical"], limit["flip_horizontal"]], dim=1)
    return VolumeViewParameters(
        start=uniform(3) * (1 - length),
        length=length,
        flip=(uniform(3) < flip).float(),
        **draw_grey_levels(limit, strength=strength, rng=rng),
    )


def render_volume_view(
    volumes: Float[Tensor, "b c *spatial"],
    view: VolumeViewParameters,
    *,
    size: tuple[int, int, int],
    is_clip: bool = False,
    noise_rng: Generator | None = None,
) -> Float[Tensor, "b c *size"]:
    """Cut, resize and change volumes in [0, 1] as drawn; stays in [0, 1].

    `is_clip` says that the first axis is time. `noise_rng`, of the volumes' device, is asked only
    where some view has noise.
    """
    device, none = volumes.device, torch.zeros(len(volumes))
    matrices = []
    for axis in range(3):
        place = (view.start[:, axis], view.length[:, axis])
        if axis == 0 and is_clip:
            matrices.append(frame_matrix(volumes.shape[2], size[0], *place, device))
            continue
        blur = view.blur if axis else none
        flip = view.flip[:, axis]
        matrices.append(
            resampling_matrix(volumes.shape[2 + axis], size[axis], *place, flip, blur, device)
        )
    first, second, third = (matrix.to(volumes.dtype) for matrix in matrices)
    # Frames are picked, or slices mixed, first: what is left out costs nothing afterwards.
    out = first[:, None] @ volumes.flatten(3)
    out = out.reshape(*out.shape[:3], *volumes.shape[3:])
    out = second[:, None, None] @ out @ third[:, None, None].transpose(-1, -2)
    out = change_intensity(out, view)
    if bool(view.noise.any()):
        normal = torch.randn(out.shape, generator=noise_rng, device=device)
        out = (out + normal * per_image(view.noise, out)).clamp(0, 1)
    return out


def view_spacing(
    spacing: Float[Tensor, "b 3"],
    view: VolumeViewParameters,
    *,
    given: tuple[int, int, int],
    size: tuple[int, int, int],
) -> Float[Tensor, "b 3"]:
    """Return the spacing (mm, s) of a view's voxels: `given` voxels were resized to `size`."""
    ratio = torch.tensor(given, dtype=torch.float32) / torch.tensor(size, dtype=torch.float32)
    return spacing * (view.length * ratio).to(spacing.device)


def frame_matrix(
    num_source: int,
    num_output: int,
    start: Float[Tensor, " b"],
    length: Float[Tensor, " b"],
    device: torch.device,
) -> Float[Tensor, "b o s"]:
    """Build the matrix that picks, for each output frame, the nearest source frame.

    Output frame i stands at `start` + i / `num_output` * `length`, in shares of the source.
    """
    steps = torch.arange(num_output, dtype=torch.float32) / num_output
    place = (start[:, None] + steps * length[:, None]) * num_source
    index = place.round().long().clamp(0, num_source - 1)
    return torch.nn.functional.one_hot(index, num_source).float().to(device)
