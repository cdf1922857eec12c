"""Views of an image: crop, flip, grey-scale change; drawn on the CPU, rendered on the device.

A crop with its resize, flip and blur is one matrix per axis (each row a triangle filter over the
source pixels), so a batch of views is two batched matrix products, antialiased, on any device.

Legend: B images, C channels, S source pixels along an axis, O output pixels along it.
"""

import math
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from medjepa.objectives.augmentation import augmentation_per_image

# Rec. 601 luma, and the two colour differences of YIQ: grey has none, so it stays as it is.
_YIQ = torch.tensor([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])

View = TypeVar("View")


@dataclass(frozen=True, kw_only=True)
class GreyLevels:
    """How the grey levels and colours of each of B images are changed, (B,) each."""

    brightness: Float[Tensor, " b"]
    contrast: Float[Tensor, " b"]
    gamma: Float[Tensor, " b"]
    saturation: Float[Tensor, " b"]
    hue: Float[Tensor, " b"]
    blur: Float[Tensor, " b"]
    noise: Float[Tensor, " b"]

    def rows(self: View, rows: slice) -> View:
        """Return the parameters of some of the images."""
        chosen = {name: value[rows] for name, value in vars(self).items()}
        return replace(self, **chosen)  # type: ignore[type-var]


def draw_grey_levels(
    limit: dict[str, Float[Tensor, " b"]], *, strength: float, rng: Generator
) -> dict[str, Float[Tensor, " b"]]:
    """Draw the fields of `GreyLevels` within each image's limits times `strength`.

    Each change is applied with probability 0.8, blur and noise with 0.5.
    """
    num = len(limit["brightness"])

    def symmetric(name: str) -> Tensor:
        offset = (2 * torch.rand(num, generator=rng) - 1) * limit[name] * strength
        return offset * (torch.rand(num, generator=rng) < 0.8)

    def half_the_time(name: str) -> Tensor:
        drawn = torch.rand(num, generator=rng) * limit[name] * strength
        return drawn * (torch.rand(num, generator=rng) < 0.5)

    return {
        "brightness": 1 + symmetric("brightness"),
        "contrast": 1 + symmetric("contrast"),
        "gamma": symmetric("gamma").exp(),
        "saturation": 1 + symmetric("saturation"),
        "hue": symmetric("hue"),
        "blur": half_the_time("blur"),
        "noise": half_the_time("noise"),
    }


@dataclass(frozen=True, kw_only=True)
class ViewParameters(GreyLevels):
    """What was drawn for one view of each of B images; boxes are in shares of the image."""

    top: Float[Tensor, " b"]
    left: Float[Tensor, " b"]
    height: Float[Tensor, " b"]
    width: Float[Tensor, " b"]
    flip_vertical: Float[Tensor, " b"]
    flip_horizontal: Float[Tensor, " b"]
    transpose: Float[Tensor, " b"]


def draw_view(
    modality: Tensor, *, scale: tuple[float, float], rng: Generator, strength: float = 1.0
) -> ViewParameters:
    """Draw one view per image, its area uniform in `scale`, its place uniform.

    The aspect is log-uniform in (3/4, 4/3). `strength` multiplies the grey-scale and colour
    changes.
    """
    num = len(modality)
    limit = augmentation_per_image(modality)

    def uniform() -> Tensor:
        return torch.rand(num, generator=rng)

    area = scale[0] + (scale[1] - scale[0]) * uniform()
    aspect = torch.exp((2 * uniform() - 1) * math.log(4 / 3))
    height = (area / aspect).sqrt().clamp(max=1)
    width = (area * aspect).sqrt().clamp(max=1)
    return ViewParameters(
        top=uniform() * (1 - height),
        left=uniform() * (1 - width),
        height=height,
        width=width,
        flip_vertical=(uniform() < limit["flip_vertical"]).float(),
        flip_horizontal=(uniform() < limit["flip_horizontal"]).float(),
        transpose=(uniform() < limit["transpose"]).float(),
        **draw_grey_levels(limit, strength=strength, rng=rng),
    )


