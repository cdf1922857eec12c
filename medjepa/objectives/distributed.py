"""Sums over processes that gradients pass through; with one process they do nothing."""

import torch.distributed as dist
import torch.distributed.nn.functional as dist_functional
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
    return dist_functional.all_reduce(x)  # type: ignore[no-any-return]


def sum_in_place(x: Tensor) -> Tensor:
    """Sum `x` over all processes in place, outside of autograd."""
    if world()[1] > 1:
        dist.all_reduce(x)
    return x
