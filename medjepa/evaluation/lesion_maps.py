"""Heat maps of what is unusual in an image, from a frozen encoder and no label of any lesion.

A patch is as hot as its token is far from the nearest token of normal training images, as in
PatchCore (Roth et al., arXiv 2106.08265), here with a random instead of a greedy choice of the
normal tokens that are kept. The attention that a patch receives is there to compare with.

Legend: B images, C channels, N patches, D features, M kept tokens of normal images.
"""

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from medjepa.models.encoder import Attention, ViTEncoder, rotate

AROUND = 3
"""Patches along each axis over which tokens are averaged, as in PatchCore."""
_CELLS_AT_ONCE = 50_000_000


class NormalPatches:
    """Tokens of normal images, with which those of other images are compared.

    Features are scaled to unit deviation over the kept tokens, so that none outweighs the others.
    """

    def __init__(self, tokens: Float[Tensor, "m d"]) -> None:
        if len(tokens) < 2:
            raise ValueError(f"two tokens of normal images or more are needed, got {len(tokens)}")
        self.mean = tokens.mean(0)
        self.scale = tokens.std(0).clamp(min=1e-6)
        self.kept = (tokens - self.mean) / self.scale

    @classmethod
    def of(
        cls,
        batches: Iterable[Float[Tensor, "b n d"]],
        *,
        most: int = 20_000,
        seed: int = 0,
    ) -> "NormalPatches":
        """Keep `most` tokens drawn at random from all of them.

        Args:
            batches: tokens of normal images of the training part; of no image that is scored.
            most: M.
            seed: of the draw.
        """
        everything = torch.cat([batch.flatten(0, 1).float() for batch in batches])
        rng = torch.Generator().manual_seed(seed)
        chosen = torch.randperm(len(everything), generator=rng)[:most]
        return cls(everything[chosen.sort().values])

    def distance(
        self, tokens: Float[Tensor, "b n d"], *, neighbours: int = 1
    ) -> Float[Tensor, "b n"]:
        """Mean distance of each token to its nearest normal ones."""
        scaled = ((tokens.float() - self.mean) / self.scale).flatten(0, 1)
        step = max(1, _CELLS_AT_ONCE // len(self.kept))
        near = [
            torch.cdist(part, self.kept).topk(neighbours, largest=False).values.mean(1)
            for part in scaled.split(step)  # type: ignore[no-untyped-call]
        ]
        return torch.cat(near).view(tokens.shape[:2])


def patch_tokens(
    encoder: ViTEncoder, pixels: Float[Tensor, "b c h w"], *, depths: Sequence[int] | None = None
) -> Float[Tensor, "b n d"]:
    """Tokens of some blocks side by side, averaged with their neighbours (`AROUND`).

    Args:
        encoder: frozen, in evaluation mode.
        pixels: standardised images.
        depths: blocks, 1 the first; None takes two thirds and the end of the encoder.
    """
    last = len(encoder.blocks)
    chosen = tuple(depths or sorted({-(-2 * last // 3), last}))
    with torch.no_grad():
        found = torch.cat(encoder.features(pixels, chosen), -1)
    grid = grid_of(encoder, pixels)
    planes = found.transpose(1, 2).unflatten(2, grid)  # type: ignore[no-untyped-call]
    mean = F.avg_pool2d(planes, AROUND, 1, AROUND // 2, count_include_pad=False)
    return mean.flatten(2).transpose(1, 2)


def received_attention(
    encoder: ViTEncoder, pixels: Float[Tensor, "b c h w"]
) -> Float[Tensor, "b n"]:
    """Attention that each patch gets in the last block, mean over heads and asking patches.

    It sums to 1 over the patches of an image.
    """
    caught: list[Tensor] = []

    def catch(module: Attention, given: tuple[Tensor | None, ...]) -> None:
        x = given[0]
        assert isinstance(x, Tensor)
        q, k, _ = module.qkv(x).unflatten(-1, (3, module.num_heads, -1)).permute(2, 0, 3, 1, 4)
        turned = given[1] if len(given) > 1 else None
        if turned is not None:
            q, k = rotate(q, turned), rotate(k, turned)
        weights = (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).softmax(-1)
        caught.append(weights.mean((1, 2)))

    module = encoder.blocks[-1].attention
    assert isinstance(module, nn.Module)
    handle = module.register_forward_pre_hook(catch)
    try:
        with torch.no_grad():
            encoder(pixels)
    finally:
        handle.remove()
    return caught[0]


def grid_of(encoder: ViTEncoder, pixels: Float[Tensor, "b c h w"]) -> tuple[int, int]:
    """Patches along (y, x)."""
    patch = encoder.patch_embedding.patch_size
    return int(pixels.shape[2]) // int(patch[0]), int(pixels.shape[3]) // int(patch[1])
