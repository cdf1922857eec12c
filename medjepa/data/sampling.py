"""Which images make up which step: a pure function of the seed and the step."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np

from medjepa.errors import ConfigError, DataError


class BatchPlan:
    """A batch sampler whose batches depend on (seed, step) alone, so that a resumed run is exact.

    `num_samples` counts the images, or those of each source in turn. Without weights each image
    comes once an epoch; with weights each source fills its share of every batch, and within a
    source no image comes twice before all others came once. The incomplete last batch of an epoch
    is left out (by a new draw each epoch). `batch_size` counts all ranks together; a rank gets its
    share of each batch. Iterating walks from `start_step` to the end of that epoch.

    Raises:
        ConfigError: fewer images than one batch, weights that do not fit, or ranks that do not
            divide the batch.
    """

    def __init__(
        self,
        num_samples: int | Sequence[int],
        batch_size: int,
        seed: int,
        *,
        weights: Sequence[float] | None = None,
        start_step: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.counts = (
            [num_samples] if isinstance(num_samples, int) else [int(n) for n in num_samples]
        )
        self.batch_size, self.seed = batch_size, seed
        self.start_step, self.rank, self.world_size = start_step, rank, world_size
        total = sum(self.counts)
        if batch_size < 1 or total < batch_size:
            raise ConfigError(
                f"training.batch_size={batch_size}, but there are only {total} images; "
                f"set it to at most {total}"
            )
        if batch_size % world_size:
            raise ConfigError(
                f"training.batch_size={batch_size} must be a multiple of {world_size} processes"
            )
        self.weights = _shares(weights, self.counts)
        self.steps_per_epoch = total // batch_size
        self._order = lru_cache(maxsize=2)(self._epoch_order)

    def __len__(self) -> int:
        return self.steps_per_epoch

    def __iter__(self) -> Iterator[list[int]]:
        begin = self.start_step
        epoch_end = (begin // self.steps_per_epoch + 1) * self.steps_per_epoch
        for step in range(begin, epoch_end):
            yield self.batch(step)

    def __getstate__(self) -> dict[str, object]:
        return {k: v for k, v in self.__dict__.items() if k != "_order"}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._order = lru_cache(maxsize=2)(self._epoch_order)

    def batch(self, step: int) -> list[int]:
        """This rank's images of one step, counted through the sources in turn."""
        epoch, place = divmod(step, self.steps_per_epoch)
        whole = self._order(epoch)[place * self.batch_size : (place + 1) * self.batch_size]
        # A block of the batch, as the models' draws for all processes are shared out.
        share = self.batch_size // self.world_size
        return [int(i) for i in whole[self.rank * share : (self.rank + 1) * share]]

    def _epoch_order(self, epoch: int) -> np.ndarray:
        num_slots = self.steps_per_epoch * self.batch_size
        if self.weights is None:
            return self._rng(epoch, 0).permutation(sum(self.counts))[:num_slots]
        drawn, place = [], []
        first = 0
        for source, (count, quota) in enumerate(
            zip(self.counts, _quotas(self.weights, num_slots), strict=True)
        ):
            rng = self._rng(epoch, source + 1)
            passes = [rng.permutation(count) for _ in range(-(-quota // count))]
            drawn.append(first + np.concatenate([*passes, np.empty(0, dtype=np.int64)])[:quota])
            # Spread a source evenly over the epoch: every batch then has its share of it.
            place.append((np.arange(quota) + rng.random()) / max(quota, 1))
            first += count
        order = np.concatenate(drawn)[np.argsort(np.concatenate(place), kind="stable")]
        # Within a batch the even spreading is a pattern; ranks must not each see one source.
        batches = order.reshape(-1, self.batch_size)
        return self._rng(epoch, 0).permuted(batches, axis=1).reshape(-1)

    def _rng(self, epoch: int, stream: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, epoch, stream])


def _shares(weights: Sequence[float] | None, counts: list[int]) -> np.ndarray | None:
    if weights is None:
        return None
    values = np.asarray(weights, dtype=np.float64)
    if len(values) != len(counts) or (values < 0).any() or not values.sum() > 0:
        raise ConfigError(
            f"data.weights: one number >= 0 for each of {len(counts)} sources, got {list(weights)}"
        )
    if any(w > 0 and n == 0 for w, n in zip(values, counts, strict=True)):
        raise DataError("a source with a weight has no images")
    shares: np.ndarray = values / values.sum()
    return shares


def _quotas(shares: np.ndarray, num_slots: int) -> list[int]:
    """Whole numbers of about shares * num_slots that sum to num_slots (largest remainder)."""
    exact = shares * num_slots
    quotas = np.floor(exact).astype(np.int64)
    rest = num_slots - int(quotas.sum())
    quotas[np.argsort(quotas - exact, kind="stable")[:rest]] += 1
    return [int(q) for q in quotas]
