"""One stream of batches through the whole run: workers are started once, not once an epoch."""

from collections.abc import Iterator, Sequence

from medjepa.data.batching import Batch
from medjepa.data.sampling import BatchPlan
from medjepa.errors import ConfigError
from medjepa.objectives.distributed import world
from medjepa.training.batches import ImageSource, PlannedSteps, load_batches
from medjepa.utils.logging import get_logger

_logger = get_logger(__name__)


class Feed:
    """The batch of any step; steps asked for in order come from one loader that reads ahead."""

    def __init__(
        self, dataset: ImageSource, plan: BatchPlan, *, num_workers: int, pin: bool
    ) -> None:
        self.dataset, self.plan = dataset, plan
        self.num_workers, self.pin = num_workers, pin
        self._batches: Iterator[Batch] = iter(())
        self._next_step = self._stop = -1

    def batch(self, step: int, total_steps: int) -> Batch:
        """Return this process's part of the batch of `step`; reads ahead up to `total_steps`."""
        if step != self._next_step or step >= self._stop:
            self._stop = max(total_steps, step + 1)
            draws = getattr(self.dataset, "draws_crops", False)
            steps = PlannedSteps(self.plan, step, self._stop, with_step=draws)
            loader = load_batches(
                self.dataset, steps, num_workers=self.num_workers, pin_memory=self.pin
            )
            self._batches = iter(loader)
        self._next_step = step + 1
        return next(self._batches)


def plan_batches(
    dataset: ImageSource, batch_size: int, seed: int, weights: Sequence[float] | None
) -> BatchPlan:
    """Plan the batches of a dataset; a batch larger than the dataset is made smaller, with a word.

    Raises:
        ConfigError: fewer than two images a process, or a batch that processes cannot share.
    """
    num_images, num_processes = len(dataset), world()[1]
    if num_images < 2 * num_processes:
        raise ConfigError(
            f"data: {num_images} images are too few to train on; each process needs at least 2"
        )
    if batch_size > num_images:
        smaller = num_images // num_processes * num_processes
        _logger.warning(
            "training.batch_size=%d made %d: there are only %d images",
            batch_size,
            smaller,
            num_images,
        )
        batch_size = smaller
    if batch_size % num_processes:
        raise ConfigError(
            f"training.batch_size={batch_size} must be a multiple of {num_processes} processes"
        )
    counts = getattr(dataset, "source_counts", num_images) if weights else num_images
    return BatchPlan(counts, batch_size, seed, weights=weights or None)
