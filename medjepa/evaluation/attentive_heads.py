"""The network of the attentive probe, many settings side by side in one set of weights.

Legend: G settings, B images, T tokens, D features, A attention heads, E = D / A, C classes.
"""

import math
from collections.abc import Iterable, Iterator, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

_BETAS, _EPSILON = (0.9, 0.999), 1e-8


class AttentiveHeads(nn.Module):
    """G probes that begin alike: cross-attention of a learned query, MLP, linear layer.

    Args:
        num: G.
        width: D.
        num_classes: C.
        num_heads: A; None takes one for each 64 features.
        mlp_ratio: width of the MLP, in D.
        rng: of the first weights, which all G share.
    """

    def __init__(
        self,
        num: int,
        width: int,
        num_classes: int,
        num_heads: int | None = None,
        *,
        mlp_ratio: int = 4,
        rng: torch.Generator,
    ) -> None:
        super().__init__()
        num_heads = num_heads or max(a for a in range(1, max(1, width // 64) + 1) if width % a == 0)
        if width % num_heads:
            raise ValueError(f"{num_heads} attention heads do not divide {width} features")
        inner = width // num_heads

        def weight(*shape: int) -> nn.Parameter:
            drawn = nn.init.trunc_normal_(torch.empty(shape), std=0.02, generator=rng)
            return nn.Parameter(drawn.expand(num, *shape).clone())

        def bias(*shape: int, value: float = 0.0) -> nn.Parameter:
            return nn.Parameter(torch.full((num, *shape), value))

        self.look = weight(num_heads, width)
        self.value = weight(num_heads, width, inner)
        self.query = weight(width)
        self.out, self.out_bias = weight(width, width), bias(width)
        self.scale, self.shift = bias(width, value=1.0), bias(width)
        self.up, self.up_bias = weight(width, mlp_ratio * width), bias(mlp_ratio * width)
        self.down, self.down_bias = weight(mlp_ratio * width, width), bias(width)
        self.linear, self.linear_bias = weight(width, num_classes), bias(num_classes)
        # Tokens are of unit variance: a query of width 1 / sqrt(D) makes scores of width about 1.
        with torch.no_grad():
            self.look.mul_(1 / (0.02 * math.sqrt(width)))

    def forward(self, tokens: Float[Tensor, "b t d"]) -> Float[Tensor, "g b c"]:
        """Scores of every class, for each setting."""
        num, num_heads, width = self.look.shape
        x = F.layer_norm(tokens, (width,))
        scores = x @ self.look.flatten(0, 1).T  # (B, T, G * A)
        pooled = scores.softmax(1).transpose(1, 2) @ x  # (B, G * A, D)
        pooled = pooled.reshape(len(x), num, num_heads, width)
        mixed = torch.einsum("bgad,gade->gbae", pooled, self.value).flatten(2)
        z = self.query[:, None] + mixed @ self.out + self.out_bias[:, None]  # (G, B, D)
        y = F.layer_norm(z, (width,)) * self.scale[:, None] + self.shift[:, None]
        y = F.gelu(y @ self.up + self.up_bias[:, None])
        z = z + y @ self.down + self.down_bias[:, None]
        return z @ self.linear + self.linear_bias[:, None]


def optimise(
    heads: AttentiveHeads,
    batches: Iterable[tuple[Float[Tensor, "b t d"], Int[Tensor, " b"]] | None],
    settings: Sequence[tuple[float, float]],
    *,
    num_warmup: int,
) -> Iterator[None]:
    """Train all settings on the same batches by AdamW; stops (yields) where a batch is None.

    The gradients of the settings do not mix: each has its own weights, and their losses are added.
    Weight decay is on matrices only. Loshchilov and Hutter, arXiv 1711.05101.

    Args:
        heads: G probes.
        batches: tokens and class indices.
        settings: G pairs of learning rate and weight decay.
        num_warmup: steps over which the learning rates rise from 0.
    """
    rate, decay = (
        torch.tensor(column, device=heads.look.device) for column in zip(*settings, strict=True)
    )
    moments = [(torch.zeros_like(p), torch.zeros_like(p)) for p in heads.parameters()]
    step = 0
    for batch in batches:
        if batch is None:
            yield
            continue
        tokens, target = batch
        step += 1
        scores = heads(tokens)
        wanted = target.expand(len(scores), -1)
        loss = F.cross_entropy(scores.flatten(0, 1), wanted.flatten(), reduction="sum")
        heads.zero_grad()
        (loss / len(target)).backward()  # type: ignore[no-untyped-call]
        now = rate * min(1.0, step / max(1, num_warmup))
        with torch.no_grad():
            for parameter, (first, second) in zip(heads.parameters(), moments, strict=True):
                assert parameter.grad is not None
                shape = (-1, *[1] * (parameter.ndim - 1))
                first.lerp_(parameter.grad, 1 - _BETAS[0])
                second.lerp_(parameter.grad**2, 1 - _BETAS[1])
                move = (first / (1 - _BETAS[0] ** step)) / (
                    (second / (1 - _BETAS[1] ** step)).sqrt() + _EPSILON
                )
                if parameter.ndim > 2:
                    move = move + decay.view(shape) * parameter
                parameter.sub_(now.view(shape) * move)
