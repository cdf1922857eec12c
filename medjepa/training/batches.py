"""From a dataset to batches: the images of a step depend on the seed and the step alone."""

import signal
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, cast, runtime_checkable

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from medjepa.data.batching import Batch, Samples
from medjepa.data.sampling import BatchPlan
from medjepa.objectives.distributed import world
from medjepa.utils.device import available_cpus

MOST_VALUES, VALUES_AT_ONCE = 2**30, 2**24
"""Pixels that statistics are taken of, in all and held in memory at once."""


@runtime_checkable
class ImageSource(Protocol):
    """Any map-style dataset: its items are images, or tuples that begin with one."""

    def __len__(self) -> int:
        """Count the images."""

    def __getitem__(self, index: int, /) -> Any:  # noqa: ANN401 - a tensor, a tuple, a sample
        """Return one."""


class PlannedSteps(Sampler[list[Any]]):
    """The planned batches of steps `start` to `stop`, this process's share of each.

    Shares are consecutive: the models draw their views for the whole batch and take the rows of
    their process in the same way. `with_step` gives (index, step) for an index, to a dataset that
    draws crops: the same at the same step of any run, whoever reads it.
    """

    def __init__(self, plan: BatchPlan, start: int, stop: int, *, with_step: bool = False) -> None:
        self.plan, self.start, self.stop, self.with_step = plan, start, stop, with_step
        self.rank, self.num_processes = world()

    def __len__(self) -> int:
        return self.stop - self.start

    def __iter__(self) -> Iterator[list[Any]]:
        for step in range(self.start, self.stop):
            share = share_of(self.plan.batch(step), self.rank, self.num_processes)
            yield [(index, step) for index in share] if self.with_step else share


def share_of(batch: list[int], rank: int, num_processes: int) -> list[int]:
    """Return the consecutive part of a batch that a process takes."""
    share = len(batch) // num_processes
    return batch[rank * share : (rank + 1) * share]


def load_batches(
    dataset: ImageSource,
    batches: Sampler[list[Any]] | Sequence[list[int]],
    *,
    num_workers: int = 0,
    pin_memory: bool = False,
) -> DataLoader[Any]:
    """Load the listed batches in order; workers leave Ctrl-C to the process that started them."""
    num_workers = min(num_workers, available_cpus())
    return DataLoader(
        cast(Dataset[Any], dataset),
        batch_sampler=batches,
        num_workers=num_workers,
        collate_fn=collate_images,
        pin_memory=pin_memory,
        worker_init_fn=_ignore_interrupt,
        # The loader draws a seed for its workers: from its own generator, or every restart
        # would move the global one, and with it the model's dropout.
        generator=torch.Generator().manual_seed(0),
    )


def _ignore_interrupt(worker: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def collate_images(items: Sequence[Any]) -> Batch:
    """Stack tensors, (tensor, label) pairs, or samples with a modality; labels are dropped."""
    if isinstance(items, Samples):
        return items.batch
    images = torch.stack([item if isinstance(item, Tensor) else item[0] for item in items])
    numbers = [getattr(item, "modality", 0) for item in items]
    return Batch(images, torch.tensor(numbers, dtype=torch.long))


def validation_batches(num_samples: int, batch_size: int) -> list[list[int]]:
    """Batches of equal size in order, this process's share of each.

    SIGReg depends on the number of samples, so an incomplete last batch is left out; fewer images
    than a batch make one batch.
    """
    rank, num_processes = world()
    size = min(batch_size, num_samples // num_processes * num_processes)
    starts = range(0, num_samples - size + 1, size) if size else range(0)
    return [share_of(list(range(s, s + size)), rank, num_processes) for s in starts]


def load_one(dataset: ImageSource) -> Tensor:
    """Return the first image (C, *spatial)."""
    return next(iter(load_batches(dataset, [[0]]))).images[0]  # type: ignore[no-any-return]


def usual_spacing(dataset: ImageSource, seed: int, limit: int = 256) -> Tensor:
    """Return the median spacing per axis (3,) of up to `limit` volumes; NaN where none is known."""
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(seed))
    chosen = [[number] for number in order[:limit].tolist()]
    found = [batch.spacing for batch in load_batches(dataset, chosen) if batch.spacing is not None]
    if not found:
        return torch.full((3,), torch.nan)
    return torch.cat(found).float().nanmedian(0).values


def pixel_statistics(dataset: ImageSource, seed: int, limit: int = 2000) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation per channel (C,) of up to `limit` images.

    Of volumes fewer are read, so that no more values are than `limit` images of 724 x 724 hold.
    """
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(seed))
    size = load_one(dataset).numel()
    chosen = order[: min(limit, max(64, MOST_VALUES // size))].tolist()
    at_once = max(1, min(64, VALUES_AT_ONCE // size))
    pieces = [chosen[start : start + at_once] for start in range(0, len(chosen), at_once)]
    count, total, squares = 0, torch.zeros(()), torch.zeros(())
    for batch in load_batches(dataset, pieces):
        values = batch.images.double().transpose(0, 1).flatten(1)
        count += values.shape[1]
        total = total + values.sum(1)
        squares = squares + values.square().sum(1)
    mean = total / count
    return mean.float(), (squares / count - mean.square()).clamp(min=0).sqrt().float()
