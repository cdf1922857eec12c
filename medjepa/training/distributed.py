"""The same command on several processes: `torchrun --nproc-per-node=4 -m medjepa pretrain ...`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from medjepa.objectives.distributed import world


@contextmanager
def process_group() -> Iterator[None]:
    """Join the processes that torchrun started; do nothing where there is one."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        yield
        return
    use_cuda = torch.cuda.is_available()
    if use_cuda:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    # The first process may decode for hours while the others wait.
    dist.init_process_group("nccl" if use_cuda else "gloo", timeout=timedelta(hours=12))
    try:
        yield
    finally:
        dist.destroy_process_group()


def wrap(model: nn.Module, device: torch.device) -> nn.Module:
    """Average gradients over processes; the model itself where there is one."""
    if world()[1] == 1:
        return model
    # Buffers are equal on all processes by construction (batch statistics are shared).
    ids = [device.index or torch.cuda.current_device()] if device.type == "cuda" else None
    return DistributedDataParallel(model, device_ids=ids, broadcast_buffers=False)


def mean_over_processes(values: Tensor) -> Tensor:
    """Return the mean of `values` over processes, outside of autograd."""
    num_processes = world()[1]
    if num_processes == 1:
        return values
    summed = values.detach().clone()
    dist.all_reduce(summed)
    return summed / num_processes


def any_process(wish: bool) -> bool:
    """Tell whether any process wishes it: all must leave the loop after the same step."""
    if world()[1] == 1:
        return wish
    return bool(mean_over_processes(torch.tensor([float(wish)], device=_device())) > 0)


def _device() -> torch.device:
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")


def is_first() -> bool:
    """Tell whether this process is the one that writes files and talks."""
    return world()[0] == 0


def wait_for_all() -> None:
    """Return when every process has come here."""
    if world()[1] > 1:
        dist.barrier()