def render_view(
    images: Float[Tensor, "b c h w"],
    view: ViewParameters,
    *,
    size: tuple[int, int],
    noise_rng: Generator | None = None,
) -> Float[Tensor, "b c oh ow"]:
    """Cut, resize and change images in [0, 1] as drawn; stays in [0, 1].

    `noise_rng`, of the images' device, is asked only where some view has noise.
    """
    device = images.device
    rows = resampling_matrix(
        images.shape[2], size[0], view.top, view.height, view.flip_vertical, view.blur, device
    )
    columns = resampling_matrix(
        images.shape[3], size[1], view.left, view.width, view.flip_horizontal, view.blur, device
    )
    rows, columns = rows.to(images.dtype), columns.to(images.dtype)
    out = rows[:, None] @ images @ columns[:, None].transpose(2, 3)
    if size[0] == size[1] and bool(view.transpose.any()):
        out = torch.where(per_image(view.transpose, out) > 0, out.transpose(2, 3), out)
    out = change_intensity(out, view)
    if bool(view.noise.any()):
        normal = torch.randn(out.shape, generator=noise_rng, device=device)
        out = (out + normal * per_image(view.noise, out)).clamp(0, 1)
    return out


def resampling_matrix(
    num_source: int,
    num_output: int,
    start: Float[Tensor, " b"],
    length: Float[Tensor, " b"],
    flip: Float[Tensor, " b"],
    blur: Float[Tensor, " b"],
    device: torch.device,
) -> Float[Tensor, "b o s"]:
    """Build the matrix that cuts [start, start + length) (shares) out of an axis and resizes it.

    Rows are triangle filters, as wide as a source pixel when enlarging and as an output pixel when
    reducing (so that reducing does not alias), wider by the blur; each row sums to 1.
    """
    start, length, flip, blur = (v.to(device)[:, None] for v in (start, length, flip, blur))
    step = length * num_source / num_output  # source pixels per output pixel
    output = torch.arange(num_output, device=device, dtype=torch.float32) + 0.5
    output = torch.where(flip > 0, num_output - output, output)
    centre = start * num_source + output * step - 0.5
    reach = step.clamp(min=1) * (1 + 2 * blur)
    source = torch.arange(num_source, device=device, dtype=torch.float32)
    weight = (1 - (source - centre[..., None]).abs() / reach[..., None]).clamp(min=0)
    return weight / weight.sum(-1, keepdim=True)


def change_intensity(
    images: Float[Tensor, "b c *spatial"], view: GreyLevels
) -> Float[Tensor, "b c *spatial"]:
    """Apply brightness, contrast, gamma and (three channels) saturation and hue, within [0, 1]."""
    mean = images.mean(dim=tuple(range(1, images.ndim)), keepdim=True)
    contrast = per_image(view.contrast, images)
    # one multiply-add: brightness * (contrast * (x - mean) + mean)
    gain = per_image(view.brightness, images)
    out = torch.addcmul(gain * mean * (1 - contrast), images, gain * contrast)
    if images.shape[1] == 3 and bool((view.saturation != 1).any() or (view.hue != 0).any()):
        out = _change_colour(out, view)
    out = out.clamp(0, 1)
    if bool((view.gamma != 1).any()):
        out = out ** per_image(view.gamma, images)
    return out


def _change_colour(images: Tensor, view: GreyLevels) -> Tensor:
    """Scale and rotate the colour difference plane, one 3 x 3 matrix per image."""
    angle = 2 * math.pi * view.hue
    cos, sin = view.saturation * angle.cos(), view.saturation * angle.sin()
    one, zero = torch.ones_like(cos), torch.zeros_like(cos)
    turn = torch.stack([one, zero, zero, zero, cos, -sin, zero, sin, cos], -1).view(-1, 3, 3)
    matrix = (torch.linalg.inv(_YIQ) @ turn @ _YIQ).to(images)
    return torch.einsum("bij,bj...->bi...", matrix, images)


def per_image(values: Float[Tensor, " b"], images: Tensor) -> Tensor:
    """Shape one number per image (B,) so that it multiplies images (B, C, *spatial)."""
    return values.to(images.device).view(-1, *[1] * (images.ndim - 1))
