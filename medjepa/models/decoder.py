"""From an encoder's tokens back to pixels or voxels.

Legend: B images, C channels, N patches, D features, K outputs.
"""

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medjepa.models.encoder import initialise

_GROUPS = 4
Shape = tuple[int, ...]


class LinearDecoder(nn.Module):
    """One linear map from a token to the scores of all voxels of its patch."""

    def __init__(self, num_features: int, num_outputs: int, patch_size: Sequence[int]) -> None:
        super().__init__()
        self.patch_size = tuple(patch_size)
        self.map = nn.Linear(num_features, num_outputs * math.prod(self.patch_size))
        self.apply(initialise)

    def forward(
        self, tokens: Float[Tensor, "b n d"], pixels: Float[Tensor, "b c *spatial"]
    ) -> Float[Tensor, "b k *spatial"]:
        """Score the voxels; of `pixels` only the size is used."""
        return unpatchify(self.map(tokens), self.patch_size, pixels.shape[2:])


class LightDecoder(nn.Module):
    """Tokens are raised in steps to the image's size; the image joins at the last two of them.

    Each step is the patch's next factor (2 while it is even), so that an axis with a shorter patch
    is raised less often, and never at the finest steps before the others. Most of the work is done
    one step below full size, at `width` channels; at full size there are a quarter as many.
    Source: UNETR (Hatamizadeh et al., arXiv 2103.10504), with far fewer channels.
    """

    def __init__(
        self,
        num_features: int,
        in_channels: int,
        num_outputs: int,
        patch_size: Sequence[int],
        *,
        width: int = 32,
    ) -> None:
        super().__init__()
        if width < 1 or width % (4 * _GROUPS):
            raise ValueError(f"width must be a multiple of {4 * _GROUPS}, got {width}")
        num_axes, steps = len(patch_size), steps_of(patch_size)
        self.patch_size, fine = tuple(patch_size), width // 4
        self.join = nn.Linear(num_features, 2 * width)
        *coarse, finest = steps
        self.raises = nn.ModuleList(
            _raise(2 * width if number == 0 else width, width, step)
            for number, step in enumerate(coarse)
        )
        below = width if coarse else 2 * width
        self.stem = nn.Sequential(
            _shrink(in_channels, width // 2, finest), _block(width // 2, width // 2, num_axes)
        )
        self.mix = nn.Sequential(
            _block(below + width // 2, width, num_axes), _block(width, width, num_axes)
        )
        self.last = _raise(width, fine, finest)
        self.refine = _block(fine + in_channels, fine, num_axes)
        self.score = _convolution(num_axes)(fine, num_outputs, 1)

    def forward(
        self, tokens: Float[Tensor, "b n d"], pixels: Float[Tensor, "b c *spatial"]
    ) -> Float[Tensor, "b k *spatial"]:
        """Score the voxels of `pixels`, which the encoder saw as they are given here."""
        grid = [side // p for side, p in zip(pixels.shape[2:], self.patch_size, strict=True)]
        raised = self.join(tokens).transpose(1, 2).unflatten(2, grid)
        # Convolutions on CPU take several times as long with channels first.
        raised, pixels = _channels_last(raised), _channels_last(pixels)
        for step in self.raises:
            raised = step(raised)
        raised = self.last(self.mix(torch.cat([raised, self.stem(pixels)], 1)))
        return self.score(self.refine(torch.cat([raised, pixels], 1)))  # type: ignore[no-any-return]


def steps_of(patch_size: Sequence[int]) -> list[Shape]:
    """Split a patch into factors per axis, coarsest first; their product is the patch.

    The largest come first, and an axis with fewer of them has 1 at the finest steps: slices that
    are far apart are not raised where their neighbours' detail is.

    >>> steps_of((4, 12))
    [(2, 3), (2, 2), (1, 2)]
    """
    factors = [_factors(side) for side in patch_size]
    num_steps = max(1, *(len(found) for found in factors))
    padded = [found + [1] * (num_steps - len(found)) for found in factors]
    return [tuple(step) for step in zip(*padded, strict=True)]


def unpatchify(
    rows: Float[Tensor, "b n p"], patch: Sequence[int], spatial: Sequence[int]
) -> Float[Tensor, "b k *spatial"]:
    """Put patches back in their places; `patchify` turned round."""
    num_axes = len(patch)
    grid = [side // p for side, p in zip(spatial, patch, strict=True)]
    x = rows.reshape(len(rows), *grid, -1, *patch)
    places = [n for axis in range(num_axes) for n in (1 + axis, 2 + num_axes + axis)]
    return x.permute(0, 1 + num_axes, *places).reshape(len(rows), -1, *spatial)


def _factors(side: int) -> list[int]:
    """Prime factors, largest first."""
    found, divisor = [], 2
    while side > 1:
        while side % divisor == 0:
            found.append(divisor)
            side //= divisor
        divisor += 1
    return found[::-1]


def _convolution(num_axes: int) -> Callable[..., nn.Module]:
    return {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[num_axes]


def _raise(num_in: int, num_out: int, step: Shape) -> nn.Sequential:
    transposed: Callable[..., nn.Module] = {
        1: nn.ConvTranspose1d,
        2: nn.ConvTranspose2d,
        3: nn.ConvTranspose3d,
    }[len(step)]
    return nn.Sequential(
        transposed(num_in, num_out, step, step), nn.GroupNorm(_GROUPS, num_out), nn.GELU()
    )


def _block(num_in: int, num_out: int, num_axes: int) -> nn.Sequential:
    return nn.Sequential(
        _convolution(num_axes)(num_in, num_out, 3, padding=1, bias=False),
        nn.GroupNorm(_GROUPS, num_out),
        nn.GELU(),
    )


def _shrink(num_in: int, num_out: int, step: Shape) -> nn.Sequential:
    """One output for each `step` of voxels, seen with the voxels around them."""
    kernel = tuple(max(length, 3) for length in step)
    padding = tuple(int(length < 3) for length in step)
    return nn.Sequential(
        _convolution(len(step))(num_in, num_out, kernel, step, padding, bias=False),
        nn.GroupNorm(_GROUPS, num_out),
        nn.GELU(),
    )


def _channels_last(x: Tensor) -> Tensor:
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    kind = formats.get(x.ndim)
    return x if kind is None else x.contiguous(memory_format=kind)
