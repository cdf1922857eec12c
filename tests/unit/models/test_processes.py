"""Several processes compute what one would: two real gloo processes with unequal batches."""

import os
import socket

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from medjepa.models.lejepa import LeJEPA
from medjepa.models.projector import SharedBatchNorm
from medjepa.models.registry import ENCODERS
from medjepa.objectives.randomness import generator
from medjepa.objectives.sigreg import sigreg, unit_directions

NUM_SAMPLES = 10


def samples() -> torch.Tensor:
    return torch.randn(NUM_SAMPLES, 6, generator=generator(0, 0, "samples"))


def statistic_and_slope(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    x = x.clone().requires_grad_()
    value = sigreg(x, unit_directions(6, 12, rng=generator(0, 0, "directions")))
    value.backward()
    return value.detach(), x.grad


def normalised_and_slope(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    x = x.clone().requires_grad_()
    norm = SharedBatchNorm(6)
    out = norm(x)
    (out**3).sum().backward()
    return out.detach(), x.grad, norm.running_var


def model_gradients(images: torch.Tensor) -> torch.Tensor:
    torch.manual_seed(0)
    sizes = {**ENCODERS["vit_test"], "in_channels": 1, "num_directions": 8, "projector_dim": 16}
    model = LeJEPA(**sizes, objective="both")
    model(images)["total_loss"].backward()
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def images() -> torch.Tensor:
    return torch.rand(8, 1, 32, 32, generator=generator(0, 0, "images"))


def one_of_two(rank: int, port: int, results: dict) -> None:
    torch.set_num_threads(1)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    dist.init_process_group("gloo", rank=rank, world_size=2)
    part = slice(0, 3) if rank == 0 else slice(3, None)
    x = samples()[part]
    halves = images()[slice(0, 4) if rank == 0 else slice(4, None)]
    gradient = model_gradients(halves)
    dist.all_reduce(gradient)  # as DistributedDataParallel does: the mean over processes
    results[rank] = (statistic_and_slope(x), normalised_and_slope(x), gradient / 2)
    dist.destroy_process_group()


def test_two_processes_give_the_values_and_gradients_of_one():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with mp.get_context("spawn").Manager() as manager:
        results = manager.dict()
        mp.spawn(one_of_two, args=(port, results), nprocs=2)
        (first, first_norm, first_gradient), (second, second_norm, _) = results[0], results[1]
    value, slope = statistic_and_slope(samples())
    torch.testing.assert_close(first[0], value)
    torch.testing.assert_close(second[0], value)
    # each process's copy of the loss adds its gradient; the mean over processes undoes the 2
    torch.testing.assert_close(torch.cat([first[1], second[1]]) / 2, slope, rtol=1e-4, atol=1e-6)
    out, slope, variance = normalised_and_slope(samples())
    torch.testing.assert_close(torch.cat([first_norm[0], second_norm[0]]), out)
    torch.testing.assert_close(
        torch.cat([first_norm[1], second_norm[1]]), slope, rtol=1e-4, atol=1e-4
    )
    torch.testing.assert_close(first_norm[2], variance)
    torch.testing.assert_close(first_gradient, model_gradients(images()), rtol=1e-3, atol=1e-5)
