"""Sums over processes that gradients pass through; with one process they do nothing."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def world() -> tuple[int, int]:
    """Return (rank, number of processes); (0, 1) where no process group was started."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def sum_over_processes(x: Tensor) -> Tensor:
    """Sum `x` over all processes, differentiably.

    A plain `all_reduce` has the right value and a gradient short by the number of processes: the
    other processes' share of the loss would be taken for a constant.
    """
    if world()[1] == 1:
        return x
    total: Tensor = _Sum.apply(x)  # type: ignore[no-untyped-call]
    return total


def gather_over_processes(x: Tensor) -> Tensor:
    """Stack the rows of all processes, (B, ...) to (P B, ...), in the order of their ranks.

    Differentiable as `sum_over_processes` is; every process must have equally many rows.
    """
    rank, num_processes = world()
    if num_processes == 1:
        return x
    empty = torch.zeros_like(x)
    rows = [x if number == rank else empty for number in range(num_processes)]
    return sum_over_processes(torch.cat(rows))


def sum_in_place(x: Tensor) -> Tensor:
    """Sum `x` over all processes in place, outside of autograd; returns `x`."""
    if world()[1] > 1:
        dist.all_reduce(x)
    return x


class _Sum(torch.autograd.Function):
    """Every process's loss depends on every process's summand, so gradients are summed too."""

    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:  # noqa: ANN401
        return sum_in_place(x.clone())

    @staticmethod
    def backward(_: Any, grad: Tensor) -> Tensor:  # noqa: ANN401
        return sum_in_place(grad.clone())
