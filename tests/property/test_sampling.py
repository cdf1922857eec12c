"""Laws of the batch plan: batches depend on seed and step alone, ranks share the global batch."""

import pickle
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medjepa.data import BatchPlan
from medjepa.errors import ConfigError

SIZES = st.tuples(st.integers(1, 9), st.integers(1, 12), st.integers(0, 5)).map(
    lambda t: (t[0] * t[1] + t[2] % t[0], t[0])
)


@settings(max_examples=80, deadline=None)
@given(SIZES, st.integers(0, 99), st.integers(0, 3))
def test_every_image_at_most_once_an_epoch_and_exactly_once_if_batches_fill_it(sizes, seed, epoch):
    total, batch_size = sizes
    plan = BatchPlan(total, batch_size, seed)
    steps = range(epoch * len(plan), (epoch + 1) * len(plan))
    seen = Counter(i for step in steps for i in plan.batch(step))
    assert set(seen.values()) == {1}
    assert set(seen) <= set(range(total))
    assert len(seen) == total - total % batch_size


@settings(max_examples=60, deadline=None)
@given(SIZES, st.integers(0, 99), st.integers(0, 40))
def test_a_batch_is_a_function_of_seed_and_step(sizes, seed, step):
    fresh, walked = BatchPlan(*sizes, seed), BatchPlan(*sizes, seed)
    for earlier in range(step):
        walked.batch(earlier)
    assert fresh.batch(step) == walked.batch(step)
    assert pickle.loads(pickle.dumps(walked)).batch(step) == fresh.batch(step)
    resumed = BatchPlan(*sizes, seed, start_step=step)
    assert next(iter(resumed)) == fresh.batch(step)
    assert len(list(resumed)) == len(fresh) - step % len(fresh)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 9))
def test_ranks_share_the_global_batch(per_rank, world_size, step):
    batch_size = per_rank * world_size
    whole = BatchPlan(batch_size * 3, batch_size, 7).batch(step)
    ranks = [
        BatchPlan(batch_size * 3, batch_size, 7, rank=r, world_size=world_size).batch(step)
        for r in range(world_size)
    ]
    assert {len(r) for r in ranks} == {per_rank}
    assert [i for r in ranks for i in r] == list(whole)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 40), min_size=2, max_size=4),
    st.lists(st.floats(0.05, 1.0), min_size=4, max_size=4),
    st.integers(0, 9),
)
def test_weights_give_each_source_its_share_of_every_batch(counts, weights, seed):
    weights = weights[: len(counts)]
    batch_size = min(sum(counts), 8)
    plan = BatchPlan(counts, batch_size, seed, weights=weights)
    owner = np.repeat(np.arange(len(counts)), counts)
    shares = np.asarray(weights) / sum(weights)
    batches = [plan.batch(step) for step in range(len(plan))]
    for batch in batches:
        drawn = np.bincount(owner[batch], minlength=len(counts))
        assert (np.abs(drawn - shares * batch_size) <= 2).all()
    seen = np.bincount([i for batch in batches for i in batch], minlength=sum(counts))
    for source in range(len(counts)):
        own = seen[owner == source]
        assert own.max() - own.min() <= 1, "one image came twice before all others came"


def test_epochs_and_seeds_differ():
    plan = BatchPlan(50, 50, 0)
    assert plan.batch(0) != plan.batch(1)
    assert plan.batch(0) != BatchPlan(50, 50, 1).batch(0)
    assert sorted(plan.batch(0)) == list(range(50))


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"num_samples": 5, "batch_size": 8}, "at most 5"),
        ({"num_samples": 5, "batch_size": 0}, "batch_size"),
        ({"num_samples": 9, "batch_size": 3, "world_size": 2}, "multiple"),
        ({"num_samples": [5, 5], "batch_size": 2, "weights": [1.0]}, "weights"),
        ({"num_samples": [5, 5], "batch_size": 2, "weights": [1.0, -1.0]}, "weights"),
    ],
)
def test_plans_that_cannot_be_are_refused(arguments, word):
    with pytest.raises(ConfigError, match=word):
        BatchPlan(**{"seed": 0, **arguments})
