"""SIGReg: how far embeddings are from an isotropic Gaussian, by testing random projections.

A distribution is N(0, I) exactly when each of its one-dimensional projections is N(0, 1)
(Cramer-Wold), and each projection is tested by its characteristic function (Epps and Pulley 1983).
Source: Balestriero and LeCun, LeJEPA, arXiv 2511.08544.

Legend: N samples, D features, V views or tokens, K directions, J knots.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from medjepa.objectives.distributed import sum_in_place, world


def epps_pulley(
    x: Float[Tensor, "n k"], *, num_knots: int = 17, t_max: float = 3.0
) -> Float[Tensor, " k"]:
    r"""Test each column of `x` against N(0, 1); the statistic of each column, times N.

    `T = N * sum_j w_j ((mean_n cos(t_j x_n) - phi_j)^2 + (mean_n sin(t_j x_n))^2)` with
    `phi(t) = exp(-t^2 / 2)`, `num_knots` knots on [0, t_max], and trapezoid weights times phi,
    doubled because the integrand over [-t_max, t_max] is even. The data are not standardised.
    Under N(0, 1) its mean is 1.0525 for every N. With several processes N and the means are those
    of all of them. Lower precisions are raised to float32, float64 stays.

    Raises:
        ValueError: fewer than 2 knots, or `t_max` not above 0.
    """
    if num_knots < 2 or not t_max > 0:
        raise ValueError(f"need num_knots >= 2 and t_max > 0, got {num_knots} and {t_max}")
    statistic: Tensor = _EppsPulley.apply(  # type: ignore[no-untyped-call]
        at_least_float32(x), num_knots, float(t_max)
    )
    return statistic


def sigreg(z: Float[Tensor, "n d"], directions: Float[Tensor, "d k"]) -> Float[Tensor, ""]:
    """Average the Epps-Pulley statistic of `z` projected on each unit direction.

    The raw statistic, times N and without a weight: at the optimum about 1, whatever N.
    """
    return sigreg_per_view(z.unsqueeze(1), directions)


def sigreg_per_view(
    z: Float[Tensor, "n v d"], directions: Float[Tensor, "d k"]
) -> Float[Tensor, ""]:
    """Test every view (or token position) for itself over the N images, and average.

    Pooling the views into one sample of N * V would punish right embeddings: views of one image are
    meant to agree, so they are not independent samples.
    """
    # No autocast: bfloat16 keeps 3 digits, and we subtract means that agree to 3.
    with torch.autocast(z.device.type, enabled=False):
        z = at_least_float32(z)
        projected = z @ directions.to(z)  # (N, V, K)
        per_direction: Tensor = epps_pulley(projected.flatten(1))
        return per_direction.mean()


def unit_directions(
    num_features: int, num_directions: int, *, rng: torch.Generator
) -> Float[Tensor, "d k"]:
    """Draw directions uniformly from the unit sphere, one per column."""
    directions = torch.randn(num_features, num_directions, generator=rng)
    return F.normalize(directions, dim=0)


class _EppsPulley(torch.autograd.Function):
    """The statistic without an (N, K, J) tensor: exp(i t_j x) is the j-th power of exp(i dt x).

    Forward multiplies powers up and keeps only their means; backward is a polynomial in exp(i dt x)
    with one complex coefficient per knot and column, evaluated by Horner's rule.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, num_knots: int, t_max: float) -> Tensor:  # noqa: ANN401
        step = t_max / (num_knots - 1)
        base = torch.polar(torch.ones_like(x), step * x)  # (N, K), exp(i dt x)
        means = torch.empty(num_knots - 1, x.shape[1], dtype=base.dtype, device=x.device)
        power = base.clone()
        for j in range(num_knots - 1):
            torch.sum(power, dim=0, out=means[j])
            if j < num_knots - 2:
                power *= base
        count = torch.tensor(float(len(x)), dtype=torch.float64)
        if world()[1] > 1:
            sum_in_place(torch.view_as_real(means))
            count = sum_in_place(count.to(x.device))
        num_samples = float(count)
        knots = step * torch.arange(1, num_knots, dtype=torch.float64)
        gauss = torch.exp(-0.5 * knots**2)
        weight = 2 * step * gauss
        weight[-1] /= 2  # the trapezoid's end; the knot at 0 adds nothing
        gauss, weight = gauss.to(x), weight.to(x)
        error = means / num_samples - gauss[:, None]  # (J, K) complex
        ctx.save_for_backward(base, error, (2 * weight * knots.to(x))[:, None])
        squared = torch.view_as_real(error).square().sum(-1)
        return num_samples * (weight[:, None] * squared).sum(0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        base, error, slope = ctx.saved_tensors
        # d/dx of (Re - phi)^2 + Im^2 is 2 t (Im cos(t x) - (Re - phi) sin(t x)) / N,
        # the real part of 2 t (Im + i (Re - phi)) exp(i t x) / N; N cancels the factor in front.
        coefficient = slope * torch.complex(error.imag, error.real)
        value = coefficient[-1] * base
        for row in coefficient[:-1].flip(0):
            value += row
            value *= base
        # Every process holds the same statistic of all samples: their gradients add up.
        return value.real * sum_in_place(grad.clone()), None, None


def at_least_float32(x: Tensor) -> Tensor:
    """Raise lower precisions to float32; float64 stays."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def null_mean(num_knots: int = 17, t_max: float = 3.0) -> float:
    """Return the statistic's mean when the data are N(0, 1): its value at the optimum."""
    step, total = t_max / (num_knots - 1), 0.0
    for j in range(1, num_knots):
        phi = math.exp(-0.5 * (j * step) ** 2)
        weight = step * phi * (1 if j == num_knots - 1 else 2)
        total += weight * (1 - phi**2)
    return total
