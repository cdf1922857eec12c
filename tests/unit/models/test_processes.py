"""Several processes compute what one would: two real gloo processes with unequal batches."""

import os
import socket

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from medjepa.models.lejepa import LeJEPA
from medjepa.models.methods import METHODS
from medjepa.models.projector import SharedBatchNorm
from medjepa.models.registry import ENCODERS
from medjepa.objectives.randomness import generator
from medjepa.objectives.sigreg import sigreg, unit_directions

NUM_SAMPLES = 10
SIZES = {
    "image_size": 16, "patch_size": 4, "in_channels": 1, "embed_dim": 16, "encoder_depth": 1,
    "encoder_heads": 2,
}  # fmt: skip
DECODER = {"predictor_dim": 16, "predictor_depth": 1, "predictor_heads": 2}
MORE = {
    "dino": {"num_local_views": 1, "hidden_dim": 16, "bottleneck_dim": 8, "num_prototypes": 16,
             "freeze_epochs": 0},
    "simclr": {"hidden_dim": 16, "output_dim": 8},
    "vicreg": {"hidden_dim": 16, "output_dim": 16},
    "supervised": {"num_classes": 3},
    "mae": DECODER,
    "ijepa": {**DECODER, "min_context": 1},
}  # fmt: skip


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


def method_steps(
    name: str, part: slice, num_processes: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Losses of two steps, the gradients of both, and the buffers that are left.

    Between the steps the weights go down the gradient, so that teachers move. All is float64: what
    rounding adds would hide a wrong sum.
    """
    torch.manual_seed(0)
    model = METHODS[name](**SIZES, **MORE[name], seed=3).double()
    model.set_run_length(total_steps=4, steps_per_epoch=2)
    more = {"label": torch.arange(8)[part] % 3} if name == "supervised" else {}
    losses, gradients = [], []
    trained = [p for p in model.parameters() if p.requires_grad]
    for _ in range(2):
        loss = model(images().double()[part], **more)["total_loss"]
        gradient = torch.cat([g.flatten() for g in torch.autograd.grad(loss, trained)])
        loss = loss.detach().clone()
        if num_processes > 1:  # as DistributedDataParallel does: the mean over processes
            for values in (loss, gradient):
                dist.all_reduce(values)
                values /= num_processes
        losses.append(loss)
        gradients.append(gradient)
        with torch.no_grad():
            parts = gradient.split([p.numel() for p in trained])
            for weight, slope in zip(trained, parts, strict=True):
                weight -= 0.05 * slope.view_as(weight)
    buffers = [b.flatten().double() for b in model.buffers()]
    return torch.stack(losses), torch.cat(gradients), torch.cat(buffers)


def one_of_two(rank: int, port: int, results: dict) -> None:
    torch.set_num_threads(1)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    dist.init_process_group("gloo", rank=rank, world_size=2)
    part = slice(0, 3) if rank == 0 else slice(3, None)
    x = samples()[part]
    halves = images()[slice(0, 4) if rank == 0 else slice(4, None)]
    gradient = model_gradients(halves)
    dist.all_reduce(gradient)  # as DistributedDataParallel does: the mean over processes
    own = slice(0, 4) if rank == 0 else slice(4, None)
    methods = {name: method_steps(name, own, 2) for name in METHODS}
    results[rank] = (statistic_and_slope(x), normalised_and_slope(x), gradient / 2, methods)
    dist.destroy_process_group()


def test_two_processes_give_the_values_and_gradients_of_one():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with mp.get_context("spawn").Manager() as manager:
        results = manager.dict()
        mp.spawn(one_of_two, args=(port, results), nprocs=2)
        first, first_norm, first_gradient, methods = results[0]
        second, second_norm, _, also = results[1]
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
    # Every method: the loss, the gradient, and what it keeps beside its weights.
    for name in METHODS:
        whole = method_steps(name, slice(None), 1)
        for found in (methods[name], also[name]):
            for own, wanted in zip(found, whole, strict=True):
                torch.testing.assert_close(
                    own, wanted, rtol=1e-7, atol=1e-10, equal_nan=True,
                    msg=lambda text, name=name: f"{name}: {text}",
                )  # fmt: skip
