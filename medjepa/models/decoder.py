"""From an encoder's tokens back to pixels or voxels.

Legend: B images, C channels, N patches, D features, K outputs.
"""

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medjepa.models.encoder import initialise

_PER_GROUP = 4
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
    """A small U whose bottom are the tokens: raised step by step, they meet the image's detail.

    Each step is the patch's next factor (2 while it is even); an axis with a shorter patch is
    shrunk less often, and not at the finest step. The image goes down to one step above the tokens'
    grid and no further: what is far away is known from the tokens alone, so that the encoder, not
    the decoder, has to learn what an organ looks like. `width` channels are used one step below
    full size and twice as many at each further step, up to four times. At full size, where most of
    the time goes, a quarter of `width` is left and one convolution, whose output is added to what
    the step below says.
    Source: UNETR (Hatamizadeh et al., arXiv 2103.10504), with far fewer channels, residual units
    and a last step as in MONAI's U-Net, and tokens that enter at their own grid alone.
    """

    def __init__(
        self,
        num_features: int,
        in_channels: int,
        num_outputs: int,
        patch_size: Sequence[int],
        *,
        width: int = 16,
    ) -> None:
        super().__init__()
        if width < 1 or width % (4 * _PER_GROUP):
            raise ValueError(f"width must be a multiple of {4 * _PER_GROUP}, got {width}")
        num_axes, steps = len(patch_size), steps_of(patch_size)[::-1]
        self.patch_size, fine, same = tuple(patch_size), width // 4, (1,) * num_axes
        widths = [width * min(2**level, 4) for level in range(len(steps))]
        self.shrink = nn.ModuleList(
            _Unit(before, after, step)
            for before, after, step in zip([in_channels, *widths], widths[:-1], steps, strict=False)
        )
        joined = 2 * widths[-1]
        self.join = nn.Sequential(nn.Linear(num_features, joined), nn.LayerNorm(joined))
        self.mix = _Unit(joined, widths[-1], same)
        pairs = list(zip(widths[1:], widths, steps[1:], strict=False))[::-1]
        self.raises = nn.ModuleList(_raise(coarse, finer, step) for coarse, finer, step in pairs)
        # One convolution where there are most voxels, two where they cost little.
        self.meet = nn.ModuleList(
            _Unit(2 * finer, finer, same, is_single=number == len(pairs) - 1)
            for number, (_, finer, _) in enumerate(pairs)
        )
        self.last = _raise(width, fine, steps[0], overlaps=True)
        self.score = _convolution(num_axes)(fine + in_channels, num_outputs, 3, padding=1)
        self.score_below = _transposed(num_axes)(width, num_outputs, steps[0], steps[0])

    def forward(
        self, tokens: Float[Tensor, "b n d"], pixels: Float[Tensor, "b c *spatial"]
    ) -> Float[Tensor, "b k *spatial"]:
        """Score the voxels of `pixels`, which the encoder saw as they are given here."""
        grid = [side // p for side, p in zip(pixels.shape[2:], self.patch_size, strict=True)]
        # Convolutions on CPU take several times as long with channels first.
        pixels = _channels_last(pixels)
        levels = [pixels]
        for shrink in self.shrink:
            levels.append(shrink(levels[-1]))
        x = self.mix(_channels_last(self.join(tokens).transpose(1, 2).unflatten(2, grid)))
        for raised, meet, beside in zip(self.raises, self.meet, levels[:0:-1], strict=True):
            x = meet(torch.cat([raised(x), beside], 1))
        full = torch.cat([self.last(x), pixels], 1)
        return self.score(full) + self.score_below(x)  # type: ignore[no-any-return]


class _Unit(nn.Module):
    """A convolution, which may shrink, and one that is added to it; each with its norm."""

    def __init__(self, num_in: int, num_out: int, step: Shape, *, is_single: bool = False) -> None:
        super().__init__()
        kernel = tuple(max(length, 3) for length in step)
        padding = tuple(int(length < 3) for length in step)
        convolution = _convolution(len(step))
        self.first = nn.Sequential(
            convolution(num_in, num_out, kernel, step, padding, bias=False),
            _norm(num_out),
            _activation(),
        )
        self.second: nn.Module | None = None
        self.activation = _activation()
        if not is_single:
            self.second = nn.Sequential(
                convolution(num_out, num_out, 3, padding=1, bias=False), _norm(num_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return x if self.second is None else self.activation(x + self.second(x))


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


def _transposed(num_axes: int) -> Callable[..., nn.Module]:
    return {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}[num_axes]


def _norm(num_channels: int) -> nn.Module:
    return nn.GroupNorm(num_channels // _PER_GROUP, num_channels)


def _activation() -> nn.Module:
    # A GELU of this many voxels takes as long as a convolution, forwards and backwards.
    return nn.LeakyReLU(0.1, inplace=True)


def _raise(num_in: int, num_out: int, step: Shape, *, overlaps: bool = False) -> nn.Sequential:
    """Enlarge by `step`; where it overlaps, neighbours share a voxel of each axis that grows."""
    shared = tuple(int(overlaps and length > 1) for length in step)
    kernel = tuple(length + more for length, more in zip(step, shared, strict=True))
    # Padding cuts off what reaches beyond the first voxel, output padding adds it at the last one:
    # the size is `step` times as large, as without overlap.
    enlarge = _transposed(len(step))(num_in, num_out, kernel, step, shared, shared)
    return nn.Sequential(enlarge, _norm(num_out), _activation())


def _channels_last(x: Tensor) -> Tensor:
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    kind = formats.get(x.ndim)
    return x if kind is None else x.contiguous(memory_format=kind)
